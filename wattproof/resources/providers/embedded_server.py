"""The parent's side of the embedded model: start the child, ask it for its CPU time, end it.

stdout of this process is never touched: the child's stdout is a pipe for control lines, its stderr goes nowhere.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from wattproof.methodology.errors import Unavailable
from wattproof.resources.providers.embedded_parts import (
    CONTEXT_TOKENS,
    MODEL,
    WEIGHTS_SHA256,
    embedded_status,
    find_model_file,
)

__all__ = ["EmbeddedServer"]

_CHILD = Path(__file__).with_name("embedded_child.py")
_START_AT_MOST_S = 60.0
_MAX_CONTROL_BYTES = 65_536
# 135M parameters gain nothing beyond a few threads, and a CPU quota often hides behind many cores.
_MAX_THREADS = 4
# What the child needs to find Python and its libraries; keys of other providers are none of its business.
_PASSED_ON = (
    "DYLD_LIBRARY_PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "PATH",
    "PYTHONHOME",
    "PYTHONPATH",
    "SYSTEMROOT",
    "TEMP",
    "TMP",
    "TMPDIR",
    "USERPROFILE",
)


class EmbeddedServer:
    """llama.cpp's server in a child process, on a random loopback port behind a random key.

    Starts at the first `started` (or on entering `async with`), and again if the child has died. Closing its standard
    input ends it, so it never outlives this process, however this process ends. A child that does not react within
    `patience_s` is killed.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        *,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        cores: int | None = None,
        patience_s: float = 5.0,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._random_bytes = random_bytes
        self._patience_s = patience_s
        self._threads = min(max((cores or os.cpu_count() or 1) - 1, 1), _MAX_THREADS)
        self._starting = anyio.Lock()
        self._asking = anyio.Lock()
        self._process: Process | None = None
        self._control: BufferedByteReceiveStream | None = None
        self.base_url = ""
        self.api_key = ""
        self.turn = anyio.Semaphore(1, max_value=1)

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def __aenter__(self) -> Self:
        return await self.started()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def started(self) -> Self:
        """This server, running.

        Raises:
            Unavailable: a part is missing, the weights are not the expected ones, or the child failed; says what helps.
        """
        async with self._starting:
            if not self.alive:
                await self._reap()
                await self._start()
        return self

    async def cpu_seconds(self) -> float:
        """CPU time that the child has used since it began, all threads together [s].

        Raises:
            Unavailable: the child is gone.
        """
        answer: dict[str, Any] | None = None
        # Shielded: an answer left unread would be taken for the next one's.
        with anyio.CancelScope(shield=True):
            async with self._asking:
                with anyio.move_on_after(self._patience_s):
                    answer = await self._ask("cpu")
        if answer is None:
            await self.aclose()
            raise Unavailable("The embedded model does not react; the next request starts it again.")
        return float(answer["cpu_seconds"])

    async def aclose(self) -> None:
        """End the child; harmless when it never started."""
        with anyio.CancelScope(shield=True):
            await self._reap()

    async def _start(self) -> None:
        status = embedded_status(self._environ)
        if not status.available:
            raise Unavailable(f"The embedded model cannot start: {status.reason}; {status.fix}.")
        self.api_key = self._random_bytes(32).hex()
        config = {
            "model_file": str(find_model_file(self._environ)),
            "model_sha256": WEIGHTS_SHA256,
            "model_alias": MODEL,
            "api_key": self.api_key,
            "threads": self._threads,
            "context_tokens": CONTEXT_TOKENS,
        }
        try:
            with anyio.fail_after(_START_AT_MOST_S):
                await self._spawn()
                ready = await self._ask(json.dumps(config))
        except TimeoutError as error:
            await self.aclose()
            raise Unavailable(f"The embedded model did not start within {_START_AT_MOST_S:g} s.") from error
        except BaseException:
            await self.aclose()
            raise
        if "base_url" not in ready:
            await self.aclose()
            raise Unavailable(f"The embedded model cannot start: {ready.get('error', 'no reason given')}.")
        self.base_url = ready["base_url"]

    async def _spawn(self) -> None:
        environ = {name: self._environ[name] for name in _PASSED_ON if name in self._environ}
        # Spinning OpenMP threads starve each other as soon as one core is busy.
        environ |= {"OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": str(self._threads)}
        self._process = await anyio.open_process(
            [sys.executable, "-P", str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environ,
            # A Ctrl-C at the terminal is for the parent, which then settles what the child is still answering.
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._control = BufferedByteReceiveStream(self._process.stdout)

    async def _ask(self, line: str) -> dict[str, Any]:
        process, control = self._process, self._control
        if process is None or control is None or process.stdin is None:
            raise Unavailable("The embedded model is not running.")
        try:
            await process.stdin.send(line.encode() + b"\n")
            answer = await control.receive_until(b"\n", _MAX_CONTROL_BYTES)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, anyio.IncompleteRead) as error:
            raise Unavailable("The embedded model's process ended; the next request starts it again.") from error
        return json.loads(answer)

    async def _reap(self) -> None:
        process, self._process, self._control = self._process, None, None
        if process is None:
            return
        if process.stdin is not None:
            # Where the pipe is broken the child is dead already, which is what was wanted.
            with contextlib.suppress(anyio.BrokenResourceError, BrokenPipeError, ConnectionResetError):
                await process.stdin.aclose()
        with anyio.move_on_after(self._patience_s):
            await process.wait()
        if process.returncode is None:
            process.kill()
        await process.aclose()
