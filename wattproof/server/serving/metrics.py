"""What the server counts, in the Prometheus text format, for one process or for several workers together.

Labels are bounded: tools of our table, providers and models of the catalogue, reason codes of ours, names of limits.
"""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING, Any

from wattproof import __version__

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from wattproof.resources.footprints import Estimate
    from wattproof.resources.providers.records import Deployment

__all__ = ["MULTIPROCESS", "Metrics", "installed"]

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""The variable in which prometheus_client finds the folder that the workers share; set before it is imported."""

_FAST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_MEDIANS = "A sum of medians of estimates, for trends; summarize_ledger gives totals with intervals."


def installed() -> bool:
    """Whether the extra `metrics` is."""
    return importlib.util.find_spec("prometheus_client") is not None


class Metrics:
    """One set of metrics. Make it after the variable `MULTIPROCESS` is set, if it is to be."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

        disable_created_metrics()
        self._registry = registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"wattproof_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(f"wattproof_{name}", text, labels, registry=registry, buckets=_FAST_S)

        def gauge(name: str, text: str, *labels: str, mode: Any = "livesum") -> Gauge:
            return Gauge(f"wattproof_{name}", text, labels, registry=registry, multiprocess_mode=mode)

        self._calls = counter("tool_calls", "Tool calls by outcome.", "tool", "outcome")
        self._call_s = histogram("tool_call_seconds", "Time of tool calls.", "tool")
        self._responses = counter("http_responses", "HTTP answers by status.", "status")
        self._refused = counter("refused", "Requests that a limit of the server refused.", "limit")
        self._tries = counter("tries", "Calls of providers by outcome.", "provider", "model", "outcome")
        self._try_s = histogram("try_seconds", "Time of calls of providers, to the end of the answer.", "provider")
        self._runs = counter("runs", "Runs that were recorded, by status.", "provider", "model", "status")
        self._tokens = counter("tokens", "Tokens of recorded runs.", "provider", "model", "kind")
        self._energy = counter(
            "estimated_energy_median_wh", f"Energy of recorded runs [Wh]. {_MEDIANS}", "provider", "model", "method"
        )
        self._carbon = counter(
            "estimated_carbon_median_gco2e", f"CO2e of recorded runs [g]. {_MEDIANS}", "provider", "model", "method"
        )
        self._write_s = histogram("ledger_write_seconds", "Time until a write of a run is durable.", "write")
        self.writing = gauge("ledger_writes_waiting", "Writes of runs that are not durable yet.")
        self._grid = gauge(
            "grid_reading_timestamp_seconds",
            "When the newest grid reading that a run used began [Unix seconds].",
            "source",
            mode="max",
        )
        gauge("build_info", "Always 1; the label is the version.", "version", mode="livemax").labels(__version__).set(1)

    def exposition(self) -> tuple[bytes, str]:
        """The text and its content type: of all workers, where there are several."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self._gathered()), CONTENT_TYPE_LATEST

    def called(self, tool: str, outcome: str, took_s: float) -> None:
        """A tool call ended."""
        self._calls.labels(tool, outcome).inc()
        self._call_s.labels(tool).observe(took_s)

    def responded(self, status: int) -> None:
        """An HTTP answer began."""
        self._responses.labels(str(status)).inc()

    def refused(self, limit: str) -> None:
        """A limit refused a request."""
        self._refused.labels(limit).inc()

    def tried(self, deployment: Deployment, outcome: str, took_s: float) -> None:
        """A provider was called."""
        self._tries.labels(*_labels(deployment), outcome).inc()
        self._try_s.labels(deployment.provider).observe(took_s)

    def written(self, write: str, took_s: float) -> None:
        """A write to the ledger is durable."""
        self._write_s.labels(write).observe(took_s)

    def ran(self, deployment: Deployment, status: str, estimate: Estimate) -> None:
        """A run was recorded."""
        labels = _labels(deployment)
        self._runs.labels(*labels, status).inc()
        usage, footprint = estimate.activity.usage, estimate.footprint
        for kind in ("input", "cached_input", "output", "reasoning"):
            self._tokens.labels(*labels, kind).inc(getattr(usage, f"{kind}_tokens"))
        for total, amount in ((self._energy, footprint.energy_wh), (self._carbon, footprint.carbon_gco2e)):
            if amount is not None:
                total.labels(*labels, footprint.method_id).inc(amount.median)

    def grid_reading(self, source: str, began_at_s: float) -> None:
        """A run used a reading of the grid."""
        self._grid.labels(source).set(began_at_s)

    def forget(self, pid: int) -> None:
        """A worker died: what it had in flight counts no more; what it counted stays."""
        import prometheus_client.multiprocess as multiprocess

        multiprocess.mark_process_dead(pid)  # pyright: ignore[reportUnknownMemberType]

    def _gathered(self) -> CollectorRegistry:
        if MULTIPROCESS not in os.environ:
            return self._registry
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector

        gathered = CollectorRegistry()
        MultiProcessCollector(gathered)
        return gathered


def _labels(deployment: Deployment) -> tuple[str, str]:
    """Provider and model as the catalogue has them; what a server on this machine offers has whatever name it likes."""
    return deployment.provider, "other" if deployment.origin == "probed" else deployment.model
