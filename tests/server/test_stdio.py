"""The server over real pipes, in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client, StdioServerParameters

if TYPE_CHECKING:
    from tests.fakes.provider import FakeProvider

ROOT = Path(__file__).parents[2]
RUN: dict[str, Any] = {
    "model": "gpt-oss-120b",
    "messages": [{"role": "user", "content": "hello"}],
    "max_output_tokens": 50,
}

HEAVY = ("nacl", "sqlite3", "sqlite_utils", "wattproof.resources.routing", "wattproof.resources.ledger.ledger")


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WATTPROOF_")}
    return {**kept, "WATTPROOF_HOME": str(home), "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_a_run_and_its_receipt_over_pipes(era: Any, tmp_path: Path, fake_provider: FakeProvider) -> None:
    script = str(Path(__file__).with_name("fake_stdio_server.py"))
    parameters = StdioServerParameters(
        command=sys.executable,
        args=[script, str(tmp_path / "home"), fake_provider.base_url],
        env=environment(tmp_path / "home"),
    )
    async with Client(parameters, mode=era) as client:
        run = await client.call_tool("run_inference", RUN)
        assert not run.is_error, run.content
        assert run.structured_content is not None
        receipt = {"receipt": run.structured_content["receipt_id"]}
        verified = await client.call_tool("verify_receipt", receipt)
        assert verified.structured_content is not None
        assert verified.structured_content["outcome"] == "established"
        summary = await client.call_tool("summarize_ledger", {})
        assert summary.structured_content is not None
        assert summary.structured_content["request_count"] == 1


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_the_console_entry_serves_an_estimate_over_pipes(era: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    parameters = StdioServerParameters(command=sys.executable, args=["-m", "wattproof"], env=environment(home))
    arguments = {"model": "gpt-oss-120b", "input_tokens": 1000, "output_tokens": 400, "zone": "FR"}
    async with Client(parameters, mode=era) as client:
        result = await client.call_tool("estimate_request", arguments)
    assert not result.is_error
    assert not home.exists()


def test_nothing_heavy_is_imported_before_a_tool_needs_it() -> None:
    code = (
        "import sys, json\n"
        "from contextlib import asynccontextmanager\n"
        "import wattproof.server.app as app\n"
        "app.build_server(lambda: None)\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded: list[str] = json.loads(done.stdout)
    assert [name for name in HEAVY if name in loaded] == []
    assert "wattproof.tools.run_inference" in loaded


def test_stdout_carries_protocol_messages_only(tmp_path: Path) -> None:
    initialize = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    done = subprocess.run(
        [sys.executable, "-m", "wattproof"],
        input=json.dumps(initialize) + "\n",
        env=environment(tmp_path / "home"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0])["result"]["serverInfo"]["name"] == "wattproof"
