"""API keys and tenants as an operator meets them: commands beside a server that runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from wattproof.methodology.errors import InvalidInput
from wattproof.server.cli import run_command
from wattproof.server.doctor import examine
from wattproof.server.settings import load_settings

ACCEPT = {"Accept": "application/json, text/event-stream"}
INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
}
STEP = {"step_id": "s1", "model": "gpt-oss-120b", "zone": "FR", "usage": {"input_tokens": 100, "output_tokens": 50}}


@contextmanager
def serving(environ: dict[str, str], *options: str) -> Generator[tuple[str, str]]:
    """The address of `serve --http` on a free port, and what it announced."""
    command = [sys.executable, "-m", "wattproof", "serve", "--http", "--port", "0", *options]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            said = process.stderr.readline() + process.stderr.readline()
            found = re.search(r"http://\S+/mcp", said)
            assert found is not None, said + process.stderr.read()
            yield found[0], said
        finally:
            process.terminate()
            process.wait(timeout=20)


def status(url: str, text: str) -> int:
    return httpx2.post(url, json=INITIALIZE, headers={**ACCEPT, "Authorization": f"Bearer {text}"}).status_code


def recorded(url: str, text: str) -> str:
    arguments = {"action": "record", "operation_id": "op", "steps": [STEP]}
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "track_operation", "arguments": arguments},
    }
    reply = httpx2.post(url, json=call, headers={**ACCEPT, "Authorization": f"Bearer {text}"}, timeout=30)
    return reply.text


@pytest.fixture
def wattproof(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """What a command prints, run in this process: a new one for each would take long."""
    for name in [each for each in os.environ if each.startswith("WATTPROOF_")]:
        monkeypatch.delenv(name)

    def run(*arguments: str, **variables: str) -> str:
        with monkeypatch.context() as patched:
            for name, value in {**environ, **variables}.items():
                if name.startswith("WATTPROOF_"):
                    patched.setenv(name, value)
            assert run_command(arguments) == 0
        return capfd.readouterr().out

    return run


def test_keys_are_made_used_and_revoked_beside_a_running_server(
    environ: dict[str, str], wattproof: Callable[..., str]
) -> None:
    alice = json.loads(wattproof("apikey", "create", "alice", "--json"))
    with serving(environ) as (url, said):
        assert "<an API key" in said
        assert "Bearer wp_" not in said
        assert status(url, alice["key"]) == 200
        bob = json.loads(wattproof("apikey", "create", "bob", "--json"))
        assert status(url, bob["key"]) == 200
        assert "op" in recorded(url, alice["key"])
        wattproof("apikey", "revoke", alice["id"])
        assert status(url, alice["key"]) == 401
        assert status(url, bob["key"]) == 200
    whose = {row["tenant"]: row for row in json.loads(wattproof("tenants", "--json"))}
    assert whose[alice["tenant"]] == {"tenant": alice["tenant"], "entries": 1, "subjects": ["alice"]}
    assert whose[bob["tenant"]]["entries"] == 0
    # What the operator looks at and limits is the log that is named.
    of_alice = {"WATTPROOF_TENANT": alice["tenant"]}
    assert json.loads(wattproof("summary", "--json", **of_alice))["request_count"] == 1
    assert json.loads(wattproof("summary", "--json"))["request_count"] == 0
    wattproof("budget", "set", "--tenant", "--limit", "5 Wh", **of_alice)
    assert "5" in wattproof("budget", **of_alice)
    assert "No budgets" in wattproof("budget")
    listed = wattproof("apikey")
    assert "revoked" in listed
    assert "last used 20" in listed


async def test_doctor_says_how_callers_are_known_and_draws_no_secret(environ: dict[str, str], tmp_path: Path) -> None:
    async def said(**variables: str) -> tuple[str, str]:
        checks = await examine({**environ, **variables})
        (found,) = [check for check in checks if check.name == "serve --http"]
        return found.level, found.detail

    assert await said() == ("ok", "one token for everybody, drawn at start")
    assert await said(WATTPROOF_HTTP_AUTH="keys,token") == (
        "ok",
        "one token for everybody, drawn at start; 0 active API keys; its secret is drawn at the first start",
    )
    oauth = {
        "WATTPROOF_OAUTH_ISSUER": "https://login.example",
        "WATTPROOF_OAUTH_RESOURCE": "https://watt.example/mcp",
        "WATTPROOF_OAUTH_JWKS": str(tmp_path / "jwks.json"),
        "WATTPROOF_INSTANCE_SECRET": "a-secret-that-is-long-enough-for-this",
    }
    assert await said(**oauth) == ("ok", "access tokens of https://login.example for https://watt.example/mcp")
    level, detail = await said(**{**oauth, "WATTPROOF_OAUTH_JWKS": ""})
    assert level == "fail"
    assert "WATTPROOF_OAUTH_JWKS is not set" in detail
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("tenant", ["alice", "t_short", "*", "../x", "T_" + "a" * 26])
def test_a_tenant_that_is_none_is_refused(tenant: str) -> None:
    with pytest.raises(InvalidInput, match="WATTPROOF_TENANT"):
        load_settings({"WATTPROOF_TENANT": tenant})
