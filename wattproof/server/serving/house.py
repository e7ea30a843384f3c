"""Everything around the application of one `serve --http`: made once, before its worker processes are forked."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from wattproof.server.auth.principal import principal_in
from wattproof.server.mcp_renames import RENAMED
from wattproof.server.serving.calls import Calls
from wattproof.server.serving.drain import Drain
from wattproof.server.serving.exchange import BodyLimits
from wattproof.server.serving.front import FrontDoor
from wattproof.server.serving.gate import Gate
from wattproof.server.serving.health import Health, Remembered
from wattproof.server.serving.limits import Limits
from wattproof.server.serving.logs import raised
from wattproof.server.serving.metrics import MULTIPROCESS, Metrics, installed
from wattproof.server.serving.process import ServingProcess
from wattproof.server.serving.rates import RateTable
from wattproof.server.serving.telemetry import Export, in_trace_of_headers, traced, wanted_export
from wattproof.server.serving.watch import ServerWatch
from wattproof.server.serving.workers import Workers
from wattproof.server.tool_table import PROFILE_TOOLS, tools_of

if TYPE_CHECKING:
    import socket

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.types import ASGIApp

    from wattproof.server.settings import Settings

__all__ = ["House"]

_NOT_INSTALLED = "Metrics are not installed on this server; its operator runs: pip install 'wattproof[metrics]'"
_LIFE_AFTER_GRACE_S = 20.0

_log = logging.getLogger("wattproof.workers")


@dataclass(frozen=True, slots=True)
class House:
    """What the parts around the application share. `metrics` is None where the extra is not installed."""

    limits: Limits
    rates: RateTable
    drain: Drain
    metrics: Metrics | None
    calls: Calls
    watch: ServerWatch
    export: Export | None = None

    @classmethod
    @contextmanager
    def opened(cls, settings: Settings, workers: int = 1) -> Generator[House]:
        """The house of these settings, for so many processes that serve; its memory is given back on leaving.

        Raises:
            Unavailable, InvalidInput: traces are asked for and cannot be sent.
        """
        export = wanted_export(settings.environ)
        rates = RateTable(time.monotonic)
        with _shared_folder(workers):
            metrics = Metrics() if installed() else None
            try:
                yield cls(settings.limits, rates, Drain(), metrics, Calls(metrics), ServerWatch(metrics), export)
            finally:
                rates.close()

    def furnish(self, app: Starlette, *, path: str, anyone: bool, security: TransportSecuritySettings) -> None:
        """Add the limits and ``/metrics`` to `app`, behind the guard that is added next.

        With `anyone` let in, only `security` keeps a page in a browser from ``/metrics``.
        """

        async def metrics(request: Request) -> Response:
            refusal = await TransportSecurityMiddleware(security).validate_request(request) if anyone else None
            return refusal or await self._metrics(request)

        app.router.routes.append(Route("/metrics", metrics, methods=["GET"]))
        app.add_middleware(
            Gate,
            path=path,
            limits=self.limits,
            rates=self.rates,
            drain=self.drain,
            spending=_spending(),
            refused=self._refused,
        )

    def front(
        self, app: ASGIApp, opened: Remembered, *, max_body_bytes: int, body_s: float = 20.0, patience_s: float = 5.0
    ) -> FrontDoor:
        """`app` with the front door before it; `opened` is what tells whether it is ready."""
        return FrontDoor(
            app,
            health=Health(opened, self.drain, time.monotonic, patience_s=patience_s),
            body=BodyLimits(max_body_bytes, body_s),
            responded=self._responded,
            refused=self._refused,
            **({} if self.export is None else {"in_trace": in_trace_of_headers}),
        )

    def serve(self, app: ASGIApp, listener: socket.socket, workers: int = 1) -> None:
        """Serve until a signal comes, and until what is in flight is settled.

        Raises:
            KeyboardInterrupt: the signal was the one of Ctrl-C.
        """
        if workers == 1:
            stopped_by = self._process(app, listener, None)
        else:
            stopped_by = Workers(
                workers,
                lambda gone: self._worker(app, listener, gone),
                ended=_replaced,
                left=self._forget,
                stopping=listener.close,
                stop_s=self.limits.grace_s + _LIFE_AFTER_GRACE_S,
            ).run()
        if stopped_by == signal.SIGINT:
            raise KeyboardInterrupt

    def _worker(self, app: ASGIApp, listener: socket.socket, gone: int) -> int:
        try:
            self._process(app, listener, gone)
        except BaseException as error:  # noqa: BLE001  (the process ends here)
            _log.critical("crashed", extra={"fields": raised(error)})
            return 1
        return 0

    def _process(self, app: ASGIApp, listener: socket.socket, gone: int | None) -> int | None:
        process = ServingProcess(app, self.drain, grace_s=self.limits.grace_s, gone=gone)
        with traced(self.export):
            process.run(sockets=[listener])
        return process.stopped_by

    def _responded(self, status: int) -> None:
        if self.metrics is not None:
            self.metrics.responded(status)

    def _refused(self, limit: str) -> None:
        if self.metrics is not None:
            self.metrics.refused(limit)

    def _forget(self, pid: int) -> None:
        """What a dead worker had in flight counts no more; what it counted stays."""
        if self.metrics is not None:
            self.metrics.forget(pid)

    async def _metrics(self, request: Request) -> Response:
        caller = principal_in(request.scope)
        if caller is None or "admin" not in caller.scopes:
            return JSONResponse({"error": "This needs the scope admin."}, 403)
        if self.metrics is None:
            return JSONResponse({"error": _NOT_INSTALLED}, 501)
        text, content_type = await asyncio.to_thread(self.metrics.exposition)
        return Response(text, headers={"content-type": content_type})


@contextmanager
def _shared_folder(workers: int) -> Generator[None]:
    """Where several workers count together; prometheus_client finds it in a variable when it is first imported."""
    if workers == 1:
        yield
        return
    with TemporaryDirectory(prefix="wattproof-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[MULTIPROCESS] = folder
        try:
            yield
        finally:
            del os.environ[MULTIPROCESS]


def _spending() -> frozenset[str]:
    """Names of tools that may spend money, old names among them."""
    names = {spec.name for spec in tools_of(PROFILE_TOOLS) if spec.open_world and not spec.read_only}
    return frozenset(names | {old for old, new in RENAMED.tools.items() if new in names})


def _replaced(pid: int, how: str, pause_s: float) -> None:
    _log.error("worker ended", extra={"fields": {"pid": pid, "how": how, "replaced_in_s": pause_s}})
