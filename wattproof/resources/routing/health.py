"""What recent calls say of each deployment: moving averages of latency, speed and errors, and a cooldown.

In memory only. A deployment cools down after several failures in a row, or when it asks for it by Retry-After. After
the cooldown it is half open: it may be tried, one success closes the matter, and one failure cools it down again.
"""

from __future__ import annotations

from dataclasses import dataclass

from wattproof.resources.routing.records import Health

__all__ = ["HealthBook"]

_WEIGHT_OF_NEWEST = 0.3
# A provider may ask for more, but a mistaken header must not take it out of use for good.
_LONGEST_COOLDOWN_S = 3600.0


@dataclass(slots=True)
class _State:
    latency_ms: float | None = None
    tokens_per_s: float | None = None
    error_rate: float = 0.0
    failures_in_a_row: int = 0
    cooling_until: float | None = None


class HealthBook:
    """Health per deployment id. Times are Unix seconds, given by the caller."""

    def __init__(self, *, failures_to_cool: int = 3, cooldown_s: float = 30.0) -> None:
        self._failures_to_cool = failures_to_cool
        self._cooldown_s = cooldown_s
        self._states: dict[str, _State] = {}

    def health(self, deployment_id: str) -> Health:
        """The present view of one deployment; all unknown before its first call."""
        state = self._states.get(deployment_id)
        if state is None:
            return Health()
        return Health(state.latency_ms, state.error_rate, state.cooling_until, state.tokens_per_s)

    def succeeded(self, deployment_id: str, *, latency_ms: float, output_tokens: int) -> None:
        """Record a call that ended well after `latency_ms` with `output_tokens`."""
        state = self._states.setdefault(deployment_id, _State())
        state.latency_ms = _averaged(state.latency_ms, latency_ms)
        if output_tokens and latency_ms > 0:
            state.tokens_per_s = _averaged(state.tokens_per_s, 1000.0 * output_tokens / latency_ms)
        state.error_rate *= 1.0 - _WEIGHT_OF_NEWEST
        state.failures_in_a_row = 0
        state.cooling_until = None

    def failed(self, deployment_id: str, *, now_s: float, retry_after_s: float | None = None) -> None:
        """Record a failed call; `retry_after_s` is what the provider asked for."""
        state = self._states.setdefault(deployment_id, _State())
        state.error_rate = _averaged(state.error_rate, 1.0)
        state.failures_in_a_row += 1
        wait_s = self._cooldown_s if state.failures_in_a_row >= self._failures_to_cool else 0.0
        wait_s = min(max(wait_s, retry_after_s or 0.0), _LONGEST_COOLDOWN_S)
        if wait_s > 0.0:
            state.cooling_until = now_s + wait_s


def _averaged(before: float | None, newest: float) -> float:
    return newest if before is None else before + _WEIGHT_OF_NEWEST * (newest - before)
