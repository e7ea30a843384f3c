"""Write what the fast start answers: ``python -m wattproof.server.bake``, also part of ``make contracts``.

Run it after every change to a tool, a resource, a prompt, the instructions, a profile or the SDK's version. It starts
the real server in memory with every combination of settings, plays a client of every version of the protocol, with and
without views, and keeps what the server answers. `faststart_answers` says how the file is laid out.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version as installed_version
from itertools import combinations
from pathlib import Path
from typing import Any

import anyio
from mcp.server import MCPServer
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter
from mcp.types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_MODERN_VERSION

from wattproof import __version__
from wattproof.server.app import build_server
from wattproof.server.apps.offered import APPS_SETTINGS, EXTENSION, VIEW_MIME, AppsSetting
from wattproof.server.faststart_answers import BAKED_FILE, FORMAT, LISTS, client_key, settings_key
from wattproof.server.settings import PROFILES

__all__ = ["HOW", "bake", "clients", "live_answers", "settings_groups", "text_of"]

HOW = "python -m wattproof.server.bake"
"""The command that writes the file."""

Wire = dict[str, Any]

_INFO = {"name": "bake", "version": "1"}
_PREFIX = '{"jsonrpc":"2.0","id":1,"result":'


def settings_groups() -> tuple[tuple[tuple[str, ...], AppsSetting], ...]:
    """Every group of settings that lists depend on: profiles, and who is offered views."""
    sizes = range(len(PROFILES) + 1)
    return tuple(
        (profiles, apps) for apps in APPS_SETTINGS for size in sizes for profiles in combinations(PROFILES, size)
    )


def clients() -> tuple[tuple[str, bool], ...]:
    """Every kind of client: the protocol's version, and whether it shows views."""
    versions = (*HANDSHAKE_PROTOCOL_VERSIONS, LATEST_MODERN_VERSION)
    return tuple((version, shows_views) for shows_views in (False, True) for version in versions)


def requests_of(version: str, shows_views: bool) -> Iterator[tuple[str, Wire]]:
    """The requests that are baked for one kind of client, in order: method and message, each with the id 1."""
    capabilities = {"extensions": {EXTENSION: {"mimeTypes": [VIEW_MIME]}}} if shows_views else {}
    if version == LATEST_MODERN_VERSION:
        meta = {
            "io.modelcontextprotocol/protocolVersion": version,
            "io.modelcontextprotocol/clientInfo": _INFO,
            "io.modelcontextprotocol/clientCapabilities": capabilities,
        }
        for method in ("server/discover", *LISTS):
            yield method, {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta}}
        return
    params = {"protocolVersion": version, "capabilities": capabilities, "clientInfo": _INFO}
    yield "initialize", {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    for method in ("ping", *LISTS):
        yield method, {"jsonrpc": "2.0", "id": 1, "method": method}


@asynccontextmanager
async def _nothing() -> AsyncGenerator[Any]:
    yield None


async def live_answers(server: MCPServer[Any], version: str, shows_views: bool) -> dict[str, str]:
    """What the server answers to one kind of client: each method and its result as the server writes it.

    Raises:
        ValueError: the server answers with an error.
    """
    into, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](math.inf)
    outgoing, out = anyio.create_memory_object_stream[SessionMessage](math.inf)
    lowlevel: Any = server._lowlevel_server  # pyright: ignore[reportPrivateUsage]
    found: dict[str, str] = {}
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lowlevel.run, incoming, outgoing, lowlevel.create_initialization_options())
        for method, message in requests_of(version, shows_views):
            await into.send(SessionMessage(jsonrpc_message_adapter.validate_python(message, by_name=False)))
            answer = (await out.receive()).message.model_dump_json(by_alias=True, exclude_unset=True)
            if not answer.startswith(_PREFIX):
                raise ValueError(f"{method} at {version} was answered with {answer}")
            found[method] = answer.removeprefix(_PREFIX).removesuffix("}")
        into.close()
    out.close()
    return found


async def bake() -> Wire:
    """The content of the file, from the live server."""
    results, parts = _Kept(), _Kept()
    answers: dict[str, dict[str, dict[str, int]]] = {}
    for profiles, apps in settings_groups():
        server = build_server(_nothing, profiles, apps)
        by_client = answers[settings_key(profiles, apps)] = {}
        for version, shows_views in clients():
            offered = shows_views if apps == "auto" else apps == "on"
            live = await live_answers(server, version, shows_views)
            by_client[client_key(version, offered)] = {
                method: results.number(_in_parts(method, json.loads(text), parts)) for method, text in live.items()
            }
    return {
        "format": FORMAT,
        "wattproof": __version__,
        "sdk": ".".join(installed_version("mcp").split(".")[:2]),
        "handshake_versions": list(HANDSHAKE_PROTOCOL_VERSIONS),
        "stateless_version": LATEST_MODERN_VERSION,
        "parts": parts.values,
        "results": results.values,
        "answers": answers,
    }


def _in_parts(method: str, result: Wire, parts: _Kept) -> Wire:
    field = LISTS.get(method)
    return result if field is None else {**result, field: [parts.number(item) for item in result[field]]}


class _Kept:
    """Values, each kept once, in the order in which they were first seen."""

    def __init__(self) -> None:
        self.values: list[Wire] = []
        self._numbers: dict[str, int] = {}

    def number(self, value: Wire) -> int:
        """The number of `value`."""
        text = json.dumps(value)
        if text not in self._numbers:
            self._numbers[text] = len(self.values)
            self.values.append(value)
        return self._numbers[text]


def text_of(baked: Wire) -> str:
    """The file: one part, one result and one kind of client a line, so that a difference shows what has changed."""

    def lines(values: Sequence[Any]) -> str:
        return ",\n".join(json.dumps(value, ensure_ascii=False, separators=(",", ":")) for value in values)

    def client_lines(by_client: Wire) -> str:
        return ",\n".join(f"{json.dumps(client)}:{json.dumps(numbers)}" for client, numbers in by_client.items())

    head = ",\n".join(
        f"{json.dumps(name)}:{json.dumps(value)}"
        for name, value in baked.items()
        if name not in ("parts", "results", "answers")
    )
    groups = ",\n".join(f"{json.dumps(name)}:{{\n{client_lines(group)}}}" for name, group in baked["answers"].items())
    return (
        f'{{{head},\n"parts":[\n{lines(baked["parts"])}],\n"results":[\n{lines(baked["results"])}],\n'
        f'"answers":{{\n{groups}}}}}\n'
    )


def main() -> None:
    """Write the file."""
    path = Path(BAKED_FILE)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text_of(anyio.run(bake)), encoding="utf-8")


if __name__ == "__main__":
    main()
