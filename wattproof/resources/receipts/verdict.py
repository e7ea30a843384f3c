"""One answer of a verification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Check", "Verdict", "VerdictKind", "failed", "passed", "unknown"]

VerdictKind = Literal["pass", "fail", "unknown"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """pass, fail or unknown; `reason` is a stable code (None on pass), `message` a sentence for people."""

    verdict: VerdictKind
    reason: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison that was made: what the receipt states and what was expected, in the unit of the field's name."""

    field: str
    stated: int | float | None
    expected: int | float | None
    source: str


def passed(message: str) -> Verdict:
    return Verdict("pass", None, message)


def failed(reason: str, message: str) -> Verdict:
    return Verdict("fail", reason, message)


def unknown(reason: str, message: str) -> Verdict:
    return Verdict("unknown", reason, message)
