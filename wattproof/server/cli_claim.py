"""`wattproof check-claim`: the wording of an environmental claim, and its figures against a receipt."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from wattproof.methodology.errors import InvalidInput
from wattproof.server.cli_call import arguments, call, print_result

__all__ = ["check_claim"]

_MAX_BYTES = 256 * 1024


def check_claim(
    text: Annotated[str, typer.Argument(metavar="FILE", help="Text or Markdown file, or - for stdin.")],
    receipt_id: Annotated[
        str | None, typer.Option("--receipt", "--receipt-id", help="Receipt of this ledger that the figures must meet.")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Instead: a JSON file with a result, such as of estimate --json.")
    ] = None,
    use: Annotated[str | None, typer.Option(help="Who reads it: internal, b2b or b2c, the default.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Every finding, with the regime that it rests on.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the tool's structured content.")] = False,
) -> None:
    """Check the wording of a claim on energy or carbon (English), and its figures; says what to write instead.

    Exits 0 where no rule spoke, which makes no claim true, and 1 where something is to be revised or supported. Not
    legal advice.
    """
    from wattproof.tools.check_claim import ClaimArgs, brief
    from wattproof.tools.check_claim import check_claim as check

    given = arguments(
        ClaimArgs,
        text=_read(text),
        receipt_id=receipt_id,
        figures=None if figures is None else _figures(figures),
        use=use,
        detail="full" if full else None,
    )
    result = call(check, given)
    print_result(result, brief, as_json)
    if result.verdict != "nothing_found":
        raise typer.Exit(1)


def _read(given: str) -> str:
    if given == "-":
        return sys.stdin.read(_MAX_BYTES)
    return _file("FILE", Path(given))


def _file(option: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidInput(option, f"{path} cannot be read ({reason})", "give a readable text file, or -") from error


def _figures(path: Path) -> dict[str, Any]:
    """The figures of a result; its other fields say nothing here."""
    try:
        value: object = json.loads(_file("--figures", path))
    except (ValueError, RecursionError) as error:
        raise InvalidInput("--figures", f"{path} is not JSON", "give the result as --json printed it") from error
    if not isinstance(value, dict):
        raise InvalidInput("--figures", f"{path} is not a JSON object", "give the result as --json printed it")
    return cast("dict[str, Any]", value)
