"""Whether this process can do its work now: which part cannot, without saying why to whoever asks."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from shutil import disk_usage
from typing import TYPE_CHECKING

import anyio.to_thread

from wattproof.methodology.errors import WattproofError

if TYPE_CHECKING:
    from wattproof.server.serving.drain import Drain
    from wattproof.tools.deps import Deps

__all__ = ["Health", "Remembered"]

_KEPT_S = 1.0
_PATIENCE_S = 5.0
_LEAST_FREE_BYTES = 16 << 20

_log = logging.getLogger("wattproof.health")


class Remembered:
    """Opens what the tools may touch, and keeps it at hand for whoever is no tool."""

    def __init__(self, open_deps: Callable[[], AbstractAsyncContextManager[Deps]]) -> None:
        self._open = open_deps
        self.deps: Deps | None = None

    @asynccontextmanager
    async def __call__(self) -> AsyncGenerator[Deps]:
        async with self._open() as deps:
            self.deps = deps
            try:
                yield deps
            finally:
                self.deps = None


class Health:
    """Readiness, looked into at most once a second however often it is asked. `monotonic` gives seconds."""

    def __init__(
        self, opened: Remembered, drain: Drain, monotonic: Callable[[], float], *, patience_s: float = _PATIENCE_S
    ) -> None:
        self._opened = opened
        self._drain = drain
        self._monotonic = monotonic
        self._patience_s = patience_s
        self._lock = asyncio.Lock()
        self._found: dict[str, str] = {}
        self._looked_at = float("-inf")

    async def parts(self) -> dict[str, str]:
        """`ok` or `failed` of each part. A server that stops is not ready, and says so at once."""
        async with self._lock:
            if self._monotonic() - self._looked_at >= _KEPT_S:
                self._found = await self._look()
                self._looked_at = self._monotonic()
        return {**self._found, "serving": "failed" if self._drain.begun else "ok"}

    async def _look(self) -> dict[str, str]:
        deps = self._opened.deps
        if deps is None:
            return {"started": "failed"}
        looks = {
            "catalogue": lambda: _catalogue(deps),
            "ledger": lambda: _ledger(deps),
            "signing_key": lambda: _signing_key(deps),
        }
        found = await asyncio.gather(*(self._looked(name, look) for name, look in looks.items()))
        return dict(zip(looks, found, strict=True))

    async def _looked(self, name: str, look: Callable[[], Awaitable[None]]) -> str:
        try:
            async with asyncio.timeout(self._patience_s):
                await look()
        except (WattproofError, OSError) as error:
            # Whoever asks is nobody in particular; the operator reads why in the log.
            _log.error("not ready", extra={"fields": {"part": name, "error": type(error).__name__, "why": str(error)}})
            return "failed"
        return "ok"


async def _catalogue(deps: Deps) -> None:
    await deps.deployments()


async def _ledger(deps: Deps) -> None:
    ledger = await deps.ledger()
    await ledger.head(deps.log_id)
    if not deps.shared_ledger:
        await anyio.to_thread.run_sync(_writable, deps)


def _writable(deps: Deps) -> None:
    """Raises OSError where the ledger could be read but not added to."""
    if not os.access(deps.home, os.W_OK):
        raise OSError(f"{deps.home} cannot be written")
    if disk_usage(deps.home).free < _LEAST_FREE_BYTES:
        raise OSError(f"{deps.home} has less than {_LEAST_FREE_BYTES >> 20} MiB left")


async def _signing_key(deps: Deps) -> None:
    ledger = await deps.ledger()
    await anyio.to_thread.run_sync(ledger.issuer.sign, b"readiness")
