"""What a run through the server adds to a direct call of the same upstream, beside LiteLLM's proxy, in one run.

    python benchmarks/bench_routing.py [--rounds 7] [--peer] [--json]

direct     a streamed chat completion of a local upstream that answers at once, by httpx2
wattproof  `run_inference` over streamable HTTP: decision, durable try, the same call, durable entry and signed receipt
litellm    the same completion through LiteLLM's proxy, without a database; it decides nothing and records nothing
streams    200 runs at a time through the engine in one process: on invented providers, and over sockets

Each server is a process of its own. The ways take turns, call by call, so that noise hits all of them; figures are
medians, and what a way adds is its median less the direct one's. `cpu` is the CPU time of the server process per call,
which neighbours on the machine distort less. LiteLLM is installed only with `--peer`, a release of
a fixed version, in a virtual environment under the user's cache folder; once it is there it is measured every time.
Without it its figures are null and `peer` says why. Exit status 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.routing_servers import (
    MODEL,
    TOKEN,
    Listening,
    peer_program,
    peer_server,
    upstream_server,
    wattproof_server,
)

CALLS_PER_ROUND = 40
STREAMS = 200
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


Way = Callable[[httpx2.AsyncClient], Awaitable[None]]


async def turns(ways: dict[str, Way], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each way, taking turns."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        for turn in range(rounds * CALLS_PER_ROUND):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                begun = time.perf_counter()
                await ways[name](client)
                taken[name].append((time.perf_counter() - begun) * 1e3)
    return taken


async def cpu_ms(way: Way, server: Listening, calls: int) -> float | None:
    """CPU time that the server spends on one call."""
    before = server.cpu_ms()
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
        for _ in range(calls):
            await way(client)
    after = server.cpu_ms()
    return None if before is None or after is None else (after - before) / calls


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
    with (
        upstream_server() as upstream,
        wattproof_server(upstream) as ours,
        peer_server(program, upstream) as theirs,
    ):
        ways: dict[str, Way] = {
            "direct": lambda client: completion(client, upstream),
            "wattproof": lambda client: run_inference(client, ours.port),
        }
        servers = {"wattproof": ours}
        if theirs is not None:
            port = theirs.port
            ways["litellm"] = lambda client: completion(client, port)
            servers["litellm"] = theirs
        elif program is not None:
            peer = f"{peer} did not start"
        asyncio.run(turns(ways, 1))
        taken = asyncio.run(turns(ways, rounds))
        cpu = {f"{n}_cpu_ms": asyncio.run(cpu_ms(ways[n], at, rounds * CALLS_PER_ROUND)) for n, at in servers.items()}
        many = {"streams_invented": asyncio.run(streams(None)), "streams_sockets": asyncio.run(streams(upstream))}
    return {
        **compared({name: statistics.median(values) for name, values in taken.items()}),
        **cpu,
        "peer": peer,
        **many,
    }


def compared(medians: dict[str, float]) -> dict[str, float | None]:
    """The medians [ms], what each way adds to the direct one, and how many times more LiteLLM adds."""
    added = {name: medians[name] - medians["direct"] for name in medians if name != "direct"}
    figures: dict[str, float | None] = {f"{name}_ms": value for name, value in medians.items()}
    figures |= {f"{name}_adds_ms": value for name, value in added.items()}
    figures["litellm/wattproof"] = added["litellm"] / added["wattproof"] if "litellm" in added else None
    return {"litellm_ms": None, "litellm_adds_ms": None, **figures}


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
            print(f"{name:<22}{round(value, 3) if isinstance(value, float) else value}")
        for name, held in met.items():
            print(f"{name:<40}{'not measured' if held is None else 'yes' if held else 'NO'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
