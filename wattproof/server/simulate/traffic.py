"""Invented traffic: when requests arrive, for which model, how long. Nothing of it comes from anybody's use."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from wattproof.resources.providers import ChatRequest
from wattproof.server.simulate.rows import MODELS

__all__ = ["Arrival", "arrivals"]

_HOUR_S = 3600.0
_SHARES = (6, 3, 1)
_WORDS = ["simulated", "words", "that", "nobody", "wrote", "and", "that", "no", "model", "reads"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request `at_s` seconds after the start of the period."""

    number: int
    at_s: float
    model: str
    chat: ChatRequest


def arrivals(count: int, length_s: float, chance: Random) -> tuple[Arrival, ...]:
    """`count` requests within `length_s`, in order; twice as many by day as by night."""
    times = sorted(_time(length_s, chance) for _ in range(count))
    return tuple(_arrival(number, at_s, chance) for number, at_s in enumerate(times))


def _time(length_s: float, chance: Random) -> float:
    """By rejection: the rate is least at 3 h and most at 15 h."""
    while True:
        at_s = chance.uniform(0.0, length_s)
        rate = 0.75 - 0.25 * math.cos(2 * math.pi * (at_s / _HOUR_S - 3.0) / 24.0)
        if chance.random() < rate:
            return at_s


def _arrival(number: int, at_s: float, chance: Random) -> Arrival:
    tokens = min(8000, max(20, round(chance.lognormvariate(math.log(400), 0.8))))
    most = min(2000, max(16, round(chance.lognormvariate(math.log(300), 0.7))))
    words = [_WORDS[(number + place) % len(_WORDS)] for place in range(tokens * 2 // 3)]
    text = f"SIMULATION {number}: {' '.join(words)}"
    model = chance.choices(MODELS, _SHARES)[0]
    return Arrival(number, at_s, model, ChatRequest(({"role": "user", "content": text},), most))
