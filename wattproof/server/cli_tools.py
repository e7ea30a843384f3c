"""The tools as subcommands: the same functions that the MCP server calls, with their parameters as options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wattproof.server.cli_call import Beside, arguments, call, print_result, read_receipt
from wattproof.server.cli_output import print_json, print_text
from wattproof.server.cli_plot import check_plot, draw

__all__ = ["methods_list", "methods_show", "receipt", "summary", "verify"]

Json = Annotated[bool, typer.Option("--json", help="Print the tool's structured content.")]
Full = Annotated[bool, typer.Option("--full", help="Everything that the result rests on (detail=full).")]


def summary(
    since: Annotated[str | None, typer.Option(help="Date or RFC 3339 time, included.")] = None,
    until: Annotated[str | None, typer.Option(help="Date or RFC 3339 time, excluded.")] = None,
    tz: Annotated[str | None, typer.Option(help="IANA time zone of bare dates; UTC unless given.")] = None,
    group_by: Annotated[
        str | None, typer.Option(help="provider, model, zone, method, tier, status or workload.")
    ] = None,
    operation_id: Annotated[str | None, typer.Option(help="Only this workflow.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only this tag.")] = None,
    method: Annotated[str | None, typer.Option(help="Only entries of this method.")] = None,
    cursor: Annotated[str | None, typer.Option(help="next_cursor of the page before.")] = None,
    plot: Annotated[
        str | None, typer.Option(help="Draw hours, days or months: into a .svg or .png file, or - for the terminal.")
    ] = None,
    full: Full = False,
    as_json: Json = False,
) -> None:
    """Totals of what was run and recorded here, with intervals that keep shared uncertainty."""
    from wattproof.tools.summarize_ledger import SummaryArgs, brief, summarize_ledger

    check_plot(plot)
    given = arguments(
        SummaryArgs,
        since=since,
        until=until,
        tz=tz,
        group_by=group_by,
        operation_id=operation_id,
        tag=tag,
        method=method,
        cursor=cursor,
        detail="plot" if plot is not None else "full" if full else None,
    )
    result = call(summarize_ledger, given)
    print_result(result, brief, as_json)
    draw(plot, result, as_json=as_json)


def receipt(
    receipt_id: Annotated[str, typer.Argument(help="Receipt id, as `run` printed it.")],
    jws: Annotated[bool, typer.Option("--jws", help="Only the signed receipt.")] = False,
    proof: Annotated[bool, typer.Option("--proof", help="Only the inclusion proof.")] = False,
) -> None:
    """Print a receipt of this ledger with its inclusion proof, for whoever is to check it."""
    from wattproof.methodology.errors import InvalidInput
    from wattproof.tools.views import receipt_view

    if jws and proof:
        raise InvalidInput("--proof", "is given together with --jws", "give one of them, or neither for both")
    view = call(receipt_view, receipt_id)
    if view is None:
        raise InvalidInput(
            "RECEIPT_ID", f"{receipt_id[:40]!r} is not in this ledger", "give an id that run printed here"
        )
    if jws:
        print_text(view["jws"] or "")
    else:
        print_json(view["inclusion"] if proof else view)


def verify(
    receipt: Annotated[str, typer.Argument(help="Receipt id, file (JWS or JSON), the JWS itself, or - for stdin.")],
    jwks: Annotated[
        Path | None, typer.Option(help="The issuer's public keys; without it, this installation's.")
    ] = None,
    proof: Annotated[Path | None, typer.Option(help="Inclusion proof (JSON) that came with the receipt.")] = None,
    tlog_proof: Annotated[Path | None, typer.Option(help="tlog-proof of the receipt, with its checkpoint.")] = None,
    vkey: Annotated[
        list[str] | None, typer.Option(help="Key of the log or of a witness, or a file of them; several times.")
    ] = None,
    old_checkpoint: Annotated[Path | None, typer.Option(help="An older checkpoint of the log that you kept.")] = None,
    consistency: Annotated[Path | None, typer.Option(help="Proof that the log only grew since then.")] = None,
    full: Full = False,
    as_json: Json = False,
) -> None:
    """Check signature, inclusion, arithmetic, plausibility and age of a receipt or a vendor's block, each apart.

    Exits 0 only when signature and arithmetic pass and nothing fails, 1 when something fails, 3 when it is not
    established (the key or the method is unknown here).
    """
    from wattproof.tools.verify_receipt import VerifyArgs, brief, verify_receipt

    beside = Beside(
        jwks=jwks,
        proof=proof,
        tlog_proof=tlog_proof,
        vkeys=vkey or (),
        old_checkpoint=old_checkpoint,
        consistency=consistency,
    )
    given = arguments(VerifyArgs, receipt=read_receipt(receipt, beside), detail="full" if full else None)
    result = call(verify_receipt, given)
    print_result(result, brief, as_json)
    code = {"established": 0, "failed": 1, "not_established": 3}[result.outcome]
    if code:
        raise typer.Exit(code)


def methods_list(context: typer.Context, as_json: Json = False) -> None:
    """List the methods, the default first."""
    if context.invoked_subcommand is not None:
        return
    from wattproof.tools.views import methods_view

    methods = methods_view()
    if as_json:
        print_json(methods)
        return
    for method in methods:
        print_text(f"{method['id']:<30}{method['tier']:<12}{method['title']}")


def methods_show(
    method: Annotated[str, typer.Argument(help="Method id or alias, such as wattproof/param.")], as_json: Json = False
) -> None:
    """Show one method: formula, inputs with their units, sources, and what it leaves out."""
    from wattproof.tools.views import method_view

    view = method_view(method)
    if as_json:
        print_json(view)
        return
    print_text(
        f"{view['id']}  (sha256 {view['sha256'][:16]}…)\n{view['title']}\n{view['summary']}\n\n{view['formula']}\n"
    )
    inputs = ", ".join(f"{name} [{unit}]" for name, unit in view["operands"].items())
    for label, value in (
        ("inputs", inputs),
        ("indicators", ", ".join(view["indicators"])),
        ("interval", view["interval"]),
        ("tier", view["tier"]),
        ("not covered", "; ".join(view["not_covered"])),
        ("sources", "; ".join(view["sources"])),
    ):
        print_text(f"{label:<12}{value}")
