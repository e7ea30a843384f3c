"""What running for a team adds to a call over HTTP: limits, safe headers, metrics, one log line.

    python benchmarks/bench_http.py [--rounds 7] [--json]

full      `estimate_request` over `serve --http` as it is
bare      the same application behind the same guard, without limits, metrics and log, on uvicorn as it comes
workers   `serve --http --workers 2`, which counts in files that the workers share

The servers take turns, call by call on one kept connection each, so that noise hits all of them; figures are medians.
Exit status 1 when a target is missed: full and workers at most 1.15 times bare.
"""

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGETS = {"full/bare": 1.15, "workers/bare": 1.15}
TOKEN = "a-long-random-word-for-the-benchmark"
CALLS_PER_ROUND = 150
CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {
        "name": "estimate_request",
        "arguments": {"model": "gpt-oss-120b", "input_tokens": 1000, "output_tokens": 400, "zone": "FR"},
    },
}
BODY = json.dumps(CALL).encode()
HEADERS = {
    "Authorization": f"Bearer {TOKEN}",
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
}


def serve_bare() -> None:
    """The application on uvicorn, as it would be without the parts that are measured."""
    import uvicorn

    from wattproof.server.app import build_server
    from wattproof.server.http import build_http_app
    from wattproof.server.listen import bind
    from wattproof.server.open import open_deps
    from wattproof.server.settings import load_settings

    settings = load_settings(os.environ)
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        print(f"http://127.0.0.1:{port}/mcp\n", file=sys.stderr, flush=True)
        server = build_server(partial(open_deps, settings))
        app = build_http_app(server, token=TOKEN, host="127.0.0.1", port=port, allow_keyed_runs=True)
        config = uvicorn.Config(app, http="h11", ws="none", log_level="warning", timeout_keep_alive=60)
        uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def connected(command: list[str], home: str) -> Generator[http.client.HTTPConnection]:
    """A kept connection to a server of its own process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WATTPROOF_", "OTEL_"))}
    ours = {
        "WATTPROOF_HOME": home,
        "WATTPROOF_OFFLINE": "1",
        "WATTPROOF_HTTP_TOKEN": TOKEN,
        "WATTPROOF_LIMITS": "calls=1000000/1000000",
        "PYTHONPATH": str(ROOT),
    }
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, env={**kept, **ours}, stderr=said)
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port_in(said.fileno()), timeout=30)
            yield connection
            connection.close()
        finally:
            process.terminate()
            process.wait(30)


def port_in(descriptor: int) -> int:
    """The port that the server announces."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = re.search(rb"http://127\.0\.0\.1:(\d+)/mcp\n", os.pread(descriptor, 4096, 0))
        if found:
            return int(found[1])
        time.sleep(0.02)
    raise SystemExit("a server did not start")


def call_ms(connection: http.client.HTTPConnection) -> float:
    """The time of one call in milliseconds."""
    began = time.perf_counter()
    connection.request("POST", "/mcp", BODY, HEADERS)
    response = connection.getresponse()
    answer = response.read()
    took_ms = 1000 * (time.perf_counter() - began)
    if response.status != 200 or b"carbon_gco2e" not in answer:
        raise SystemExit(f"{response.status}: {answer[:300]!r}")
    return took_ms


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure what running for a team adds to a call over HTTP.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve-bare", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_bare:
        serve_bare()
        return 0
    serve = [sys.executable, "-m", "wattproof", "serve", "--http", "--port", "0"]
    commands = {
        "bare": [sys.executable, __file__, "--serve-bare"],
        "full": serve,
        "workers": [*serve, "--workers", "2"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as home, ExitStack() as stack:
        servers = {name: stack.enter_context(connected(command, home)) for name, command in commands.items()}
        for connection in servers.values():
            for _ in range(30):
                call_ms(connection)
        for _ in range(options.rounds * CALLS_PER_ROUND):
            for name, connection in servers.items():
                times[name].append(call_ms(connection))
    medians = {name: statistics.median(found) for name, found in times.items()}
    ratios = {target: medians[target.partition("/")[0]] / medians["bare"] for target in TARGETS}
    figures = {f"{name}_ms": round(value, 3) for name, value in medians.items()}
    figures |= {name: round(ratio, 3) for name, ratio in ratios.items()}
    missed = [name for name, ratio in ratios.items() if ratio > TARGETS[name]]
    if options.json:
        print(json.dumps({"figures": figures, "targets": TARGETS, "missed": missed}))
    else:
        for name, value in figures.items():
            target = f"   (target {TARGETS[name]})" if name in TARGETS else ""
            print(f"{name:14} {value}{target}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
