"""When a source that fails may be asked again."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from wattproof.methodology.errors import GridUnavailable

__all__ = ["Circuit"]

_FAILURES_TO_OPEN = 3
_FIRST_OPEN_S = 30.0
_LONGEST_OPEN_S = 15 * 60.0
# Nothing else can work soon after these, so one is enough: no network, or a key that is wrong.
_OPEN_AT_ONCE = frozenset({"connect", "tls", "unauthorized", "no_key", "bad_key", "http_429"})


@dataclass(slots=True)
class Circuit:
    """The breaker of one source: closed, open until a time, or letting one probe through after that.

    It opens after three failures in a row, or one where no network or key is there, for 30 s and then doubling to
    15 min, with up to a half of that taken off at random; a longer `Retry-After` is honoured. Times are of `monotonic`.
    """

    failures: int = 0
    open_until_s: float | None = None
    probing: bool = False
    last: GridUnavailable | None = None
    tried: bool = False

    @property
    def healthy(self) -> bool:
        """Whether the last look-up did not fail: only then is it worth waiting for."""
        return self.failures == 0

    def admits(self, now_s: float) -> bool:
        """Whether a look-up may start at `now_s`."""
        if self.open_until_s is None:
            return True
        return now_s >= self.open_until_s and not self.probing

    def started(self) -> None:
        """A look-up begins; past the open time it is the probe that others wait for."""
        self.probing = self.open_until_s is not None

    def ended(self) -> None:
        """The look-up is over, whether or not anything was learnt of the source."""
        self.probing = False

    def succeeded(self) -> None:
        """Close it."""
        self.answered(None)

    def answered(self, refusal: GridUnavailable | None) -> None:
        """Close it as well where the source works, though it has nothing for the place asked about."""
        self.tried = True
        self.failures = 0
        self.open_until_s = None
        self.last = refusal

    def failed(self, error: GridUnavailable, now_s: float, random: Random) -> None:
        """Count a failure that says something of the source as a whole, and open where that is one too many."""
        self.tried = True
        self.failures += 1
        self.last = error
        opens = self.failures >= _FAILURES_TO_OPEN or error.reason in _OPEN_AT_ONCE
        asked_s = error.retry_after_s or 0.0
        if opens or asked_s > 0:
            doublings = max(0, self.failures - (1 if error.reason in _OPEN_AT_ONCE else _FAILURES_TO_OPEN))
            wait_s = min(_LONGEST_OPEN_S, _FIRST_OPEN_S * 2 ** min(doublings, 10)) if opens else 0.0
            self.open_until_s = now_s + max(asked_s, wait_s * (1.0 - random.random() / 2))
