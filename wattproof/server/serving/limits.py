"""What one caller may ask for, and what the server takes on, as the operator set them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import cast

from wattproof.methodology.errors import InvalidInput

__all__ = ["Limits", "Rate", "parse_limits"]

_LARGEST = 1_000_000
_BURST_S = 10
"""A burst that is not given is what the rate allows in so many seconds."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a minute, and so many at once after a pause."""

    per_minute: int
    burst: int

    @classmethod
    def of(cls, per_minute: int, burst: int | None = None) -> Rate:
        """The rate with its own burst, or with the usual one."""
        return cls(per_minute, max(1, per_minute * _BURST_S // 60) if burst is None else burst)


@dataclass(frozen=True, slots=True)
class Limits:
    """None: no limit.

    `calls` and `runs` are per caller, over all worker processes; every request to ``/mcp`` is a call, and one that may
    spend money is a run as well. `at_once` (per caller) and `at_once_all` count what is in flight in one worker
    process. `grace_s` is how long calls may go on once the server was told to stop.
    """

    calls: Rate | None = Rate(600, 100)
    runs: Rate | None = Rate(60, 10)
    at_once: int | None = 16
    at_once_all: int | None = 128
    grace_s: float = 10.0


_NAMES = tuple(field.name for field in fields(Limits))
_EXAMPLE = 'write it like "calls=600/100 runs=60/10 at_once=16 at_once_all=128 grace_s=10"'


def parse_limits(where: str, value: object) -> Limits:
    """`calls=600/100 runs=off …`: what is left out keeps its default, `off` lifts a limit. A table does as well.

    Raises:
        InvalidInput: naming `where`.
    """
    given = _pairs(where, value)
    limits = Limits()
    for name, text in given.items():
        if name not in _NAMES:
            from difflib import get_close_matches

            close = get_close_matches(name, _NAMES, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            raise InvalidInput(where, f"has {name[:40]!r}", f"{hint}{_EXAMPLE}")
        limits = replace(limits, **{name: _parsed(where, name, text)})
    return limits


def _pairs(where: str, value: object) -> Mapping[str, str]:
    if isinstance(value, Mapping):
        table = cast("Mapping[object, object]", value)
        return {str(name): str(number) for name, number in table.items()}
    if not isinstance(value, str):
        raise InvalidInput(where, f"is {value!r}", _EXAMPLE)
    pairs = [word.partition("=") for word in value.replace(",", " ").split()]
    names = [name for name, _, _ in pairs]
    if len(set(names)) != len(names) or not all(sign for _, sign, _ in pairs):
        raise InvalidInput(where, f"is {value[:80]!r}", _EXAMPLE)
    return {name: text for name, _, text in pairs}


def _parsed(where: str, name: str, text: str) -> Rate | int | float | None:
    if name == "grace_s":
        return _number(where, name, text, least=0, most=3600)
    if text == "off":
        return None
    if name in ("calls", "runs"):
        rate, slash, burst = text.partition("/")
        return Rate.of(_number(where, name, rate), _number(where, name, burst) if slash else None)
    return _number(where, name, text)


def _number(where: str, name: str, text: str, *, least: int = 1, most: int = _LARGEST) -> int:
    if not (text.isascii() and text.isdigit()) or not least <= int(text[:12]) <= most:
        raise InvalidInput(where, f"has {name}={text[:40]!r}", f"give an integer from {least} to {most}, or off")
    return int(text)
