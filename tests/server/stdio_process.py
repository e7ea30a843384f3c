"""A server in its own process, spoken to line by line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

__all__ = ["ROOT", "StdioProcess", "environment", "initialize", "request", "stateless"]

ROOT = Path(__file__).parents[2]
GATED = str(Path(__file__).with_name("gated_stdio_server.py"))
INFO = {"name": "test", "version": "1"}

Wire = dict[str, Any]


def environment(home: Path, **settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WATTPROOF_")}
    return {**kept, "WATTPROOF_HOME": str(home), "WATTPROOF_OFFLINE": "1", "PYTHONPATH": str(ROOT), **settings}


def request(request_id: Any, method: str, params: Wire | None = None) -> Wire:
    message = {"jsonrpc": "2.0", "id": request_id, "method": method}
    return message if params is None else {**message, "params": params}


def initialize(request_id: Any, version: str = "2025-11-25", capabilities: Wire | None = None) -> Wire:
    params = {"protocolVersion": version, "capabilities": capabilities or {}, "clientInfo": INFO}
    return request(request_id, "initialize", params)


def stateless(request_id: Any, method: str, params: Wire | None = None, capabilities: Wire | None = None) -> Wire:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": INFO,
        "io.modelcontextprotocol/clientCapabilities": capabilities or {},
    }
    return request(request_id, method, {**(params or {}), "_meta": meta})


class StdioProcess:
    """`python -m wattproof`, or with `gate` the same whose loading waits for `let_load`."""

    def __init__(
        self,
        env: dict[str, str],
        *,
        gate: bool = False,
        base_url: str | None = None,
        arguments: Sequence[str] = ("-m", "wattproof"),
    ) -> None:
        gate_reading, self._gate = os.pipe()
        if gate:
            arguments = [GATED, str(gate_reading), *([base_url] if base_url else [])]
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            pass_fds=(gate_reading,),
        )
        os.close(gate_reading)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.stdin, self.stdout, self.stderr = self.process.stdin, self.process.stdout, self.process.stderr

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.stdin, self.stdout, self.stderr):
            try:
                pipe.close()
            except BrokenPipeError:
                continue
        if self._gate >= 0:
            os.close(self._gate)

    def let_load(self) -> None:
        os.close(self._gate)
        self._gate = -1

    def send(self, *messages: Wire | bytes) -> None:
        for message in messages:
            self.stdin.write(message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n")
        self.stdin.flush()

    def receive(self) -> Wire:
        line = self.stdout.readline()
        assert line.endswith(b"\n"), self.stderr.read().decode()
        return json.loads(line)

    def answers(self, ids: Iterable[Any]) -> dict[str, Wire]:
        """The answers to these requests, in whatever order they come; nothing else may come."""
        wanted = {json.dumps(i) for i in ids}
        found: dict[str, Wire] = {}
        while wanted - found.keys():
            message = self.receive()
            key = json.dumps(message["id"])
            assert key in wanted, message
            assert key not in found, message
            found[key] = message
        return found

    def end(self) -> tuple[int, bytes, str]:
        """Close stdin; the exit status, what else came on stdout, and all of stderr."""
        self.stdin.close()
        rest = self.stdout.read()
        text = self.stderr.read().decode()
        return self.process.wait(60), rest, text
