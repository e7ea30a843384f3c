"""The server as a host starts it: over stdio by default, over HTTP with --http."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Generator
from pathlib import Path
from typing import Any

INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


@contextlib.contextmanager
def serving(environ: dict[str, str], *options: str) -> Generator[tuple[subprocess.Popen[str], str, str]]:
    """A `serve --http` process on a free port, its base URL, and everything that it announced."""
    command = [sys.executable, "-m", "wattproof", "serve", "--http", "--port", "0", *options]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            said = process.stderr.readline() + process.stderr.readline()
            url = re.search(r"(http://\S+)/mcp", said)
            assert url is not None, said + process.stderr.read()
            yield process, url[1], said
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=20)


def post(url: str, headers: dict[str, str]) -> tuple[int, str]:
    request = urllib.request.Request(
        f"{url}/mcp",
        json.dumps(INITIALIZE).encode(),
        {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **headers},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_http_asks_for_the_token_that_was_announced(environ: dict[str, str], tmp_path: Path) -> None:
    with serving(environ) as (process, url, said):
        token = re.search(r"Authorization: (Bearer \S{40,})", said)
        assert token is not None
        with urllib.request.urlopen(f"{url}/healthz", timeout=20) as response:
            assert json.load(response)["status"] == "ok"
        assert post(url, {})[0] == 401
        status, body = post(url, {"Authorization": token[1]})
        assert (status, "wattproof" in body) == (200, True)
    assert process.returncode == 130
    assert not (tmp_path / "home").exists()


def test_a_fixed_token_is_used_and_not_shown_and_other_names_are_refused(environ: dict[str, str]) -> None:
    token = "a-long-enough-fixed-token"
    environ["WATTPROOF_HTTP_TOKEN"] = token
    with serving(environ, "--called", "footprint.test") as (_, url, said):
        assert token not in said
        bearer = {"Authorization": f"Bearer {token}"}
        assert post(url, bearer)[0] == 200
        assert post(url, {**bearer, "Host": "footprint.test"})[0] == 200
        assert post(url, {**bearer, "Host": "elsewhere.test"})[0] == 421


def test_without_a_token_what_a_proxy_forwards_is_refused(environ: dict[str, str]) -> None:
    with serving(environ, "--no-auth") as (_, url, _said):
        assert post(url, {})[0] == 200
        assert post(url, {"X-Forwarded-For": "192.0.2.1"})[0] == 403


def test_a_taken_port_is_an_error_that_names_the_option(environ: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "wattproof", "serve", "--http", "--port", port],
            env=environ,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.startswith(f"wattproof: --port {port} is already in use")


def test_without_arguments_it_serves_stdio_and_stdout_holds_the_protocol_alone(
    environ: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wattproof"],
        env=environ,
        cwd=tmp_path,
        input=json.dumps(INITIALIZE) + "\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0
    replies = [json.loads(line) for line in done.stdout.splitlines()]
    assert [reply["id"] for reply in replies] == [1]
    assert replies[0]["result"]["serverInfo"]["name"] == "wattproof"
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_at_a_terminal_it_says_what_it_waits_for(environ: dict[str, str]) -> None:
    master, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "wattproof"],
        env=environ,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(terminal)
        assert process.stderr is not None
        said = process.stderr.readline()
        os.close(master)
        process.kill()
    assert "serving MCP over stdin and stdout" in said


def test_a_wrong_setting_stops_the_server_with_its_name(environ: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "wattproof"],
        env={**environ, "WATTPROOF_ZONE": "Atlantis"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "WATTPROOF_ZONE" in done.stderr


def test_starting_over_stdio_loads_neither_the_command_line_nor_the_ledger(environ: dict[str, str]) -> None:
    code = (
        "import sys, wattproof.server.app; print(sorted({'typer', 'rich', 'sqlite_utils', 'nacl'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
