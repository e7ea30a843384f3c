"""What a call costs beside a tool on the bare SDK, and what our own code takes of it.

    python benchmarks/bench_server.py [--rounds 7] [--json]

call      `estimate_request`, one call in flight, by the SDK's client, which validates each result; over stdio and over
          HTTP (loopback, no token)
prebuilt  the same with a tool written as the SDK means it, `-> Annotated[CallToolResult, Model]`, that returns the
          finished result: same parameters, same published schema, same bytes; over stdio by the SDK's own transport,
          over HTTP behind the same limits, guard and log (bench_http.py says what those take)
bare      the same over HTTP by the SDK alone, without anything that guards it
own       our code for one call, without protocol, from arguments to finished result (least of all batches)

The two servers of a comparison take turns, call by call, so that noise hits both; figures are medians. Exit status 1
when a target is missed: call at most 1.2 times prebuilt over stdio and over HTTP, own at most 100 us. How the server
starts: bench_start.py.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

from mcp import Client, StdioServerParameters
from mcp.server import MCPServer
from mcp.server.mcpserver.tools import Tool
from mcp.types import CallToolResult
from pydantic import create_model

from wattproof import __version__
from wattproof.server import app, listen
from wattproof.server.mcp_tools import sdk_tool
from wattproof.server.open import open_deps
from wattproof.server.settings import load_settings
from wattproof.server.tool_table import TOOLS
from wattproof.tools.estimate_request import EstimateResult

ROOT = Path(__file__).resolve().parent.parent
TARGETS = {"stdio_call/prebuilt": 1.2, "http_call/prebuilt": 1.2, "own_us": 100.0}
ARGUMENTS: dict[str, Any] = {
    "model": "gpt-oss-120b",
    "input_tokens": 1000,
    "output_tokens": 400,
    "zone": "FR",
}
CALLS_PER_ROUND = 200
CALLS_PER_BATCH = 50

HELLO = """
from mcp.server import MCPServer
server = MCPServer("hello", version="1")
@server.tool()
async def hello(name: str) -> str:
    return f"Hello, {name}"
server.run("stdio")
"""

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "bench", "version": "1"},
    },
}


def serve_prebuilt() -> None:
    """A server whose one tool returns the result in the file that argv names: over stdio, over HTTP if a port follows,
    and behind our own guard and limits if `guarded` follows that.
    """
    kept = json.loads(Path(sys.argv[2]).read_bytes())["result"]
    result = CallToolResult.model_validate(kept)
    # A brief answer holds a part of the fields; a tool that the SDK is to check says which.
    told = {name: field for name, field in EstimateResult.model_fields.items() if name in kept["structuredContent"]}
    fields: Any = {name: (field.annotation, field) for name, field in told.items()}
    model: Any = create_model("Prebuilt", **fields)

    async def estimate_request(
        model: str,
        input_tokens: int | None = None,
        text: str | None = None,
        output_tokens: int | None = None,
        cached_input_tokens: int | None = None,
        reasoning_tokens: int | None = None,
        provider: str | None = None,
        zone: str | None = None,
        workload: str | None = None,
        methods: list[str] | None = None,
        boundary: str | None = None,
        detail: str | None = None,
    ) -> Annotated[CallToolResult, model]:
        return result

    tool = Tool.from_function(estimate_request)
    ours = sdk_tool(TOOLS[0])
    tool.fn_metadata.output_schema = ours.output_schema
    tool.parameters = ours.parameters
    server = MCPServer("wattproof", version=__version__, tools=[tool], log_level="WARNING")
    if sys.argv[4:] == ["guarded"]:
        served: Any = server

        def build_server(*_given: Any, **_named: Any) -> Any:
            return served

        app.build_server = build_server
        settings = load_settings(os.environ)
        listen.serve_http(settings, "127.0.0.1", int(sys.argv[3]), authenticated=False, say=lambda _words: None)
    elif len(sys.argv) > 3:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[3]), stateless_http=True)
    else:
        server.run("stdio")


def environment(home: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WATTPROOF_")}
    ours = {"WATTPROOF_HOME": home, "WATTPROOF_OFFLINE": "1", "WATTPROOF_LIMITS": "calls=1000000/1000000"}
    return {**kept, **ours, "PYTHONPATH": str(ROOT)}


class Unasked(SimpleNamespace):
    """A call of nobody in particular: whatever is asked about the client is unknown."""

    def __getattr__(self, _name: str) -> None:
        return None


async def own_us(home: str, rounds: int) -> tuple[float, CallToolResult]:
    """Our code for one call, in microseconds, and what it returns."""
    tool = sdk_tool(TOOLS[0])
    async with open_deps(load_settings(environment(home))) as deps:
        context: Any = Unasked(request_context=SimpleNamespace(lifespan_context=deps, request=None))
        result = await tool.fn(dict(ARGUMENTS), context)
        batches: list[float] = []
        for _ in range(rounds * 10):
            start = time.perf_counter()
            for _ in range(CALLS_PER_BATCH):
                await tool.fn(dict(ARGUMENTS), context)
            batches.append((time.perf_counter() - start) / CALLS_PER_BATCH * 1e6)
    # The least: what the code takes where no neighbour has the processor.
    return min(batches), result


async def call_us(client: Client) -> float:
    start = time.perf_counter()
    result = await client.call_tool("estimate_request", ARGUMENTS)
    taken = time.perf_counter() - start
    assert not result.is_error, result.content
    return taken * 1e6


async def in_turns(clients: list[Client], rounds: int) -> list[list[float]]:
    """Microseconds of each call of each server."""
    answers = [await client.call_tool("estimate_request", ARGUMENTS) for client in clients]
    contents = [json.dumps(answer.structured_content) for answer in answers]
    assert len({len(content) for content in contents}) == 1, "the tools must return as many bytes"
    measured: list[list[float]] = [[] for _ in clients]
    for turn in range(rounds * CALLS_PER_ROUND):
        for step in range(len(clients)):
            which = (turn + step) % len(clients)
            measured[which].append(await call_us(clients[which]))
    return measured


async def stdio_calls(home: str, kept: Path, rounds: int) -> list[list[float]]:
    env = environment(home)
    ours = StdioServerParameters(command=sys.executable, args=["-m", "wattproof"], env=env)
    prebuilt = StdioServerParameters(command=sys.executable, args=[__file__, "--prebuilt", str(kept)], env=env)
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client(parameters)) for parameters in (ours, prebuilt)]
        return await in_turns(clients, rounds)


async def http_calls(home: str, kept: Path, rounds: int) -> list[list[float]]:
    prebuilt = [__file__, "--prebuilt", str(kept)]
    ports = [free_port() for _ in range(3)]
    commands = (
        ["-m", "wattproof", "serve", "--http", "--no-auth", "--port", str(ports[0])],
        [*prebuilt, str(ports[1]), "guarded"],
        [*prebuilt, str(ports[2])],
    )
    with ExitStack() as servers:
        for command, port in zip(commands, ports, strict=True):
            servers.enter_context(listening(command, port, home))
        async with AsyncExitStack() as stack:
            urls = [f"http://127.0.0.1:{port}/mcp" for port in ports]
            clients = [await stack.enter_async_context(Client(url)) for url in urls]
            return await in_turns(clients, rounds)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextmanager
def listening(arguments: list[str], port: int, home: str) -> Generator[None]:
    """A server in its own process, from when it answers on its port."""
    child = subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(home)
    )
    try:
        while not answers(port):
            assert child.poll() is None, "the server ended"
            time.sleep(0.05)
        yield
    finally:
        child.terminate()
        child.wait(30)


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def measure(rounds: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as home:
        own, result = asyncio.run(own_us(home, rounds))
        kept = Path(home) / "prebuilt.json"
        kept.write_text(json.dumps({"result": result.model_dump(mode="json", by_alias=True)}))
        stdio = [statistics.median(taken) for taken in asyncio.run(stdio_calls(home, kept, rounds))]
        http = [statistics.median(taken) for taken in asyncio.run(http_calls(home, kept, rounds))]
    return {
        "own_us": own,
        "stdio_call_us": stdio[0],
        "stdio_prebuilt_us": stdio[1],
        "http_call_us": http[0],
        "http_prebuilt_us": http[1],
        "http_bare_us": http[2],
        "stdio_call/prebuilt": stdio[0] / stdio[1],
        "http_call/prebuilt": http[0] / http[1],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = measure(given.rounds)
    missed = [name for name, most in TARGETS.items() if figures[name] > most]
    if given.json:
        print(json.dumps({"figures": figures, "targets": TARGETS, "missed": missed}))
    else:
        for name, value in figures.items():
            target = f"   at most {TARGETS[name]:g}" if name in TARGETS else ""
            print(f"{name:<20}{value:>10.2f}{target}")
    return 1 if missed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--prebuilt"]:
        serve_prebuilt()
    else:
        sys.exit(main())
