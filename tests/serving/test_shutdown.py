"""Stopping a serving process: what is in flight may end, what does not is settled, and nothing is left open."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

if TYPE_CHECKING:
    from tests.fakes.provider import FakeProvider
    from tests.serving.conftest import Serve, Serving

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="stops processes by signals")

TOKEN = "a-long-random-word-for-tests"
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json, text/event-stream"}
RUN: dict[str, Any] = {
    "model": "gpt-oss-120b",
    "messages": [{"role": "user", "content": "hello"}],
    "max_output_tokens": 50,
}
VERSION = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}


def run(serving: Serving, request_id: str, *, modern: bool = False) -> Any:
    """One run over HTTP, in either era; the answer."""
    params: dict[str, Any] = {"name": "run_inference", "arguments": {**RUN, "request_id": request_id}}
    headers = dict(HEADERS)
    if modern:
        params["_meta"] = META
        headers |= {"MCP-Protocol-Version": VERSION, "Mcp-Method": "tools/call", "Mcp-Name": "run_inference"}
    message = {"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}
    return httpx2.post(f"{serving.url}/mcp", json=message, headers=headers, timeout=60)


def heard(provider: FakeProvider, requests: int) -> None:
    """Return once so many requests have reached the provider."""
    deadline = time.monotonic() + 30
    while len(provider.received) < requests:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def refused(serving: Serving) -> None:
    """Return once the server takes no new connections."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            httpx2.get(f"{serving.url}/healthz", timeout=60)
        except httpx2.TransportError:
            return
    pytest.fail("it still takes connections")


def attempts(home: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(home / "ledger.sqlite3") as connection:
        found = connection.execute("SELECT request_id, state FROM attempt ORDER BY request_id").fetchall()
    connection.close()
    return found


def told(answer: Any) -> dict[str, Any]:
    """The JSON-RPC message of an answer, whichever way it came."""
    text = answer.text
    return json.loads(text.partition("data: ")[2] if "data: " in text else text)


def test_runs_that_do_not_end_in_time_are_settled_and_their_clients_told(
    serve: Serve, fake_provider: FakeProvider, tmp_path: Path
) -> None:
    fake_provider.script("hang_mid")
    with (
        serve(WATTPROOF_LIMITS="grace_s=0") as serving,
        ThreadPoolExecutor() as threads,
        httpx2.Client(headers=HEADERS, timeout=60) as kept,
    ):
        assert kept.get(f"{serving.url}/readyz").status_code == 200
        waiting = [threads.submit(run, serving, name, modern=name == "modern") for name in ("legacy", "modern")]
        heard(fake_provider, 2)
        serving.process.send_signal(signal.SIGTERM)
        assert serving.process.wait(timeout=30) == 0
        answers = {future.result().request.headers.get("MCP-Protocol-Version"): future.result() for future in waiting}
    for answer in answers.values():
        assert told(answer)["error"]["data"] == {"limit": "stopping"} | (
            {"retry_after_s": 1} if answer.status_code == 503 else {}
        )
    assert answers[VERSION].status_code == 503
    assert answers[VERSION].headers["retry-after"] == "1"
    assert attempts(tmp_path / "home") == [("legacy", "cancelled"), ("modern", "cancelled")]
    outcomes = [json.loads(line)["outcome"] for line in serving.lines if '"call"' in line]
    assert outcomes == ["cancelled", "cancelled"]
    assert not any("Traceback" in line for line in serving.lines)


def test_a_call_in_flight_ends_while_new_ones_are_refused(
    serve: Serve, fake_provider: FakeProvider, tmp_path: Path
) -> None:
    fake_provider.script("slow_body")
    with serve() as serving, ThreadPoolExecutor() as threads:
        busy = threads.submit(run, serving, "slow")
        heard(fake_provider, 1)
        serving.process.send_signal(signal.SIGTERM)
        refused(serving)
        answer = busy.result()
        assert serving.process.wait(timeout=30) == 0
    assert "receipt_id" in told(answer)["result"]["structuredContent"]
    assert attempts(tmp_path / "home") == [("slow", "settled")]


def test_a_second_signal_ends_it_at_once(serve: Serve, fake_provider: FakeProvider) -> None:
    fake_provider.script("hang")
    with serve(WATTPROOF_LIMITS="grace_s=60") as serving, ThreadPoolExecutor() as threads:
        busy = threads.submit(run, serving, "hung")
        heard(fake_provider, 1)
        serving.process.send_signal(signal.SIGTERM)
        # Only once the first one was heeded is the next a second one.
        refused(serving)
        serving.process.send_signal(signal.SIGTERM)
        assert serving.process.wait(timeout=20) == 128 + signal.SIGTERM
        with pytest.raises(httpx2.TransportError):
            busy.result()
