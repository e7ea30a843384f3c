"""The subcommands. Each imports what it needs when it runs, so that ``--help`` and ``estimate`` start fast."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from wattproof.methodology.errors import InvalidInput, UnknownName, WattproofError
from wattproof.server import cli_hosts, cli_run, cli_serve, cli_state, cli_tools

__all__ = ["build_app", "run_command"]


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
    for part in (cli_tools, cli_run, cli_serve, cli_state, cli_hosts):
        part.register(app)
    return app


def run_command(arguments: Sequence[str]) -> int:
    """Run one subcommand and return its exit code; a deliberate error is one line on stderr."""
    try:
        build_app()(args=list(arguments), prog_name="wattproof")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except WattproofError as error:
        sys.stderr.write(f"wattproof: {error}\n")
        return 2 if isinstance(error, InvalidInput | UnknownName) else 1
    except KeyboardInterrupt:
        return 130
    return 0
