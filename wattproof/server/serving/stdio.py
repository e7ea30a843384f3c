"""What of all this a server over stdio has: its errors in a log, and traces where they are asked for."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from wattproof.server.open import open_deps
from wattproof.server.serving.logs import install

if TYPE_CHECKING:
    from wattproof.server.app import OpenDeps
    from wattproof.server.settings import Settings
    from wattproof.tools.deps import Deps

__all__ = ["watched_over_stdio"]


def watched_over_stdio(settings: Settings) -> OpenDeps:
    """Send the log to stderr, and return what opens what the tools may touch.

    Calls are logged only where the setting `log` asks for it; what went wrong always is, unless that is off.

    Raises:
        Unavailable, InvalidInput: traces are asked for and cannot be sent.
    """
    install(settings.log or "text", calls=settings.log is not None)
    if not any(name.startswith("OTEL_") for name in settings.environ):
        return partial(open_deps, settings)
    from wattproof.server.serving.telemetry import wanted_export

    export = wanted_export(settings.environ)
    if export is None:
        return partial(open_deps, settings)
    from wattproof.server.serving.telemetry import traced
    from wattproof.server.serving.watch import ServerWatch

    @asynccontextmanager
    async def opened() -> AsyncGenerator[Deps]:
        with traced(export):
            async with open_deps(settings, watch=ServerWatch(None)) as deps:
                yield deps

    return opened
