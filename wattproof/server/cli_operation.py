"""`wattproof operation`: the steps of a workflow under one name, and one receipt over them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from wattproof.methodology.errors import InvalidInput
from wattproof.server.cli_call import arguments, call, print_result, read_text

__all__ = ["operation_begin", "operation_end", "operation_record", "operation_status"]

Id = Annotated[str, typer.Argument(help="The operation's id, yours or the one that begin printed.")]
Json = Annotated[bool, typer.Option("--json", help="Print the tool's structured content.")]
Full = Annotated[bool, typer.Option("--full", help="Every step (100 at most) with its interval.")]


def operation_begin(
    operation_id: Annotated[str | None, typer.Argument(help="Your own id; without it one is made.")] = None,
    parent: Annotated[str | None, typer.Option(help="The operation that it belongs to.")] = None,
    budget: Annotated[str | None, typer.Option(help="What it may spend, such as '5 Wh' or '2000 tokens'.")] = None,
    warn: Annotated[bool, typer.Option("--warn", help="Say that the budget is exceeded, but refuse nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Open an operation. `wattproof run --operation-id` and `operation record` add steps to it."""
    _track(as_json, action="begin", operation_id=operation_id, parent_id=parent, budget=_budget(budget, warn))


def operation_record(
    operation_id: Id,
    steps: Annotated[
        str | None,
        typer.Option(
            help="JSON: a step or a list of steps, {step_id, model, usage: {input_tokens, output_tokens}, "
            "step_kind, provider, zone, retry_of, idempotency_key}; - for stdin."
        ),
    ] = None,
    file: Annotated[Path | None, typer.Option(help="The same from a file.")] = None,
    as_json: Json = False,
) -> None:
    """Add steps that were made elsewhere, each once however often it is sent."""
    if (steps is None) == (file is None):
        raise InvalidInput("--steps", "is missing" if steps is None else "is given together with --file", "give one")
    try:
        text = file.read_text(encoding="utf-8") if file is not None else read_text(steps) or ""
        given: Any = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput(
            "--file" if file else "--steps", f"cannot be read as JSON ({error})"[:200], "give a list"
        ) from error
    _track(as_json, action="record", operation_id=operation_id, steps=given if isinstance(given, list) else [given])


def operation_status(operation_id: Id, full: Full = False, as_json: Json = False) -> None:
    """What the operation came to so far, with everything below it."""
    _track(as_json, action="status", operation_id=operation_id, detail="full" if full else None)


def operation_end(operation_id: Id, full: Full = False, as_json: Json = False) -> None:
    """Close the operation with one receipt over its steps. It takes no more after that."""
    _track(as_json, action="end", operation_id=operation_id, detail="full" if full else None)


def _track(as_json: bool, **fields: Any) -> None:
    from wattproof.tools.track_operation import OperationArgs, brief, track_operation

    print_result(call(track_operation, arguments(OperationArgs, **fields)), brief, as_json)


def _budget(text: str | None, warn: bool) -> dict[str, Any] | None:
    if text is None:
        return None
    from wattproof.resources.ledger.budget_records import UNITS
    from wattproof.tools.budget_control import amount_of

    unit, amount = amount_of(text, None)
    return {"unit": unit, "limit": amount / UNITS[unit][0], "action": "warn" if warn else "refuse"}
