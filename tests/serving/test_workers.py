"""Several processes on one socket: the same token, one ledger, one sum of metrics, and a replacement for who dies."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ElicitRequestParams, ElicitResult

from wattproof.server.serving.workers import Backoff

if TYPE_CHECKING:
    from tests.serving.conftest import Serve, Serving

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers in /proc")

TOKEN = "a-long-random-word-for-tests"
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json, text/event-stream"}
RUN: dict[str, Any] = {
    "model": "gpt-oss-120b",
    "messages": [{"role": "user", "content": "hello"}],
    "max_output_tokens": 50,
}


def workers(serving: Serving) -> set[int]:
    pid = serving.process.pid
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def run(serving: Serving) -> bool:
    """One run on a connection of its own, again until it is answered: a worker may die under it."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "run_inference", "arguments": RUN}}
    try:
        answer = httpx2.post(f"{serving.url}/mcp", json=message, headers=HEADERS, timeout=60)
    except httpx2.TransportError:
        return False
    assert answer.status_code == 200
    assert '"receipt_id":"r_' in answer.text
    return True


def refused(serving: Serving) -> bool:
    answer = httpx2.post(f"{serving.url}/mcp", content=b"not understood, so a run", headers=HEADERS, timeout=60)
    return answer.status_code == 429 and answer.json()["error"]["data"]["limit"] == "runs"


def budget(home: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "wattproof", "budget", *arguments, "--tenant"]
    subprocess.run(command, env={**os.environ, "WATTPROOF_HOME": str(home)}, check=True, capture_output=True)


def entries(home: Path) -> int:
    connection = sqlite3.connect(home / "ledger.sqlite3")
    (count,) = connection.execute("SELECT count(*) FROM entry").fetchone()
    connection.close()
    return count


async def test_two_workers_serve_one_ledger_and_whoever_is_killed_is_replaced(serve: Serve, tmp_path: Path) -> None:
    budget(tmp_path / "home", "set", "--limit", "1 tokens")
    # prometheus_client leaves the files that the workers share to the end of the process.
    variables = {"PYTHONWARNINGS": "error,ignore::ResourceWarning", "WATTPROOF_LIMITS": "runs=60/30"}
    with serve("--workers", "2", **variables) as serving, ThreadPoolExecutor(4) as threads:
        until(lambda: answers(serving) and len(workers(serving)) == 2)
        first = workers(serving)
        assert await asked_on_new_connections(serving) == 4
        before = entries(tmp_path / "home")
        budget(tmp_path / "home", "remove", "--unit", "tokens")
        answered = sum(threads.map(run, [serving] * 12))
        assert answered == 12
        # As many as were counted by both together.
        metrics = httpx2.get(f"{serving.url}/metrics", headers=HEADERS, timeout=60).text
        counted = re.search(r'wattproof_runs_total\{[^}]*status="completed"\} (\d+)', metrics)
        assert counted is not None
        assert int(counted[1]) == before + 12
        os.kill(min(first), signal.SIGKILL)
        until(lambda: len(workers(serving)) == 2 and min(first) not in workers(serving))
        assert max(first) in workers(serving)
        answered += sum(threads.map(run, [serving] * 6))
        assert answered >= 16
        assert entries(tmp_path / "home") >= before + answered
        # Whichever worker is asked, the rate is that of the caller.
        until(lambda: refused(serving))
        serving.process.send_signal(signal.SIGTERM)
        assert serving.process.wait(timeout=30) == 0
    assert any('"worker ended"' in line and '"SIGKILL"' in line for line in serving.lines)
    assert not any("Traceback" in line for line in serving.lines)


async def asked_on_new_connections(serving: Serving) -> int:
    """Runs that exceed a budget: each question comes from one worker, and any of them takes the answer."""
    asked: list[str] = []

    async def answer(context: Any, params: ElicitRequestParams) -> ElicitResult:
        assert context is not None
        asked.append(params.message)
        return ElicitResult(action="accept", content={"approve": True})

    alone = httpx2.Limits(max_keepalive_connections=0)
    async with (
        httpx2.AsyncClient(headers=HEADERS, limits=alone, timeout=60) as http,
        Client(
            streamable_http_client(f"{serving.url}/mcp", http_client=http), mode="auto", elicitation_callback=answer
        ) as client,
    ):
        for _ in range(4):
            assert not (await client.call_tool("run_inference", RUN)).is_error
    return len(asked)


def test_workers_end_with_the_process_that_forked_them(serve: Serve) -> None:
    with serve("--workers", "2") as serving:
        until(lambda: answers(serving))
        pids = workers(serving)
        serving.process.kill()
        serving.process.wait()
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def answers(serving: Serving) -> bool:
    try:
        return httpx2.get(f"{serving.url}/healthz", timeout=60).status_code == 200
    except httpx2.TransportError:
        return False


def test_who_dies_at_once_again_and_again_is_replaced_ever_later() -> None:
    backoff = Backoff(first_s=0.1, longest_s=1.0, long_life_s=60.0)
    assert [backoff.pause_s(0.0) for _ in range(7)] == [0.0, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert backoff.pause_s(61.0) == 0.0
    assert backoff.pause_s(1.0) == 0.1
