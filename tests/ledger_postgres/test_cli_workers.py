"""Several serving processes on one database: whoever is killed in the middle, what was acknowledged is there, once."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

if TYPE_CHECKING:
    from tests.ledger_postgres.conftest import Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers in /proc"),
]

ROOT = Path(__file__).parents[2]
TOKEN = "a-long-random-word-for-tests"
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json, text/event-stream"}
ISSUER, LOG = (base64.urlsafe_b64encode(bytes([n]) * 32).decode().rstrip("=") for n in (1, 2))


@pytest.fixture
def environ(server: Server, tmp_path: Path) -> Iterator[dict[str, str]]:
    yield {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "WATTPROOF_HOME": str(tmp_path / "home"),
        "WATTPROOF_OFFLINE": "1",
        "WATTPROOF_LEDGER": server.owner,
        "WATTPROOF_ISSUER_KEY": ISSUER,
        "WATTPROOF_LOG_KEY": LOG,
        "WATTPROOF_HTTP_TOKEN": TOKEN,
        "WATTPROOF_LIMITS": "calls=off",
    }
    server.sql("DROP SCHEMA IF EXISTS wattproof CASCADE")


def recorded(url: str, step: int) -> bool:
    """Record one step on a connection of its own; False where the worker died under it."""
    given = {
        "step_id": f"s{step}",
        "model": "gpt-oss-120b",
        "zone": "FR",
        "usage": {"input_tokens": 9, "output_tokens": 9},
    }
    arguments: dict[str, Any] = {"action": "record", "operation_id": "op", "steps": [given]}
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "track_operation", "arguments": arguments},
    }
    try:
        answer = httpx2.post(f"{url}/mcp", json=message, headers=HEADERS, timeout=60)
    except httpx2.TransportError:
        return False
    return answer.status_code == 200 and '"isError":false' in answer.text.replace(" ", "")


def test_a_killed_worker_loses_no_step_that_was_acknowledged(environ: dict[str, str]) -> None:
    command = [sys.executable, "-m", "wattproof", "serve", "--http", "--port", "0", "--workers", "2"]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = re.search(r"(http://\S+)/mcp", process.stderr.readline())
        assert found is not None
        url = found[1]
        try:
            ready(url)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            victim = int(children.read_text().split()[0])
            with ThreadPoolExecutor(4) as threads:
                done = [threads.submit(recorded, url, step) for step in range(24)]
                while not any(step.done() for step in done):
                    time.sleep(0.005)
                os.kill(victim, signal.SIGKILL)
                acknowledged = {number for number, step in enumerate(done) if step.result()}
                # Asked again under the same name, a step is recorded once.
                again = {number for number in range(24) if recorded(url, number)}
        finally:
            process.terminate()
            process.wait(timeout=30)
    assert process.returncode == 0
    assert len(acknowledged) >= 12
    assert again == set(range(24))
    status = wattproof(environ, "operation", "status", "op", "--json")
    assert json.loads(status)["step_count"] == 24, status
    # It would not exit with 0 if anything differed.
    wattproof(environ, "ledger", "fsck")


def ready(url: str) -> None:
    """Return once every part of the server works."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx2.get(f"{url}/readyz", timeout=60).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.02)
    pytest.fail("the server did not become ready")


def wattproof(environ: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, "-m", "wattproof", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=True).stdout
