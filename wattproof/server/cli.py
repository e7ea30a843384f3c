"""The subcommands. Each imports what it needs when it runs, so that ``--help`` and ``estimate`` start fast."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import typer

from wattproof.methodology.errors import InvalidInput, UnknownName, WattproofError
from wattproof.server import (
    cli_budget,
    cli_claim,
    cli_completion,
    cli_corrections,
    cli_estimate,
    cli_evidence,
    cli_export,
    cli_hosts,
    cli_import,
    cli_keys,
    cli_ledger,
    cli_live,
    cli_migrate,
    cli_operation,
    cli_replay,
    cli_restate,
    cli_run,
    cli_serve,
    cli_simulate,
    cli_state,
    cli_store,
    cli_tools,
    cli_vectors,
    cli_verify_page,
    cli_window,
)

__all__ = ["build_app", "run_command"]


_COMMANDS: tuple[tuple[str, Callable[..., None]], ...] = (
    ("demo", cli_serve.demo),
    ("estimate", cli_estimate.estimate),
    ("explain", cli_estimate.explain),
    ("run", cli_run.run),
    ("embed", cli_vectors.embed),
    ("rerank", cli_vectors.rerank),
    ("summary", cli_tools.summary),
    ("receipt", cli_tools.receipt),
    ("verify", cli_tools.verify),
    ("verify-page", cli_verify_page.verify_page),
    ("check-claim", cli_claim.check_claim),
    ("reproduce", cli_estimate.reproduce),
    ("import", cli_import.import_),
    ("providers", cli_live.providers),
    ("grid", cli_live.grid),
    ("window", cli_window.window),
    ("simulate", cli_simulate.simulate),
    ("serve", cli_serve.serve),
    ("install", cli_hosts.install),
    ("completion", cli_completion.completion),
    ("doctor", cli_state.doctor),
    ("keys", cli_state.keys),
    ("tenants", cli_keys.tenants),
)


@dataclass(frozen=True, slots=True)
class _Group:
    """Commands under one word. `default` is what the word alone does; None: its help."""

    help: str
    commands: tuple[tuple[str, Callable[..., None]], ...]
    default: Callable[..., None] | None = None


_GROUPS = {
    "methods": _Group(
        "The named methods that turn a request into figures; alone: list them.",
        (("list", cli_tools.methods_list), ("show", cli_tools.methods_show)),
        cli_tools.methods_list,
    ),
    "ledger": _Group(
        "The append-only store of what was run.",
        (
            ("fsck", cli_state.ledger_fsck),
            ("replay", cli_replay.replay),
            ("corrections", cli_corrections.corrections),
            *cli_ledger.COMMANDS,
            *cli_store.COMMANDS,
            *cli_migrate.COMMANDS,
            *cli_restate.COMMANDS,
        ),
    ),
    "operation": _Group(
        "Workflows of many steps: totals, a budget, one receipt.",
        (
            ("begin", cli_operation.operation_begin),
            ("record", cli_operation.operation_record),
            ("status", cli_operation.operation_status),
            ("end", cli_operation.operation_end),
        ),
    ),
    "budget": _Group(
        "What may be spent; alone: what is left.",
        (
            ("show", cli_budget.budget_show),
            ("set", cli_budget.budget_set),
            ("raise", cli_budget.budget_raise),
            ("override", cli_budget.budget_override),
            ("remove", cli_budget.budget_remove),
        ),
        cli_budget.budget_show,
    ),
    "apikey": _Group(
        "Static keys for serve --http; alone: list them.",
        (
            ("create", cli_keys.apikey_create),
            ("list", cli_keys.apikey_list),
            ("revoke", cli_keys.apikey_revoke),
        ),
        cli_keys.apikey_list,
    ),
    "export": _Group(
        "Entries, receipts and samples with proofs, as files.",
        (
            ("entries", cli_export.export_entries),
            ("receipts", cli_export.export_receipts),
            ("sample", cli_export.export_sample),
            ("evidence", cli_evidence.export_evidence),
        ),
    ),
    "embedded": _Group(
        "The embedded model, SmolLM2-135M: real inference with no key and no network.",
        (("install", cli_hosts.embedded_install),),
    ),
}


# RFC 7638, base64url.
_KEY_ID = re.compile(r"-[A-Za-z0-9_-]{42}")


def build_app() -> typer.Typer:
    """Every command of ``wattproof``."""
    app = typer.Typer(
        name="wattproof",
        help="Estimate, route, run, record and prove the footprint of LLM requests. "
        "Without a command: serve MCP over stdin and stdout.",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 not established, 4 no real inference.",
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        no_args_is_help=True,
    )
    for name, command in _COMMANDS:
        app.command(name)(command)
    for name, group in _GROUPS.items():
        app.add_typer(_grouped(group), name=name)
    return app


def _grouped(group: _Group) -> typer.Typer:
    alone = group.default is not None
    made = typer.Typer(help=group.help, no_args_is_help=not alone, invoke_without_command=alone)
    # Without a callback typer would fold a group of one command into that command.
    made.callback(help=group.help)(group.default or (lambda: None))
    for name, command in group.commands:
        made.command(name)(command)
    return made


def _completed(arguments: Sequence[str]) -> list[str]:
    """What the parser takes: `--plot` alone wants a value, and a key's id that begins with `-` is no option."""
    given = list(arguments)
    if given[:2] == ["ledger", "revoke"]:
        ids = [word for word in given if _KEY_ID.fullmatch(word)]
        return [word for word in given if word not in ids] + (["--", *ids] if ids else [])
    for place, word in enumerate(given):
        if word == "--plot" and (place + 1 == len(given) or given[place + 1].startswith("--")):
            return [*given[: place + 1], "-", *given[place + 1 :]]
    return given


def run_command(arguments: Sequence[str]) -> int:
    """Run one subcommand and return its exit code; a deliberate error is one line on stderr."""
    try:
        build_app()(args=_completed(arguments), prog_name="wattproof")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except WattproofError as error:
        sys.stderr.write(f"wattproof: {error}\n")
        return 2 if isinstance(error, InvalidInput | UnknownName) else 1
    except KeyboardInterrupt:
        return 130
    return 0
