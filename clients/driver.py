"""A client in a process of its own, and the server that it talks to over one transport or the other."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from clients.wire import Wire, relay

__all__ = ["ClientFailed", "Traveller", "serving", "stdio_target", "wattproof_environment"]

TOKEN = "the-token-of-the-client-journey"
_TEE = Path(__file__).parent / "tee.py"
# No client may call home while it is examined.
_SILENT = {"MCP_USE_ANONYMIZED_TELEMETRY": "false", "DO_NOT_TRACK": "1", "OTEL_SDK_DISABLED": "true"}
_ROW = """\
[[provider]]
provider = "journey"
base_url = "{base_url}"
key_env = "JOURNEY_API_KEY"
zone = "FR"

[[provider.model]]
model = "gpt-oss-120b"
price = {{ input = "0.09", output = "0.47", currency = "USD", source = "the journey", checked_at = 2026-11-01 }}
"""


class ClientFailed(Exception):
    """The client stopped, or took too long; the text is the end of what it printed."""


def wattproof_environment(home: Path, provider_url: str) -> dict[str, str]:
    """An environment for the product with one provider, at `provider_url`, in a new home."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "providers.toml").write_text(_ROW.format(base_url=provider_url), "utf-8")
    return {
        "PATH": os.defpath,
        "HOME": str(home),
        "WATTPROOF_HOME": str(home),
        "WATTPROOF_GRID": "annual",
        "WATTPROOF_HTTP_TOKEN": TOKEN,
        "JOURNEY_API_KEY": "no-secret",
    }


def stdio_target(wire: Wire, command: Sequence[str], environ: Mapping[str, str]) -> dict[str, Any]:
    """What a client is told in order to start the server itself; what they say is written down on the way."""
    arguments = ["-P", str(_TEE), str(wire.folder), *command]
    return {"command": sys.executable, "args": arguments, "env": dict(environ)}


@contextmanager
def serving(wire: Wire, command: Sequence[str], environ: Mapping[str, str], *options: str) -> Generator[dict[str, Any]]:
    """What a client is told in order to reach a server over HTTP, while one runs."""
    with relay(wire) as passing:
        # The relay is the name by which clients call the server, so the server has to know it.
        full = [*command, "serve", "--http", "--port", "0", "--called", f"127.0.0.1:{passing.port}", *options]
        with subprocess.Popen(full, env=dict(environ), stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            said = process.stderr.readline()
            reading = threading.Thread(target=process.stderr.read, daemon=True)
            reading.start()
            try:
                address = re.search(r"http://[^/]+:(\d+)/mcp", said)
                if address is None:
                    raise ClientFailed(f"the server said {said!r}")
                passing.to(int(address[1]))
                headers = {"Authorization": f"Bearer {TOKEN}"}
                yield {"url": f"http://127.0.0.1:{passing.port}/mcp", "headers": headers}
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(timeout=30)
                reading.join()


class Traveller:
    """A running client that takes orders."""

    def __init__(self, command: Sequence[str], target: Mapping[str, Any], folder: Path, *, limit_s: float = 60) -> None:
        self._limit_s = limit_s
        self._errors = folder / "stderr"
        with self._errors.open("wb") as stderr:
            self._process = subprocess.Popen(
                [*command, json.dumps(target)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=Path(command[-1]).parent,
                env={**os.environ, **_SILENT},
                text=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        assert self._process.stdin is not None
        with self._process:
            self._process.stdin.close()
            try:
                self._process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def connected(self) -> dict[str, str]:
        """The versions of the client's packages, once it is connected."""
        return self._answer()["versions"]

    def ask(self, **order: Any) -> dict[str, Any]:
        """Carry out one order."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        watchdog = threading.Timer(self._limit_s, self._process.kill)
        watchdog.start()
        line = self._process.stdout.readline()
        watchdog.cancel()
        if not line:
            raise ClientFailed(self._errors.read_text("utf-8", "replace")[-1500:])
        return json.loads(line)
