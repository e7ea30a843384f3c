"""How fast the server starts, and what it holds in memory, beside a server on the bare SDK with one tool.

    python benchmarks/bench_start.py [--rounds 5] [--json]

hello_ms    spawn of a server on the bare SDK to its reply to `initialize`
module_ms   the same for `python -m wattproof`
script_ms   the same for the console script `wattproof`
first_ms    spawn of `python -m wattproof` to its first result of `estimate_request`, asked for as soon as the reply to
            `initialize` is there
trivial_ms  the same for the one tool of the bare SDK's server
rss_mb      resident memory after that result
bare_mb     the same for the bare SDK's server

The servers take turns, spawn by spawn, so that noise and cold caches hit all of them; figures are medians. Exit status
1 when a target is missed: hello at least 10 times module and script, first at most 1.35 times trivial, rss at most 1.3
times bare.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.bench_server import ARGUMENTS, HELLO, INITIALIZE, environment

AT_LEAST = {"hello/module": 10.0, "hello/script": 10.0}
AT_MOST = {"first/trivial": 1.35, "rss/bare": 1.3}
SPAWNS_PER_ROUND = 3

MODULE = [sys.executable, "-m", "wattproof"]
SCRIPT = [str(Path(sys.executable).with_name("wattproof"))]
BARE = [sys.executable, "-c", HELLO]

INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    params = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}


def spawned(command: list[str], env: dict[str, str], asked: dict[str, Any] | None) -> tuple[float, float, float]:
    """Milliseconds to the reply to `initialize` and to the result of the call, and resident memory then, in MB."""
    first = memory = 0.0
    start = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(INITIALIZE).encode() + b"\n")
        child.stdin.flush()
        reply = child.stdout.readline()
        ready = time.perf_counter() - start
        assert b'"result"' in reply, reply
        if asked is not None:
            child.stdin.write(json.dumps(INITIALIZED).encode() + b"\n" + json.dumps(asked).encode() + b"\n")
            child.stdin.flush()
            reply = child.stdout.readline()
            first = time.perf_counter() - start
            result = json.loads(reply)["result"]
            assert not result.get("isError"), reply
            memory = resident_mb(child.pid)
        child.stdin.close()
        child.wait(30)
    return ready * 1e3, first * 1e3, memory


def resident_mb(pid: int) -> float:
    """Resident memory of a process; from the process table where it is not Linux."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024
    done = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def measure(rounds: int) -> dict[str, float]:
    ready: dict[str, list[float]] = {"hello_ms": [], "module_ms": [], "script_ms": []}
    calls: dict[str, list[tuple[float, float]]] = {"trivial": [], "first": []}
    with tempfile.TemporaryDirectory() as home:
        env = environment(home)
        for command in (BARE, MODULE, SCRIPT):
            spawned(command, env, None)
        for _ in range(rounds * SPAWNS_PER_ROUND):
            for name, command in (("hello_ms", BARE), ("module_ms", MODULE), ("script_ms", SCRIPT)):
                ready[name].append(spawned(command, env, None)[0])
            calls["trivial"].append(spawned(BARE, env, call("hello", {"name": "you"}))[1:])
            calls["first"].append(spawned(MODULE, env, call("estimate_request", ARGUMENTS))[1:])
    medians = {name: statistics.median(values) for name, values in ready.items()}
    for name, memory in (("trivial", "bare_mb"), ("first", "rss_mb")):
        medians[f"{name}_ms"] = statistics.median(taken for taken, _ in calls[name])
        medians[memory] = statistics.median(held for _, held in calls[name])
    return medians | {
        "hello/module": medians["hello_ms"] / medians["module_ms"],
        "hello/script": medians["hello_ms"] / medians["script_ms"],
        "first/trivial": medians["first_ms"] / medians["trivial_ms"],
        "rss/bare": medians["rss_mb"] / medians["bare_mb"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    figures = measure(given.rounds)
    missed = [name for name, least in AT_LEAST.items() if figures[name] < least]
    missed += [name for name, most in AT_MOST.items() if figures[name] > most]
    if given.json:
        print(json.dumps({"figures": figures, "targets": {**AT_LEAST, **AT_MOST}, "missed": missed}))
    else:
        for name, value in figures.items():
            target = f"   at least {AT_LEAST[name]:g}" if name in AT_LEAST else ""
            target = f"   at most {AT_MOST[name]:g}" if name in AT_MOST else target
            print(f"{name:<16}{value:>10.2f}{target}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
