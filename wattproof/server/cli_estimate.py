"""Estimating and explaining as subcommands: the same functions that the MCP server calls, and pictures as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from wattproof.methodology.errors import InvalidInput
from wattproof.server.cli_call import arguments, call, print_result, read_receipt, read_text
from wattproof.server.cli_output import print_text, say
from wattproof.server.cli_plot import check_plot, draw, write_file

__all__ = ["estimate", "explain", "reproduce"]

Json = Annotated[bool, typer.Option("--json", help="Print the tool's structured content.")]
Full = Annotated[bool, typer.Option("--full", help="Everything that the result rests on (detail=full).")]
Tokens = Annotated[int | None, typer.Option(help="A count of tokens.", metavar="TOKENS")]
Several = list[str] | None


def estimate(
    model: Annotated[list[str], typer.Option(help="Model id, such as gpt-oss-120b; may be repeated.")],
    input_tokens: Tokens = None,
    output_tokens: Tokens = None,
    cached_input_tokens: Tokens = None,
    reasoning_tokens: Tokens = None,
    text: Annotated[str | None, typer.Option(help="The prompt itself, counted here; - reads stdin.")] = None,
    provider: Annotated[Several, typer.Option(help="Provider id, such as ovhcloud; may be repeated.")] = None,
    zone: Annotated[str | None, typer.Option(help="Grid zone of the data centre, such as FR or SE-SE3.")] = None,
    workload: Annotated[str | None, typer.Option(help="chat, embedding or rerank.")] = None,
    batch_api: Annotated[bool, typer.Option("--batch-api", help="Through the provider's offline batch.")] = False,
    methods: Annotated[
        Several, typer.Option("--methods", "--method", help="Method id, or all; may be repeated. See `methods`.")
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="A model to compare with: same tokens, same grid factor.")
    ] = None,
    boundary: Annotated[str | None, typer.Option(help="narrow or comprehensive.")] = None,
    live: Annotated[bool, typer.Option("--live", help="The newest grid reading instead of the annual one.")] = False,
    known: Annotated[
        Several, typer.Option(help="A fact about the deployment, such as batch=128 or pue=1.1; may be repeated.")
    ] = None,
    plot: Annotated[
        str | None, typer.Option(help="Draw the intervals: into a .svg or .png file, or - for the terminal.")
    ] = None,
    full: Full = False,
    as_json: Json = False,
) -> None:
    """Estimate energy and climate of one request, with the interval that the method publishes. Sends nothing."""
    from wattproof.tools.estimate_request import EstimateArgs, brief, estimate_request

    check_plot(plot)
    given = arguments(
        EstimateArgs,
        model=_one_or_several(model),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_input_tokens=cached_input_tokens,
        reasoning_tokens=reasoning_tokens,
        text=read_text(text),
        provider=_one_or_several(provider),
        zone=zone,
        workload=workload,
        batch_api=batch_api or None,
        methods=_one_or_several(methods),
        baseline=baseline,
        boundary=boundary,
        grid="live" if live else None,
        known=_facts(known),
        detail="full" if full else None,
    )
    result = call(estimate_request, given)
    print_result(result, brief, as_json)
    draw(plot, result, as_json=as_json)


def explain(
    subject: Annotated[
        str | None, typer.Argument(help="Method id, receipt id, file (JWS or JSON), or the JWS itself.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Explain an estimate instead: its model.")] = None,
    input_tokens: Tokens = None,
    output_tokens: Tokens = None,
    provider: Annotated[str | None, typer.Option(help="Provider id of the estimate.")] = None,
    zone: Annotated[str | None, typer.Option(help="Grid zone of the estimate.")] = None,
    method: Annotated[str | None, typer.Option(help="Method id of the estimate.")] = None,
    as_json: Json = False,
) -> None:
    """Show where a number comes from: formula, operands and their sources, and what would narrow its interval."""
    from wattproof.tools.explain import ExplainArgs, brief
    from wattproof.tools.explain import explain as explain_subject

    if (subject is None) == (model is None):
        raise InvalidInput("SUBJECT", "or --model is needed, and not both", "give a method, a receipt, or --model")
    fields = {
        "model": model,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "provider": provider,
        "zone": zone,
        "methods": method,
    }
    asked = {name: value for name, value in fields.items() if value is not None}
    given = arguments(ExplainArgs, subject=asked if subject is None else _method_or_receipt(subject))
    print_result(call(explain_subject, given), brief, as_json)


def reproduce(
    receipt: Annotated[str, typer.Argument(help="Receipt id, file (JWS or JSON), the JWS itself, or - for stdin.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to; stdout unless given.")] = None,
) -> None:
    """Write one Python file that computes a receipt's figures again, with the standard library alone."""
    from wattproof.tools.reproduce import reproduce as reproduce_receipt

    text = call(reproduce_receipt, read_receipt(receipt))
    if output is None:
        print_text(text.rstrip())
        return
    write_file("--output", output, text.encode())
    say(f"wrote {output}; run: python -I -S {output}")


def _one_or_several(given: list[str] | None) -> str | list[str] | None:
    return given[0] if given and len(given) == 1 else given or None


def _facts(given: list[str] | None) -> dict[str, Any] | None:
    """`name=value`; a value that is JSON is read as such, anything else is text."""
    facts: dict[str, Any] = {}
    for fact in given or ():
        name, equals, value = fact.partition("=")
        if not equals:
            raise InvalidInput("--known", f"is {fact[:40]!r}", "give name=value, such as batch=128")
        try:
            facts[name.strip()] = json.loads(value)
        except ValueError:
            facts[name.strip()] = value
    return facts or None


def _method_or_receipt(subject: str) -> str | dict[str, Any]:
    """A method id has a slash, as a path has; it is a path if there is such a file."""
    if "@" in subject or not Path(subject[:255]).is_file():
        return subject
    return read_receipt(subject)
