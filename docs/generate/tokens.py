"""`docs/reference/tokens.md`: what the tools cost a model in tokens, before they are called and when they answer.

Definitions are counted as they go over the wire and as a host hands them to its model. Results are those of real calls
through the SDK to the server, in a new home, with a provider on this machine. What differs from run to run (receipt
ids, latencies) is replaced by one value before it is counted.
"""

from __future__ import annotations

import json
import re
import tempfile
import warnings
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.types import TextContent

from docs.generate.markdown import table
from tests.fakes import dialects, handler, provider
from tests.fakes.installation import Installation
from wattproof.server.app import build_server
from wattproof.server.apps.offered import AppsSetting
from wattproof.server.settings import PROFILES

__all__ = ["BUDGETS", "DEFINITIONS_BUDGET", "ENCODING", "Answer", "answers", "count", "definitions", "render", "wire"]

ENCODING = "o200k_base"
DEFINITIONS_BUDGET = 2500
"""For the definitions of the core profile, as they go over the wire."""

assert dialects
assert handler


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens that a brief result may have, as text and as structured content; None: not limited."""

    text: int
    data: int | None


BUDGETS: Mapping[str, Budget] = {
    "estimate_request": Budget(150, 250),
    "run_inference": Budget(120, 380),
    "track_operation": Budget(150, 270),
    "summarize_ledger": Budget(400, 450),
    "verify_receipt": Budget(150, 220),
    "explain": Budget(300, None),
}
"""For one thing asked about; the text of run_inference is counted without the answer of the model."""

_SONNET = {"model": "claude-sonnet-5-5", "input_tokens": 3000, "output_tokens": 800}
_IN_FRANCE = {"model": "gpt-oss-120b", "input_tokens": 1000, "output_tokens": 400, "zone": "FR"}
_RUN: dict[str, Any] = {
    "model": "gpt-oss-120b:eco",
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
    "max_output_tokens": 400,
}
_STEP = {
    "step_id": "s2",
    "step_kind": "llm",
    "model": "gpt-5.1",
    "usage": {"input_tokens": 3000, "output_tokens": 800},
}
_MONTH = {"since": "2026-11-01", "until": "2026-12-01", "group_by": "provider"}
_BLOCK = {
    "environment_impact": {
        "energy_kwh": 0.00015,
        "carbon_g_co2": 0.06,
        "renewable_percent": 85,
        "pue": 1.18,
        "provider_id": "ovhcloud",
        "location": "FR",
    }
}

_VARYING = (
    (re.compile(r"r_[a-z2-7]{26}"), "r_7q2fm3ee7owhrcxj33gkr64uab"),
    (re.compile(r'"latency_ms":\d+'), '"latency_ms":4100'),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """One call and the tokens of its result. `budgeted` is false where several things were asked about."""

    tool: str
    what: str
    text: int
    data: int
    budgeted: bool = True


@cache
def _encoding() -> Any:
    # It opens its vocabulary by a function that Python has deprecated.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import bpe_openai  # pyright: ignore[reportMissingTypeStubs]

        return bpe_openai.get_encoding(ENCODING)


def count(text: str) -> int:
    """Tokens of `text` in the encoding that several current models share."""
    return len(_encoding().encode(text))


def wire(value: object) -> str:
    """JSON as it is sent: without spaces, unescaped."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def definitions(apps: AppsSetting = "off") -> list[dict[str, Any]]:
    """Every tool of every profile as `tools/list` gives it."""

    async def listed() -> list[dict[str, Any]]:
        with tempfile.TemporaryDirectory() as home:
            server = build_server(Installation(Path(home) / "home").open, PROFILES, apps)
            async with Client(server) as client:
                return [
                    tool.model_dump(mode="json", by_alias=True, exclude_none=True)
                    for tool in (await client.list_tools()).tools
                ]

    return anyio.run(listed)


def answers() -> list[Answer]:
    """The results of realistic calls."""

    async def made() -> list[Answer]:
        with tempfile.TemporaryDirectory() as home, provider.serving() as fake:
            installation = Installation(Path(home) / "home")
            found = [*(await _without_a_ledger(installation))]
            installation.deployments = (
                fake.deployment(provider="ovhcloud"),
                fake.deployment(provider="nebius", zone="FI"),
                fake.deployment(provider="groq", zone=None, location_evidence="unknown"),
            )
            found += await _with_a_ledger(installation)
            installation.home = Path(home) / "another"
            return [*found, *(await _with_a_month(installation))]

    return anyio.run(made)


async def _without_a_ledger(installation: Installation) -> Sequence[Answer]:
    async with _caller(installation) as call:
        several = {**_SONNET, "model": ["claude-sonnet-5-5", "gpt-5.1", "gpt-oss-120b"]}
        return [
            await call("estimate_request", "zone unknown", _SONNET),
            await call("estimate_request", "zone known", _IN_FRANCE),
            await call("estimate_request", "length of the answer unknown", {"model": "gpt-oss-120b", "text": "Hello"}),
            await call("estimate_request", "three models", several, budgeted=False),
            await call("estimate_request", "all methods", {**_IN_FRANCE, "methods": "all"}, budgeted=False),
            await call("run_inference", "dry run", {**_RUN, "max_carbon_intensity": 100, "dry_run": True}),
            await call("verify_receipt", "another vendor's block", {"receipt": _BLOCK}),
            await call("explain", "a method", {"subject": "wattproof/param"}),
            await call("explain", "an estimate", {"subject": _IN_FRANCE}),
        ]


async def _with_a_ledger(installation: Installation) -> Sequence[Answer]:
    async with _caller(installation) as call:
        operation = {"operation_id": "op_r42"}
        budget = {"budget": {"unit": "energy_wh", "limit": 5}}
        found = [
            await call("track_operation", "begin", {"action": "begin", **operation, **budget}),
            await call(
                "run_inference", "in an operation", {**_RUN, **operation, "request_id": "r42-s1", "zones": ["FR"]}
            ),
        ]
        receipt = call.last_receipt
        found += [
            await call("track_operation", "record a step", {"action": "record", **operation, "steps": [_STEP]}),
            await call("track_operation", "end", {"action": "end", **operation}),
        ]
        return [
            *found,
            await call("verify_receipt", "a receipt of this ledger", {"receipt": receipt}),
            await call("explain", "a receipt", {"subject": receipt}),
        ]


async def _with_a_month(installation: Installation) -> Sequence[Answer]:
    """A ledger of 120 requests to three providers, one of which names no zone."""
    async with _caller(installation) as call:
        for name, zone in (("ovhcloud", "FR"), ("nebius", "FI"), ("groq", None)):
            steps = [
                {**_STEP, "step_id": f"{name}-{at}", "model": "gpt-oss-120b", "provider": name, "zone": zone}
                for at in range(40)
            ]
            recorded = {"action": "record", "operation_id": "op_november", "steps": steps}
            await call("track_operation", name, recorded)
        return [await call("summarize_ledger", "a month by provider", _MONTH)]


class _Caller:
    def __init__(self, client: Client) -> None:
        self._client = client
        self.last_receipt = ""

    async def __call__(self, tool: str, what: str, arguments: dict[str, Any], *, budgeted: bool = True) -> Answer:
        result = await self._client.call_tool(tool, arguments)
        block, structured = result.content[0], result.structured_content
        if result.is_error or not isinstance(block, TextContent) or structured is None:
            raise ValueError(f"{tool}, {what}: {block}")
        self.last_receipt = structured.get("receipt_id") or self.last_receipt
        text = block.text.removeprefix(structured.get("answer") or "").lstrip("\n")
        return Answer(tool, what, count(_steady(text)), count(_steady(wire(structured))), budgeted)


@asynccontextmanager
async def _caller(installation: Installation) -> AsyncGenerator[_Caller]:
    async with Client(build_server(installation.open, PROFILES)) as client:
        yield _Caller(client)


def _steady(text: str) -> str:
    for pattern, value in _VARYING:
        text = pattern.sub(value, text)
    return text


def render() -> str:
    """The page."""
    listed, with_views = definitions(), {tool["name"]: tool for tool in definitions("on")}
    core = [tool for tool in listed if tool["name"] in BUDGETS]
    shown = [with_views[tool["name"]] for tool in core]
    hidden = [tool for name, tool in with_views.items() if name not in {tool["name"] for tool in listed}]
    return _PAGE.format(
        encoding=ENCODING,
        core=count(wire(core)),
        budget=f"{DEFINITIONS_BUDGET:,}",
        for_model=sum(count(wire(_for_model(tool))) for tool in core),
        with_views=count(wire([*shown, *hidden])),
        hidden=sum(count(wire(tool)) for tool in hidden),
        definitions=table(
            ("tool", "as listed", "of it: name, description, parameters"),
            ((f"`{t['name']}`", str(count(wire(t))), str(count(wire(_for_model(t))))) for t in listed),
        ),
        answers=table(("call", "text", "budget", "structured", "budget"), _answer_rows()),
    )


def _for_model(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tool[name] for name in ("name", "description", "inputSchema")}


def _answer_rows() -> Iterator[Sequence[str]]:
    for answer in sorted(answers(), key=lambda each: list(BUDGETS).index(each.tool)):
        budget = BUDGETS[answer.tool]
        text, data = (str(part) if answer.budgeted and part is not None else "" for part in (budget.text, budget.data))
        yield f"`{answer.tool}`: {answer.what}", str(answer.text), text, str(answer.data), data


_PAGE = """<!-- Generated by `make docs`; tests/docs/test_generated.py compares it with what the code gives. -->

# What the tools cost in tokens

Counted with the encoding `{encoding}`, in JSON without spaces. Other encodings give other counts.

## Definitions

All definitions of the core profile together, as `tools/list` sends them with output schemas, annotations and `_meta`:
{core} tokens; a test holds them under {budget}. A host that hands its model names, descriptions and parameters only:
{for_model}. A client that shows views gets {with_views}; {hidden} of those are a tool that views call and no model
sees.

{definitions}
`recommend_window` and what stands below it are in profiles that are off by default.
Prompts and resources are not handed to a model before somebody picks them.

## Brief results

The limits are per call about one thing, and are tests. The text of a run is counted without the answer of the model;
its structured content with it.

{answers}
What is longer says how much is not shown: at most 10 rows in the text of a comparison and 20 in its structured content,
3 groups of a summary and a cursor, 3 steps of an operation, 10 operands of an explanation. `detail: "full"` gives the
rest.
"""
