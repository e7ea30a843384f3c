"""What recent calls say of each deployment: moving averages of latency, speed and errors, and a cooldown.

In memory only. A deployment cools down after several failures in a row, when it asks for it by Retry-After, or at once
where only the operator can cure the failure. After the cooldown it is half open: one caller may try it, the others
see it cooling until that call ends; one success closes the matter, and one failure cools it down again.
"""

from __future__ import annotations

from dataclasses import dataclass

from wattproof.resources.routing.records import Health

__all__ = ["HealthBook"]

_WEIGHT_OF_NEWEST = 0.3
# A provider may ask for more, but a mistaken header must not take it out of use for good.
_LONGEST_COOLDOWN_S = 3600.0
# An error counts half after this time, so that one bad hour does not follow a deployment for days.
_ERROR_HALF_LIFE_S = 600.0
# Latency seen longer ago says nothing of now; a limit on it would shut a deployment out for ever.
_LATENCY_FORGOTTEN_S = 3600.0
_UNKNOWN = Health()

# The request was wrong, not the deployment.
_CALLERS_FAULT = frozenset({"http_400", "http_413", "http_422"})
# A key, an account, a permission or a model name: asking again within minutes cannot help.
_OPERATORS_CONCERN = frozenset({"http_401", "http_402", "http_403", "http_404"})
_OPERATORS_COOLDOWN_S = 300.0


@dataclass(slots=True)
class _State:
    latency_ms: float | None = None
    tokens_per_s: float | None = None
    error_rate: float = 0.0
    failures_in_a_row: int = 0
    cooling_until: float | None = None
    probe_until: float | None = None
    succeeded_at: float | None = None
    rated_at: float | None = None


class HealthBook:
    """Health per deployment id. Times are Unix seconds, given by the caller; the `most` newest deployments are kept."""

    def __init__(
        self, *, failures_to_cool: int = 3, cooldown_s: float = 30.0, probe_s: float = 120.0, most: int = 4096
    ) -> None:
        self._failures_to_cool = failures_to_cool
        self._cooldown_s = cooldown_s
        self._probe_s = probe_s
        self._most = most
        self._states: dict[str, _State] = {}

    def health(self, deployment_id: str, now_s: float | None = None) -> Health:
        """The view of one deployment at `now_s` (None: as of its last call); all unknown before its first call."""
        state = self._states.get(deployment_id)
        if state is None:
            return _UNKNOWN
        if now_s is None:
            return Health(state.latency_ms, state.error_rate, state.cooling_until, state.tokens_per_s)
        known = state.succeeded_at is None or now_s - state.succeeded_at <= _LATENCY_FORGOTTEN_S
        half_open = state.cooling_until is not None and state.cooling_until <= now_s
        cooling_until = state.cooling_until
        if half_open:
            probed = state.probe_until is not None and state.probe_until > now_s
            cooling_until = state.probe_until if probed else None
        return Health(
            state.latency_ms if known else None,
            _decayed(state, now_s),
            cooling_until,
            state.tokens_per_s if known else None,
            half_open,
        )

    def try_probe(self, deployment_id: str, now_s: float) -> bool:
        """Whether a call may go to this deployment now; claims the one try of a half-open one.

        Ask right before the call. The claim ends with `succeeded`, `failed` or `gave_up`, at the latest after
        `probe_s`, so that a caller who vanished does not block it.
        """
        state = self._states.get(deployment_id)
        if state is None or state.cooling_until is None:
            return True
        if state.cooling_until > now_s or (state.probe_until is not None and state.probe_until > now_s):
            return False
        state.probe_until = now_s + self._probe_s
        return True

    def gave_up(self, deployment_id: str) -> None:
        """A call that was claimed by `try_probe` ended without saying anything of the deployment (cancelled)."""
        state = self._states.get(deployment_id)
        if state is not None:
            state.probe_until = None

    def succeeded(
        self, deployment_id: str, *, latency_ms: float, output_tokens: int, now_s: float | None = None
    ) -> None:
        """Record a call that ended well after `latency_ms` with `output_tokens`."""
        state = self._touched(deployment_id)
        if now_s is not None:
            if state.succeeded_at is not None and now_s - state.succeeded_at > _LATENCY_FORGOTTEN_S:
                state.latency_ms = state.tokens_per_s = None
            state.error_rate = _decayed(state, now_s)
            state.rated_at = state.succeeded_at = now_s
        state.latency_ms = _averaged(state.latency_ms, latency_ms)
        if output_tokens and latency_ms > 0:
            state.tokens_per_s = _averaged(state.tokens_per_s, 1000.0 * output_tokens / latency_ms)
        state.error_rate *= 1.0 - _WEIGHT_OF_NEWEST
        state.failures_in_a_row = 0
        state.cooling_until = state.probe_until = None

    def failed(
        self, deployment_id: str, *, now_s: float, retry_after_s: float | None = None, reason: str | None = None
    ) -> None:
        """Record a failed call: `reason` is its code (`http_503`), `retry_after_s` what the provider asked for.

        A request that was refused for its own fault says nothing against the deployment.
        """
        if reason in _CALLERS_FAULT:
            self.gave_up(deployment_id)
            return
        state = self._touched(deployment_id)
        state.error_rate = _averaged(_decayed(state, now_s), 1.0)
        state.rated_at = now_s
        state.failures_in_a_row += 1
        state.probe_until = None
        wait_s = self._cooldown_s if state.failures_in_a_row >= self._failures_to_cool else 0.0
        if reason in _OPERATORS_CONCERN:
            wait_s = _OPERATORS_COOLDOWN_S
        elif state.cooling_until is not None:
            wait_s = self._cooldown_s
        wait_s = min(max(wait_s, retry_after_s or 0.0), _LONGEST_COOLDOWN_S)
        if wait_s > 0.0:
            state.cooling_until = max(state.cooling_until or 0.0, now_s + wait_s)

    def _touched(self, deployment_id: str) -> _State:
        """The state of a deployment, now the newest one; the oldest is forgotten when there are too many."""
        state = self._states.pop(deployment_id, None) or _State()
        self._states[deployment_id] = state
        if len(self._states) > self._most:
            del self._states[next(iter(self._states))]
        return state


def _averaged(before: float | None, newest: float) -> float:
    return newest if before is None else before + _WEIGHT_OF_NEWEST * (newest - before)


def _decayed(state: _State, now_s: float) -> float:
    """The error rate at `now_s`: what was seen halves with every half-life since."""
    if not state.error_rate or state.rated_at is None or now_s <= state.rated_at:
        return state.error_rate
    return state.error_rate * 0.5 ** ((now_s - state.rated_at) / _ERROR_HALF_LIFE_S)
