"""The installations in which the tasks play: real ledger and server, providers and grid sources on 127.0.0.1."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.fakes.installation import NOON, Installation
from tests.fakes.provider import FakeProvider, serving
from wattproof.resources.grid import GridConnection, Observation, Place
from wattproof.resources.providers import load_user_rows
from wattproof.tools import Deps
from wattproof.tools.operation_arguments import OperationArgs, StepGiven
from wattproof.tools.run_inference import RunArgs, run_inference
from wattproof.tools.track_operation import track_operation

__all__ = ["KEYS", "PROVIDERS", "World", "opened"]

HOUR = 3600
MODEL = "gpt-oss-120b"
SMALL = "mistral-small-3.2-24b"
KEYS = {
    "LOIRE_API_KEY": "k-loire",
    "FJORD_API_KEY": "k-fjord",
    "WISLA_API_KEY": "k-wisla",
    "CLOUDY_API_KEY": "k-cloudy",
}

_ROW = """
[[provider]]
provider = "{name}"
base_url = "{base_url}"
key_env = "{key}"
{place}
[[provider.model]]
model = "{model}"
price = {{ input = "{inp}", output = "{out}", currency = "USD", source = "price list", checked_at = 2026-11-01 }}
"""
_DECLARED = 'zone = "{zone}"\nlocation_evidence = "declared"\nchecked_at = 2026-11-01\n'


def PROVIDERS(base_url: str) -> str:  # noqa: N802  (a template)
    """Four providers as a user states them: FR, Sweden, Poland, and one that names no place."""
    rows = (
        ("loire", "FR", MODEL, "0.09", "0.47"),
        ("loire", "FR", SMALL, "0.05", "0.10"),
        ("fjord", "SE-SE3", MODEL, "0.12", "0.60"),
        ("wisla", "PL", MODEL, "0.04", "0.20"),
        ("cloudy", None, MODEL, "0.01", "0.05"),
    )
    return "".join(
        _ROW.format(
            name=name,
            base_url=base_url,
            key=f"{name.upper()}_API_KEY",
            place="" if zone is None else _DECLARED.format(zone=zone),
            model=model,
            inp=inp,
            out=out,
        )
        for name, zone, model, inp, out in rows
    )


@dataclass
class World:
    """An installation, its providers, and what the user knows of it beforehand."""

    installation: Installation
    provider: FakeProvider
    given: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def sent(self) -> int:
        """How many requests reached a provider since the task began."""
        return len(self.provider.received) - int(self.given.get("sent_before", 0))


@asynccontextmanager
async def opened(name: str, home: Path) -> AsyncGenerator[World]:
    """The world of a task, prepared."""
    with serving() as provider:
        installation = Installation(home / "home", environ=dict(KEYS))
        world = World(installation, provider)
        if name != "bare":
            home.mkdir(parents=True, exist_ok=True)
            (home / "providers.toml").write_text(PROVIDERS(provider.base_url), "utf-8")
            installation.deployments = load_user_rows(home / "providers.toml").deployments
        await _PREPARED[name](world)
        world.given["sent_before"] = len(provider.received)
        yield world


async def _nothing(_world: World) -> None:
    """The world is ready."""


async def _run(deps: Deps, **changes: Any) -> str:
    asked: dict[str, Any] = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "Where is the Eiffel Tower?"}],
        "max_output_tokens": 50,
    }
    result = await run_inference(RunArgs(**{**asked, **changes}), deps)
    assert result.receipt_id is not None
    return result.receipt_id


async def _history(world: World) -> None:
    """October: project x on two models, a part of it at a provider without a place; project y; a run today."""
    at = world.installation
    at.now_s = NOON - 20 * 24 * HOUR
    async with at.open() as deps:
        for number in range(3):
            await _run(deps, providers=["loire"], tags=["project-x"], request_id=f"x{number}")
        await _run(deps, providers=["loire"], model=SMALL, tags=["project-x"], request_id="x-small")
        for number in range(2):
            await _run(deps, providers=["cloudy"], tags=["project-x"], request_id=f"x-cloudy{number}")
        await _run(deps, providers=["wisla"], tags=["project-y"], request_id="y1")
    at.now_s = NOON
    async with at.open() as deps:
        world.given["receipt"] = await _run(deps, providers=["loire"], request_id="today")
        jws = await (await deps.ledger()).get_jws(world.given["receipt"])
    assert jws is not None
    header, payload, signature = jws.split(".")
    world.given["changed_jws"] = ".".join((header, payload, ("A" if signature[0] != "A" else "B") + signature[1:]))


async def _yesterday(world: World) -> None:
    """A workflow of yesterday: three steps, one of them made again."""
    at = world.installation
    at.now_s = NOON - 24 * HOUR
    async with at.open() as deps:
        await track_operation(OperationArgs(action="begin", operation_id="op_report"), deps)
        steps = [
            _step("search", MODEL, 2_000, 200),
            _step("draft", "claude-sonnet-5-5", 6_000, 2_500),
            _step("draft-again", "claude-sonnet-5-5", 6_000, 1_000, retry_of="draft"),
            _step("title", "claude-haiku-5-5", 500, 20),
        ]
        await track_operation(OperationArgs(action="record", operation_id="op_report", steps=steps), deps)
    at.now_s = NOON


def _step(step_id: str, model: str, inputs: int, outputs: int, **more: Any) -> StepGiven:
    usage = {"input_tokens": inputs, "output_tokens": outputs}
    return StepGiven.model_validate({"step_id": step_id, "model": model, "usage": usage, **more})


async def _failing(world: World) -> None:
    world.provider.script("500", "ok")


async def _down(world: World) -> None:
    world.provider.script("503")


async def _forecast(world: World) -> None:
    """Electricity in FR gets less carbon-intensive at 15:00, in SE-SE3 it stays as it is."""
    world.installation.grid_sources = (
        _Forecasts({"FR": (60.0, 58.0, 55.0, 30.0, 29.0, 31.0, 33.0, 40.0), "PL": (700.0,) * 8}),
    )


@dataclass
class _Forecasts:
    """A grid source with an hourly forecast per zone from noon on."""

    values: dict[str, tuple[float, ...]]
    name: str = "exampledesk"
    title: str = "Example desk"
    key_env: tuple[str, ...] = ()
    basis: Literal["average", "marginal"] = "average"
    factor_scope: Literal["lifecycle", "direct"] = "lifecycle"

    def covers(self, place: Place) -> bool:
        return place.zone in self.values

    async def latest(self, place: Place, connection: GridConnection) -> Observation:
        return self._observations(place)[0]

    async def forecast(self, place: Place, until_s: float, connection: GridConnection) -> tuple[Observation, ...]:
        return self._observations(place)

    async def history(self, place: Place, connection: GridConnection) -> tuple[Observation, ...]:
        return ()

    def _observations(self, place: Place) -> tuple[Observation, ...]:
        return tuple(
            Observation(
                zone=place.zone,
                value_gco2e_per_kwh=value,
                starts_at=int(NOON) + at * HOUR,
                step_s=HOUR,
                received_at=int(NOON),
                basis="average",
                factor_scope="lifecycle",
                accounting="consumption",
                evidence="forecast",
                source=self.name,
                licence="CC BY 4.0",
            )
            for at, value in enumerate(self.values[place.zone])
        )


async def _logs(world: World) -> None:
    """Somebody who used Claude Code yesterday: two sessions, one of them on another model."""
    user = world.installation.home.parent / "user"
    folder = user / ".claude" / "projects" / "-home-ada-engine"
    folder.mkdir(parents=True)
    world.installation.environ["HOME"] = str(user)
    for session, model, answers in (("s-1", "claude-sonnet-4-6", 12), ("s-2", "claude-haiku-4-5", 8)):
        lines = [_logged(session, model, at) for at in range(answers)]
        (folder / f"{session}.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")


def _logged(session: str, model: str, at: int) -> dict[str, Any]:
    """One answer as Claude Code logs it."""
    usage = {"input_tokens": 200, "cache_read_input_tokens": 20_000, "output_tokens": 300}
    return {
        "type": "assistant",
        "sessionId": session,
        "cwd": "/home/ada/engine",
        "timestamp": f"2026-11-04T10:{at:02}:00Z",
        "message": {
            "id": f"msg_{session}_{at}",
            "role": "assistant",
            "model": model,
            "stop_reason": "end_turn",
            "usage": usage,
        },
    }


_PREPARED: dict[str, Callable[[World], Awaitable[None]]] = {
    "bare": _nothing,
    "market": _nothing,
    "history": _history,
    "yesterday": _yesterday,
    "failing": _failing,
    "down": _down,
    "forecast": _forecast,
    "logs": _logs,
}
