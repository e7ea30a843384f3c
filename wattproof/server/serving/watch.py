"""Runs, watched by a server: counted, and shown to tracers as the calls of models that they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from wattproof.methodology.errors import Unavailable, UpstreamError
from wattproof.resources.runs.watching import Try, Watch
from wattproof.server.serving.model_spans import ModelSpan

if TYPE_CHECKING:
    from wattproof.resources.footprints import Estimate
    from wattproof.resources.ledger.records import EntryStatus
    from wattproof.resources.providers import Deployment
    from wattproof.resources.providers.records import UpstreamRequest
    from wattproof.server.serving.metrics import Metrics

__all__ = ["ServerWatch"]


class ServerWatch(Watch):
    """Counts in `metrics` (None: nothing) and traces where the process traces. `monotonic` gives seconds."""

    def __init__(self, metrics: Metrics | None, monotonic: Callable[[], float] = time.perf_counter) -> None:
        self._metrics = metrics
        self._monotonic = monotonic

    @contextmanager
    def a_try(self, deployment: Deployment, request: UpstreamRequest, server: str) -> Generator[Try]:
        tried, began = Try(), self._monotonic()
        span = ModelSpan.begin(deployment, request, server)
        outcome = "cancelled"
        try:
            yield tried
            outcome = "completed"
        except (UpstreamError, Unavailable) as error:
            outcome = error.reason if isinstance(error, UpstreamError) else "unavailable"
            raise
        finally:
            span.end(tried.end, None if outcome == "completed" else outcome)
            if self._metrics is not None:
                self._metrics.tried(deployment, outcome, self._monotonic() - began)

    @contextmanager
    def writing(self, write: Literal["open", "settle"]) -> Generator[None]:
        metrics = self._metrics
        if metrics is None:
            yield
            return
        began = self._monotonic()
        with metrics.writing.track_inprogress():
            yield
        metrics.written(write, self._monotonic() - began)

    def settled(self, deployment: Deployment, status: EntryStatus, estimate: Estimate) -> None:
        if self._metrics is None:
            return
        self._metrics.ran(deployment, status, estimate)
        reading = estimate.reading
        if reading.temporal_match in ("live", "fresh"):
            self._metrics.grid_reading(reading.source, datetime.fromisoformat(reading.observed_at).timestamp())
