"""Prompts: what a person picks from a menu, and what a model is then told to do with the tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, get_args

from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.prompts.base import PromptArgument, UserMessage
from mcp.types import INVALID_PARAMS, GetPromptRequestParams

from wattproof.methodology.errors import InvalidInput, WattproofError

if TYPE_CHECKING:
    from mcp.server import MCPServer

__all__ = ["PROMPTS", "Argument", "PromptSpec", "add_prompts"]

_LONGEST = 20_000
_SHOWN = 60

_MANNERS = (
    "Call every figure an estimate and keep its interval, method id and zone with it. A null is unknown: give its "
    "reason, never 0. Do not convert into trees or kilometres."
)


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a prompt; all are text. `check` gives it back as it is used, or raises a WattproofError."""

    name: str
    description: str
    check: Callable[[str], str]
    required: bool = False


@dataclass(frozen=True, slots=True)
class PromptSpec:
    """One prompt. `write` gets the checked arguments that were given and returns what the model reads."""

    name: str
    title: str
    description: str
    arguments: tuple[Argument, ...]
    write: Callable[[Mapping[str, str]], str]


def add_prompts(server: MCPServer[Any]) -> None:
    """Register the prompts. Their list is the same in every installation."""
    for spec in PROMPTS:
        server.add_prompt(_prompt(spec))
    names = [spec.name for spec in PROMPTS]

    async def get(ctx: ServerRequestContext[Any, Any], params: GetPromptRequestParams) -> Any:
        # The SDK would answer an unknown name with an internal error.
        if params.name not in names:
            problem = f"Unknown prompt {_short(params.name)!r}. There are {', '.join(names)}."
            raise MCPError(code=INVALID_PARAMS, message=problem)
        return await server.get_prompt(params.name, params.arguments, Context(request_context=ctx, mcp_server=server))

    server._lowlevel_server.add_request_handler(  # pyright: ignore[reportPrivateUsage]
        "prompts/get", GetPromptRequestParams, get
    )


class _OwnPrompt(Prompt):
    """A prompt that checks its own arguments, so that an error names the argument and what would work."""

    async def render(self, arguments: dict[str, Any] | None, context: Any) -> list[Any]:
        try:
            return [UserMessage(cast("str", self.fn(**(arguments or {}))))]
        except WattproofError as error:
            raise MCPError(code=INVALID_PARAMS, message=str(error)) from error


def _prompt(spec: PromptSpec) -> Prompt:
    def written(**given: object) -> str:
        return spec.write(_checked(spec, given))

    return _OwnPrompt(
        name=spec.name,
        title=spec.title,
        description=spec.description,
        arguments=[
            PromptArgument(name=argument.name, description=argument.description, required=argument.required)
            for argument in spec.arguments
        ],
        fn=written,
        icons=None,
        context_kwarg=None,
    )


def _checked(spec: PromptSpec, given: Mapping[str, object]) -> dict[str, str]:
    """The arguments that say something, each checked.

    Raises:
        InvalidInput: an argument is missing, unknown or wrong.
        UnknownName: an id that no edition lists.
    """
    known = {argument.name: argument for argument in spec.arguments}
    for name in given:
        if name not in known:
            raise InvalidInput(_short(name), "is not an argument of this prompt", f"give {', '.join(known)}")
    found: dict[str, str] = {}
    for name, argument in known.items():
        value = given.get(name)
        text = value.strip() if isinstance(value, str) else ""
        if text:
            found[name] = argument.check(_plain(name, text))
        elif argument.required:
            raise InvalidInput(
                name, "is missing", f"give it: {argument.description[0].lower()}{argument.description[1:]}"
            )
    return found


def _plain(name: str, text: str) -> str:
    """Text as it goes into a message that a model reads: short, on one line.

    Raises:
        InvalidInput: it is too long, or has characters that do not print.
    """
    if len(text) > _LONGEST:
        raise InvalidInput(name, f"has {len(text):,} characters", f"give at most {_LONGEST:,}")
    line = " ".join(text.split())
    if not line.isprintable():
        raise InvalidInput(name, f"is {_short(ascii(line))}", "give printable characters")
    return line


def _short(text: str) -> str:
    text = text if text.isprintable() else ascii(text)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


# Arguments.


def _free(name: str, longest: int) -> Callable[[str], str]:
    def check(text: str) -> str:
        if len(text) > longest:
            raise InvalidInput(name, f"has {len(text):,} characters", f"give at most {longest}")
        return text

    return check


def _date(name: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        from wattproof.tools.periods import period_of

        try:
            period_of(text, None, None)
        except InvalidInput as error:
            raise InvalidInput(name, f"is {_short(ascii(text))}", error.fix) from None
        return text

    return check


def _group(text: str) -> str:
    from wattproof.tools.summarize_ledger import GroupBy

    if text not in (known := get_args(GroupBy)):
        raise InvalidInput("group_by", f"is {_short(ascii(text))}", f"give {', '.join(known)}")
    return text


def _models(text: str) -> str:
    from wattproof.methodology.models import find_model

    names = [name.strip() for name in text.split(",") if name.strip()]
    if len(names) > 20:
        raise InvalidInput("models", f"names {len(names)}", "give at most 20")
    return ", ".join(dict.fromkeys(find_model(name).id for name in names))


def _zone(text: str) -> str:
    from wattproof.methodology.zones import zone_average

    return zone_average(text).zone


def _grams(text: str) -> str:
    try:
        grams = float(text)
    except ValueError:
        grams = -1.0
    if not 0 <= grams < 1e9:
        raise InvalidInput("max_carbon_gco2e", f"is {_short(ascii(text))}", "give grams of CO2e, e.g. 0.1")
    return f"{grams:g}"


def _provider(text: str) -> str:
    from wattproof.methodology.closest import closest
    from wattproof.methodology.errors import UnknownProvider
    from wattproof.resources.providers import load_catalogue

    names = {deployment.provider for deployment in load_catalogue()}
    if text not in names:
        raise UnknownProvider(text, closest(text, sorted(names)))
    return text


def _receipt(text: str) -> str:
    if text.startswith("r_") and len(text) <= 60 and text[2:].isalnum() and text.isascii():
        return text
    parts = text.split(".")
    if len(parts) == 3 and all(
        part and part.isascii() and part.replace("-", "").replace("_", "").isalnum() for part in parts
    ):
        return text
    raise InvalidInput("receipt", f"is {_short(ascii(text))}", "give a receipt id (r_...) or the JWS itself")


# Messages.


def _footprint_report(given: Mapping[str, str]) -> str:
    asked = {name: given[name] for name in ("since", "until") if name in given}
    by = given.get("group_by", "model")
    return (
        f"Report the energy and CO2e recorded in this wattproof ledger for {_period_words(given)}.\n"
        f"1. Call summarize_ledger {_json(asked | {'group_by': by})}; follow next_cursor while groups matter.\n"
        "2. Write: total energy and location-based CO2e with their intervals; the market-based figure or why it is "
        f"null; the largest groups by {by}; the share of requests with a known zone; runs not settled; adjustments.\n"
        "3. Name region_scope, energy_source, methodology and renewable_ratio_bps at the end. Compare periods only "
        "by calling the tool for each, and say whether activity, grid or method changed.\n"
        f"{_MANNERS}"
    )


def _period_words(given: Mapping[str, str]) -> str:
    since, until = given.get("since"), given.get("until")
    if since is None and until is None:
        return "all time"
    return f"{since or 'the beginning'} to {until or 'now'} (UTC)"


def _choose_a_model(given: Mapping[str, str]) -> str:
    limits = {name: given[name] for name in ("zone", "provider") if name in given}
    models = given.get("models")
    candidates = f"these models: {models}" if models else "up to 20 models that can do it"
    ceiling = given.get("max_carbon_gco2e")
    limit = f', "max_carbon_gco2e": {ceiling}' if ceiling else ""
    only = f', "providers": ["{given["provider"]}"]' if "provider" in given else ""
    zoned = f', "zones": ["{given["zone"]}"]' if "zone" in given else ""
    return (
        f"Choose a model for the task below, with energy and CO2e in view. Task: {_quoted(given['task'])}\n"
        "1. State the input and output tokens of one typical request, as your assumption.\n"
        f"2. Call estimate_request once with model = {candidates}, those token counts"
        f"{f' and {_json(limits)}' if limits else ''}. It says nothing about quality: judge that apart, and say how.\n"
        "3. For two that are close, call it with baseline=; where meaningful is false they do not differ.\n"
        f'4. Call run_inference {{"model": ..., "messages": [...], "max_output_tokens": ..., "dry_run": true'
        f"{limit}{only}{zoned}}} for the first choice: it shows which deployments may run it and at what price.\n"
        "5. Answer with the choice, its interval, what dominates the interval, and what would change the choice.\n"
        f"{_MANNERS}"
    )


def _audit_a_receipt(given: Mapping[str, str]) -> str:
    receipt = given["receipt"]
    return (
        f"Audit this receipt: {receipt}\n"
        '1. Call verify_receipt {"receipt": <it>, "detail": "full"}.\n'
        '2. Call explain {"subject": <it>} for the formula, the operands and where each comes from.\n'
        "3. Report the five verdicts one by one (signature, inclusion, arithmetic, plausibility, freshness). unknown "
        "is not pass: give its reason. A valid signature says who states it, not that the inputs are true; usage and "
        "place are as stated and were not audited independently.\n"
        "4. List every check whose stated and expected figures differ, the operands that were assumed, and what is "
        "not covered. End with region_scope, energy_source, methodology and renewable_ratio_bps as stated.\n"
        f"{_MANNERS}"
    )


def _json(fields: Mapping[str, str]) -> str:
    import json

    return json.dumps(fields, ensure_ascii=False)


def _quoted(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)


PROMPTS: tuple[PromptSpec, ...] = (
    PromptSpec(
        name="footprint_report",
        title="Footprint report",
        description="Report what this ledger recorded over a period, with intervals and what is unknown.",
        arguments=(
            Argument("since", "First date, e.g. 2026-11-01; default: the beginning", _date("since")),
            Argument("until", "Date after the last one; default: now", _date("until")),
            Argument("group_by", "provider, model, zone, method, tier, status or workload; default model", _group),
        ),
        write=_footprint_report,
    ),
    PromptSpec(
        name="choose_a_model",
        title="Choose a model",
        description="Compare models for a task by estimated energy and CO2e, and show which deployments may run it.",
        arguments=(
            Argument("task", "What the model is to do", _free("task", 2000), required=True),
            Argument("models", "Model ids, separated by commas", _models),
            Argument("zone", "Grid zone where it runs, e.g. FR", _zone),
            Argument("provider", "Only this provider", _provider),
            Argument("max_carbon_gco2e", "Limit on one request in grams, e.g. 0.1", _grams),
        ),
        write=_choose_a_model,
    ),
    PromptSpec(
        name="audit_a_receipt",
        title="Audit a receipt",
        description="Check one receipt and report what each verdict does and does not show.",
        arguments=(Argument("receipt", "Receipt id (r_...) or JWS", _receipt, required=True),),
        write=_audit_a_receipt,
    ),
)
