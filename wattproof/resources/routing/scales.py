"""Fixed reference scales of the routing score, one dated edition.

The scales are constants and never the minimum and maximum over the candidates: with those, a gap of 20 to 21 g/kWh
would count as much as one of 20 to 565, and an irrelevant candidate could change the winner.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

__all__ = ["SCALES", "LogScale", "Scales"]


@dataclass(frozen=True, slots=True)
class LogScale:
    """Maps a positive value to 0..1 linearly in its logarithm; the ends are clipped."""

    low: float
    high: float
    high_is_better: bool = False
    _span: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_span", math.log(self.high / self.low))

    def score(self, value: float) -> float:
        """1.0 for the best end of the scale or better, 0.0 for the worst end or worse."""
        if value <= self.low:
            share = 0.0
        elif value >= self.high:
            share = 1.0
        else:
            share = math.log(value / self.low) / self._span
        return share if self.high_is_better else 1.0 - share


@dataclass(frozen=True, slots=True)
class Scales:
    """Scales and thresholds of one edition.

    `environment` is in gCO2e per kWh of reference energy (intensity x PUE where the energy is the same), `price` in
    USD per million blended tokens, `speed` in output tokens per second. An unknown price or speed scores
    `unknown_score`. Candidates whose probability of beating the best on carbon is at least `significance` do not differ
    meaningfully. A total above another by no more than the share `hysteresis` of it is a tie.

    Carbon at an inferred location is ranked at the 95 % point of a zone that may be another one: the log standard
    deviation `inferred_sigma_ln` is half of that of the mixture of all zones, half-way between knowing the zone and
    knowing nothing. At an unknown location it is the 95 % point of that mixture itself.
    """

    edition: str
    environment: LogScale
    price: LogScale
    speed: LogScale
    unknown_score: float
    significance: float
    pue_if_unknown: float
    hysteresis: float
    inferred_sigma_ln: float


SCALES = Scales(
    edition="2026-11",
    environment=LogScale(10.0, 800.0),
    price=LogScale(0.02, 20.0),
    speed=LogScale(10.0, 1000.0, high_is_better=True),
    unknown_score=0.25,
    significance=0.25,
    pue_if_unknown=1.2,
    hysteresis=0.01,
    inferred_sigma_ln=0.46,
)
