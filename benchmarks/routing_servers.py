"""The servers of the routing benchmark, each a process of its own: the upstream, wattproof, and LiteLLM's proxy."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

__all__ = ["MODEL", "TOKEN", "Listening", "peer_program", "peer_server", "upstream_server", "wattproof_server"]

ROOT = Path(__file__).resolve().parent.parent
MODEL = "gpt-oss-120b"
TOKEN = "a-long-random-word-for-the-benchmark"
# 1.107.0 was reported as compromised: never that one.
PEER_VERSION = "1.100.5"
ROWS = """
[[provider]]
provider = "bench-upstream"
base_url = "http://127.0.0.1:{port}/v1"
zone = "FR"
[[provider.model]]
model = "gpt-oss-120b"
"""
PEER_CONFIG = """
model_list:
  - model_name: gpt-oss-120b
    litellm_params: {{model: openai/gpt-oss-120b, api_base: "http://127.0.0.1:{port}/v1", api_key: none}}
"""


@dataclass(frozen=True)
class Listening:
    """A server: its port and process."""

    port: int
    pid: int

    def cpu_ms(self) -> float | None:
        """CPU time of the process and its living children so far; None where the system does not tell."""
        if not Path("/proc/self/stat").exists():
            return None
        ticks, found = 0, {self.pid}
        for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
            with suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(folder.name) == self.pid or int(fields[1]) in found:
                    found.add(int(folder.name))
                    ticks += int(fields[11]) + int(fields[12])
        return 1000.0 * ticks / os.sysconf("SC_CLK_TCK")


def serve_upstream() -> None:
    """An OpenAI-compatible upstream that answers at once; a model called slow takes about a second."""
    import uvicorn

    def event(choices: list[dict[str, Any]], **more: Any) -> bytes:
        head = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
        return b"data: " + json.dumps({**head, "choices": choices, **more}).encode() + b"\n\n"

    pieces = [event([{"index": 0, "delta": {"role": "assistant", "content": f"piece {n} "}}]) for n in range(6)]
    pieces.append(event([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    pieces.append(event([], usage={"prompt_tokens": 100, "completion_tokens": 24, "total_tokens": 124}))
    pieces.append(b"data: [DONE]\n\n")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        slow = b'"slow"' in body
        kind = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": kind})
        for piece in pieces:
            if slow:
                await asyncio.sleep(0.1)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print(listener.getsockname()[1], flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off")).run(sockets=[listener])


@contextmanager
def child(arguments: list[str], environ: dict[str, str], pattern: str) -> Generator[Listening]:
    """A process, and the port that it prints in a line that matches `pattern`."""
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, env=environ
    ) as process:
        try:
            yield Listening(printed_port(process, pattern), process.pid)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def printed_port(process: Any, pattern: str) -> int:
    for line in process.stdout:
        found = re.search(pattern, line)
        if found:
            return int(found[1])
    raise RuntimeError("the server ended before it listened")


def environment(home: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WATTPROOF_", "LITELLM_"))}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "WATTPROOF_HOME": home,
        "WATTPROOF_OFFLINE": "1",
        "WATTPROOF_HTTP_TOKEN": TOKEN,
        "WATTPROOF_LIMITS": "calls=off runs=off",
    }


@contextmanager
def upstream_server() -> Generator[int]:
    with child([sys.executable, __file__], environment(""), r"^(\d+)$") as listening:
        yield listening.port


@contextmanager
def wattproof_server(upstream: int) -> Generator[Listening]:
    with tempfile.TemporaryDirectory() as home:
        Path(home, "providers.toml").write_text(ROWS.format(port=upstream))
        arguments = [sys.executable, "-m", "wattproof", "serve", "--http", "--port", "0"]
        with child(arguments, environment(home), r"127\.0\.0\.1:(\d+)/mcp") as listening:
            yield listening


def peer_folder() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("wattproof-bench", appauthor=False) / f"litellm-{PEER_VERSION}"


def peer_program(install: bool) -> tuple[Path | None, str]:
    """LiteLLM's proxy, or why it is not there."""
    folder = peer_folder()
    program = folder / "bin" / "litellm"
    if program.exists():
        return program, f"litellm {PEER_VERSION}"
    if not install:
        return None, f"litellm {PEER_VERSION} is not installed; --peer installs it under the user's cache folder"
    folder.parent.mkdir(parents=True, exist_ok=True)
    for arguments in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", f"litellm[proxy]=={PEER_VERSION}"],
    ):
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        if done.returncode:
            return None, f"litellm {PEER_VERSION} could not be installed: {done.stderr.strip()[-200:]}"
    return program, f"litellm {PEER_VERSION}"


@contextmanager
def peer_server(program: Path | None, upstream: int) -> Generator[Listening | None]:
    if program is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.yaml")
        config.write_text(PEER_CONFIG.format(port=upstream))
        environ = {**environment(folder), "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONPATH": ""}
        environ.pop("DATABASE_URL", None)
        arguments = [str(program), "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]
        log = Path(folder, "log")
        with log.open("w") as sink:
            process = subprocess.Popen(arguments, stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, env=environ)
            try:
                is_up = answers(f"http://127.0.0.1:{port}/health/liveliness", process)
                yield Listening(port, process.pid) if is_up else None
            finally:
                process.terminate()
                process.wait(20)


def answers(url: str, process: subprocess.Popen[Any]) -> bool:
    """Whether the server comes up within two minutes."""
    until = time.monotonic() + 120
    with httpx2.Client(trust_env=False) as client:
        while time.monotonic() < until and process.poll() is None:
            with suppress(httpx2.TransportError):
                if client.get(url).status_code == 200:
                    return True
            time.sleep(0.2)
    return False


if __name__ == "__main__":
    serve_upstream()
