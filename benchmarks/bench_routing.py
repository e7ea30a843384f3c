"""What a run through the server adds to a direct call of the same upstream, beside LiteLLM's proxy, in one run.

    python benchmarks/bench_routing.py [--rounds 7] [--peer] [--json]

direct     a streamed chat completion of a local upstream that answers at once, by httpx2
wattproof  `run_inference` over streamable HTTP: decision, durable try, the same call, durable entry and signed receipt
litellm    the same completion through LiteLLM's proxy, without a database; it decides nothing and records nothing
streams    200 runs at a time through the engine in one process: on invented providers, and over sockets

Each server is a process of its own. The ways take turns, call by call, so that noise hits all of them; figures are
medians, and what a way adds is its median less the direct one's. LiteLLM is installed only with `--peer`, a release of
a fixed version, in a virtual environment under the user's cache folder; once it is there it is measured every time.
Without it its figures are null and `peer` says why. Exit status 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2

ROOT = Path(__file__).resolve().parent.parent
MODEL = "gpt-oss-120b"
# 1.107.0 was reported as compromised: never that one.
PEER_VERSION = "1.100.5"
CALLS_PER_ROUND = 40
WARM_UP_CALLS = 20
STREAMS = 200
TOKEN = "a-long-random-word-for-the-benchmark"
LEAST = {"litellm/wattproof": 4.0}
AIM = {"litellm/wattproof": 8.0}

MESSAGES = [{"role": "user", "content": "What is the capital of France? Answer in one sentence. " * 8}]
CHAT = {
    "model": MODEL,
    "messages": MESSAGES,
    "max_tokens": 64,
    "stream": True,
    "stream_options": {"include_usage": True},
}
HEADERS = {
    "authorization": f"Bearer {TOKEN}",
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2025-11-25",
}
ROWS = """
[[provider]]
provider = "bench-upstream"
base_url = "http://127.0.0.1:{port}/v1"
zone = "FR"
[[provider.model]]
model = "gpt-oss-120b"
"""
PEER_CONFIG = """
model_list:
  - model_name: gpt-oss-120b
    litellm_params: {{model: openai/gpt-oss-120b, api_base: "http://127.0.0.1:{port}/v1", api_key: none}}
"""


def serve_upstream() -> None:
    """An OpenAI-compatible upstream that answers at once; a model called slow takes about a second."""
    import uvicorn

    def event(choices: list[dict[str, Any]], **more: Any) -> bytes:
        head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
        return b"data: " + json.dumps({**head, "choices": choices, **more}).encode() + b"\n\n"

    pieces = [event([{"index": 0, "delta": {"role": "assistant", "content": f"piece {n} "}}]) for n in range(6)]
    pieces.append(event([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    pieces.append(event([], usage={"prompt_tokens": 100, "completion_tokens": 24, "total_tokens": 124}))
    pieces.append(b"data: [DONE]\n\n")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        slow = b'"slow"' in body
        kind = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": kind})
        for piece in pieces:
            if slow:
                await asyncio.sleep(0.1)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print(listener.getsockname()[1], flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off")).run(sockets=[listener])


@contextmanager
def child(arguments: list[str], environ: dict[str, str], pattern: str | None) -> Generator[tuple[Any, int]]:
    """A process, and the port that it prints (0 without a pattern)."""
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, env=environ
    ) as process:
        try:
            yield process, 0 if pattern is None else printed_port(process, pattern)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def printed_port(process: Any, pattern: str) -> int:
    for line in process.stdout:
        found = re.search(pattern, line)
        if found:
            return int(found[1])
    raise RuntimeError("the server ended before it listened")


def environment(home: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WATTPROOF_", "LITELLM_"))}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "WATTPROOF_HOME": home,
        "WATTPROOF_OFFLINE": "1",
        "WATTPROOF_HTTP_TOKEN": TOKEN,
    }


@contextmanager
def wattproof_server(upstream: int) -> Generator[int]:
    with tempfile.TemporaryDirectory() as home:
        Path(home, "providers.toml").write_text(ROWS.format(port=upstream))
        arguments = [sys.executable, "-m", "wattproof", "serve", "--http", "--port", "0"]
        with child(arguments, environment(home), r"127\.0\.0\.1:(\d+)/mcp") as (_, port):
            yield port


def peer_folder() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("wattproof-bench", appauthor=False) / f"litellm-{PEER_VERSION}"


def peer_program(install: bool) -> tuple[Path | None, str]:
    """LiteLLM's proxy, or why it is not there."""
    folder = peer_folder()
    program = folder / "bin" / "litellm"
    if program.exists():
        return program, f"litellm {PEER_VERSION}"
    if not install:
        return None, f"litellm {PEER_VERSION} is not installed; --peer installs it under the user's cache folder"
    folder.parent.mkdir(parents=True, exist_ok=True)
    for arguments in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", f"litellm[proxy]=={PEER_VERSION}"],
    ):
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        if done.returncode:
            return None, f"litellm {PEER_VERSION} could not be installed: {done.stderr.strip()[-200:]}"
    return program, f"litellm {PEER_VERSION}"


@contextmanager
def peer_server(program: Path | None, upstream: int) -> Generator[int | None]:
    if program is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.yaml")
        config.write_text(PEER_CONFIG.format(port=upstream))
        environ = {**environment(folder), "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONPATH": ""}
        environ.pop("DATABASE_URL", None)
        arguments = [str(program), "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
        log = Path(folder, "log")
        with log.open("w") as sink:
            process = subprocess.Popen(arguments, stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, env=environ)
            try:
                yield port if answers(f"http://127.0.0.1:{port}/health/liveliness", process) else None
            finally:
                process.terminate()
                process.wait(20)


def answers(url: str, process: subprocess.Popen[Any]) -> bool:
    """Whether the server comes up within two minutes."""
    until = time.monotonic() + 120
    with httpx2.Client(trust_env=False) as client:
        while time.monotonic() < until and process.poll() is None:
            with suppress(httpx2.TransportError):
                if client.get(url).status_code == 200:
                    return True
            time.sleep(0.2)
    return False


async def completion(client: httpx2.AsyncClient, port: int) -> None:
    """A streamed completion, read to its end."""
    body = b""
    async with client.stream("POST", f"http://127.0.0.1:{port}/v1/chat/completions", json=CHAT) as response:
        async for chunk in response.aiter_raw():
            body += chunk
    assert b"[DONE]" in body, body[:500]


async def run_inference(client: httpx2.AsyncClient, port: int) -> None:
    """A run, read to its result."""
    arguments = {"model": MODEL, "messages": MESSAGES, "max_output_tokens": 64, "providers": ["bench-upstream"]}
    call = {"name": "run_inference", "arguments": arguments}
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    response = await client.post(f"http://127.0.0.1:{port}/mcp", json=request, headers=HEADERS)
    assert b'"receipt_id":"r_' in response.content, response.content[:1000]


async def turns(rounds: int, upstream: int, ours: int, peer: int | None) -> dict[str, list[float]]:
    """Milliseconds of each way, taking turns."""
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        ways: dict[str, Callable[[], Awaitable[None]]] = {
            "direct": lambda: completion(client, upstream),
            "wattproof": lambda: run_inference(client, ours),
        }
        if peer is not None:
            ways["litellm"] = lambda: completion(client, peer)
        taken: dict[str, list[float]] = {name: [] for name in ways}
        names = list(ways)
        for turn in range(WARM_UP_CALLS + rounds * CALLS_PER_ROUND):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                begun = time.perf_counter()
                await ways[name]()
                if turn >= WARM_UP_CALLS:
                    taken[name].append((time.perf_counter() - begun) * 1e3)
    return taken


async def streams(upstream: int | None) -> dict[str, Any]:
    """Many runs at a time through the engine: over sockets to `upstream`, or (None) on an invented provider."""
    import anyio

    from wattproof.methodology.errors import WattproofError
    from wattproof.resources.ledger import open_ledger
    from wattproof.resources.providers import ChatRequest
    from wattproof.resources.providers.transport import open_client
    from wattproof.resources.receipts import Issuer
    from wattproof.resources.routing import Policy
    from wattproof.resources.runs import RunDeps, RunRequest, RunSettled, execute
    from wattproof.server.simulate.fleet import FleetTransport, Profile, Provider, World
    from wattproof.server.simulate.rows import ENVIRON, deployments, provider_rows

    profile = Profile(host="sim-fr.invalid", first_token_s=0.5, tokens_per_s=100.0, jitter=0.0, capacity=STREAMS)
    provider = Provider(profile, World(7, time.time, anyio.sleep))
    row = next(d for d in deployments(provider_rows()) if d.provider == "sim-fr" and d.model == MODEL)
    if upstream is not None:
        row = replace(row, base_url=f"http://127.0.0.1:{upstream}/v1", native_model="slow", local=True)
    fleet = httpx2.AsyncClient(transport=FleetTransport({profile.host: provider}), trust_env=False)
    errors: list[str] = []
    done: list[RunSettled] = []
    with tempfile.TemporaryDirectory() as home:
        issuer = Issuer(secrets.token_bytes(32))
        ledger = open_ledger(
            Path(home, "h"), clock=time.time, random_bytes=secrets.token_bytes, simulation=True, issuer=issuer
        )
        async with ledger, fleet if upstream is None else open_client() as client:
            deps = RunDeps(
                ledger=ledger,
                client=client,
                catalogue=(row,),
                log_id="bench",
                environ=ENVIRON,
                clock=time.time,
                monotonic=time.monotonic,
                random_bytes=secrets.token_bytes,
            )

            async def one(number: int) -> None:
                chat = ChatRequest(({"role": "user", "content": f"Question {number}"},), 150)
                try:
                    async with aclosing(execute(RunRequest(model=MODEL, chat=chat), Policy(), deps)) as events:
                        *_, last = [event async for event in events]
                    assert isinstance(last, RunSettled)
                    done.append(last)
                except WattproofError as error:
                    errors.append(str(error)[:200])

            begun = time.perf_counter()
            async with anyio.create_task_group() as group:
                for number in range(STREAMS):
                    group.start_soon(one, number)
            wall_s = time.perf_counter() - begun
    figures = {"completed": len(done), "errors": len(errors), "first_error": errors[0] if errors else None}
    at_a_time = {"most_at_a_time": provider.most_in_flight} if upstream is None else {}
    return figures | at_a_time | {"wall_s": round(wall_s, 3)}


def measure(rounds: int, install: bool) -> dict[str, Any]:
    program, peer = peer_program(install)
    arguments = [sys.executable, __file__, "--upstream"]
    with (
        child(arguments, environment(""), r"^(\d+)$") as (_, upstream),
        wattproof_server(upstream) as ours,
        peer_server(program, upstream) as theirs,
    ):
        if program is not None and theirs is None:
            peer = f"{peer} did not start"
        taken = asyncio.run(turns(rounds, upstream, ours, theirs))
        many = {"streams_invented": asyncio.run(streams(None)), "streams_sockets": asyncio.run(streams(upstream))}
    medians = {name: statistics.median(values) for name, values in taken.items()}
    figures: dict[str, Any] = {f"{name}_ms": round(value, 3) for name, value in medians.items()}
    figures.setdefault("litellm_ms", None)
    added = {name: medians[name] - medians["direct"] for name in ("wattproof", "litellm") if name in medians}
    figures |= {f"{name}_adds_ms": round(value, 3) for name, value in added.items()}
    figures.setdefault("litellm_adds_ms", None)
    ratio = added["litellm"] / added["wattproof"] if "litellm" in added else None
    return {**figures, "litellm/wattproof": None if ratio is None else round(ratio, 2), "peer": peer, **many}


def missed(figures: dict[str, Any]) -> list[str]:
    """Targets that were not met; what was not measured is not missed."""
    found = [name for name, least in LEAST.items() if figures[name] is not None and figures[name] < least]
    many = ("streams_invented", "streams_sockets")
    return found + [name for name in many if figures[name]["errors"] or figures[name]["completed"] != STREAMS]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peer", action="store_true", help="install LiteLLM where it is missing")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = measure(given.rounds, given.peer)
    failed = missed(figures)
    ratio = figures["litellm/wattproof"]
    met = {
        "at least 4x less than litellm": None if ratio is None else ratio >= LEAST["litellm/wattproof"],
        "aim: 8x less than litellm": None if ratio is None else ratio >= AIM["litellm/wattproof"],
        f"{STREAMS} streams without an error": not any(name.startswith("streams") for name in failed),
    }
    if given.json:
        print(json.dumps({"figures": figures, "targets": {"least": LEAST, "aim": AIM}, "met": met, "missed": failed}))
    else:
        for name, value in figures.items():
            print(f"{name:<22}{value}")
        for name, held in met.items():
            print(f"{name:<40}{'not measured' if held is None else 'yes' if held else 'NO'}")
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--upstream"]:
        serve_upstream()
    else:
        sys.exit(main())
