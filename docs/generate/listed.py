"""What the server lists, asked of the server itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

from mcp.types import Prompt, Resource, ResourceTemplate, Tool

from wattproof.server.app import build_server
from wattproof.server.tool_table import tools_of
from wattproof.tools.deps import Deps

__all__ = ["Listed", "closed", "listed"]


@dataclass(frozen=True, slots=True)
class Listed:
    """The answers to the four `*/list` requests, in the server's order."""

    tools: tuple[Tool, ...]
    prompts: tuple[Prompt, ...]
    resources: tuple[Resource, ...]
    templates: tuple[ResourceTemplate, ...]


@asynccontextmanager
async def closed() -> AsyncGenerator[Deps]:
    """Lets a server start that touches nothing: reading of a home would fail."""
    yield cast("Deps", None)


async def listed(profiles: Iterable[str] = ()) -> Listed:
    """What the server of these profiles lists, without the tools that only its own views call; opens nothing."""
    chosen = tuple(profiles)
    server = build_server(closed, chosen)
    for_models = {spec.name for spec in tools_of(chosen)}
    return Listed(
        tuple(tool for tool in await server.list_tools() if tool.name in for_models),
        tuple(await server.list_prompts()),
        tuple(await server.list_resources()),
        tuple(await server.list_resource_templates()),
    )
