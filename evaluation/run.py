"""Run a task against the real server, and say what it took."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from evaluation.agent import Agent, count_tokens
from evaluation.policies import POLICIES
from evaluation.seen import CannotRead, Mode
from evaluation.tasks import Task, unmet
from evaluation.worlds import KEYS, PROVIDERS, World, opened
from tests.fakes.installation import Installation
from wattproof.methodology.claims import check_wording
from wattproof.server.app import build_server
from wattproof.server.settings import PROFILES

__all__ = ["Outcome", "Transport", "definition_tokens", "run_task"]

Transport = Literal["memory", "stdio"]

_PROVENANCE = ("region_scope ", "energy_source ", "methodology ", "renewable_ratio_bps ")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a task. `unmet` is empty where it is right; `met` counts refusals, from which it `recovered`."""

    task: str
    mode: Mode
    transport: Transport
    unmet: tuple[str, ...]
    calls: tuple[str, ...]
    met: int
    argument_tokens: int
    result_tokens: int
    answer: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def right(self) -> bool:
        return not self.unmet

    @property
    def recovered(self) -> bool:
        return self.right and self.met > 0


async def run_task(task: Task, mode: Mode, transport: Transport = "memory") -> Outcome:
    """One task from the first call to its checks."""
    with tempfile.TemporaryDirectory(prefix="wattproof-evaluation-") as folder:
        async with opened(task.world, Path(folder)) as world:
            connecting = _in_memory(world) if transport == "memory" else _by_command(world, Path(folder))
            async with connecting as client:
                return await _outcome(task, mode, transport, world, client)


async def _outcome(task: Task, mode: Mode, transport: Transport, world: World, client: Client) -> Outcome:
    agent = Agent(client, mode, {**world.given, **task.given})
    problems: list[str] = []
    found: dict[str, Any] = {}
    try:
        found = await POLICIES[task.id](agent)
    except (CannotRead, AttributeError, LookupError, TypeError, ValueError) as error:
        # Something that the policy looked for is not in what it was shown.
        problems.append(f"cannot be read: {type(error).__name__}: {error}")
    found |= {"sent": world.sent, "errors": len(agent.errors)}
    if "entries" in task.checks:
        summary = await client.call_tool("summarize_ledger", {})
        content: dict[str, Any] = summary.structured_content or {}
        found["entries"] = content.get("request_count")
    return Outcome(
        task=task.id,
        mode=mode,
        transport=transport,
        unmet=(*problems, *(() if problems else unmet(task, found)), *_manners(agent)),
        calls=tuple(agent.calls),
        met=len(agent.errors),
        argument_tokens=agent.argument_tokens,
        result_tokens=agent.result_tokens,
        answer=found,
    )


async def definition_tokens(profiles: Sequence[str]) -> int:
    """What the definitions of the core tools and of these profiles take, once per conversation."""
    with tempfile.TemporaryDirectory() as folder:
        server = build_server(Installation(Path(folder) / "home").open, profiles)
        async with Client(server) as client:
            listed = (await client.list_tools()).tools
    definitions = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in listed]
    return count_tokens(json.dumps(definitions, separators=(",", ":"), ensure_ascii=False))


def _manners(agent: Agent) -> list[str]:
    """What no answer may do: claim too much, or leave out one of the four named fields."""
    problems: list[str] = []
    for text in agent.texts:
        refused = text in agent.errors
        # What a checked claim quotes is not ours.
        own = check_wording(text).findings if not text.startswith("Claim: ") else ()
        problems += [f"a result says “{finding.words}” ({finding.rule.id})" for finding in own]
        if not refused and not all(name in text for name in _PROVENANCE):
            problems.append(f"a result lacks a named field: {text[:80]}")
    return problems


@asynccontextmanager
async def _in_memory(world: World) -> AsyncGenerator[Client]:
    async with Client(build_server(world.installation.open, PROFILES)) as client:
        yield client


@asynccontextmanager
async def _by_command(world: World, folder: Path) -> AsyncGenerator[Client]:
    """The command itself, in a process and a home of its own."""
    home = folder / "command"
    home.mkdir()
    (home / "providers.toml").write_text(PROVIDERS(world.provider.base_url), "utf-8")
    environ = {
        **KEYS,
        "PATH": os.defpath,
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "WATTPROOF_HOME": str(home),
        "WATTPROOF_GRID": "annual",
        "WATTPROOF_PROFILES": ",".join(PROFILES),
    }
    command = StdioServerParameters(command=sys.executable, args=["-m", "wattproof"], env=environ)
    async with Client(stdio_client(command)) as client:
        yield client
