"""The receipt of an operation: what its steps cost together, checked against the receipts of the steps.

Its payload has the block ``operation: {count, steps: [{seq, entry_hex}]}``: how many steps there were, and for each its
place in the log and the SHA-256 of its receipt. So whoever has the receipts of the steps can see that they are those
steps and no others, and add them up:

- token counts and means add up exactly. An amount with a 90 % interval is log-normal, so its mean follows from median
  and high: ``median exp(s^2 / 2)`` with ``s = ln(high / median) / 1.6448536``;
- variances add up where the steps share no unknown, standard deviations where they share all: the stated interval must
  lie between the two. Which factors are shared is in the ledger, not in the receipts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.methodology.propagate import Z90
from wattproof.resources.receipts import jws as jws_format
from wattproof.resources.receipts.arithmetic import judge_arithmetic
from wattproof.resources.receipts.payload import entry_hash
from wattproof.resources.receipts.schema import OUTPUTS, USAGE_COUNTS, validate_payload
from wattproof.resources.receipts.verdict import Check, Verdict, failed, passed, unknown

__all__ = ["judge_operation", "step_places", "steps_of"]

# Amounts are rounded to integers, once in each step and once in the total.
_RELATIVE = 1e-4
_WIDTH_RELATIVE = 0.02
_SOURCE = "step receipts"


def steps_of(payload: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The entry hashes (hex) of the steps that a receipt sums up; None where it is not one of an operation."""
    steps = _steps(payload)
    if steps is None:
        return None
    return tuple(entry for step in steps if isinstance(entry := step.get("entry_hex"), str))


def step_places(payload: Mapping[str, Any]) -> tuple[int, ...]:
    """Where the steps of an operation stand in their log; empty where it is not one."""
    return tuple(seq for step in _steps(payload) or () if type(seq := step.get("seq")) is int)


def _steps(payload: Mapping[str, Any]) -> list[Mapping[str, object]] | None:
    block: object = payload.get("operation")
    steps: object = cast("dict[str, object]", block).get("steps") if isinstance(block, dict) else None
    if not isinstance(steps, list):
        return None
    return [cast("dict[str, object]", step) for step in cast("list[object]", steps) if isinstance(step, dict)]


def judge_operation(
    payload: Mapping[str, Any], stated: Sequence[str], steps: Sequence[str], checks: list[Check]
) -> Verdict:
    """Add up the receipts `steps` and compare; `stated` are the entry hashes that the operation names."""
    if not steps:
        return unknown("steps_not_given", f"It sums up {len(stated)} steps; give their receipts to add them up.")
    found: dict[str, Mapping[str, Any]] = {}
    for jws in steps:
        entry = entry_hash(jws).hex() if jws.isascii() else ""
        if entry not in stated:
            return failed("not_a_step", "One of the receipts that were given is not a step of this operation.")
        step = _step(jws)
        if isinstance(step, Verdict):
            return step
        found[entry] = step
    missing = len(set(stated) - found.keys())
    if missing:
        return unknown("steps_missing", f"{missing} of the {len(stated)} steps were not given.")
    return _sums(payload, [found[entry] for entry in stated], checks)


def _step(jws: str) -> Mapping[str, Any] | Verdict:
    """The payload of a step whose own arithmetic holds."""
    try:
        payload = jws_format.parse(jws).payload
        validate_payload(payload)
    except (VerificationFailed, InvalidInput) as error:
        return failed("step_unreadable", f"The receipt of a step cannot be read: {error}")
    verdict = judge_arithmetic(payload, [])
    if verdict.verdict != "pass" and verdict.reason != "no_estimate":
        return (failed if verdict.verdict == "fail" else unknown)("step_not_computed", f"A step: {verdict.message}")
    return payload


def _sums(payload: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], checks: list[Check]) -> Verdict:
    wrong: list[str] = []
    for name in USAGE_COUNTS:
        total = sum(step["usage"][name] for step in steps)
        checks.append(Check(f"usage.{name}", payload["usage"][name], total, _SOURCE))
        if payload["usage"][name] != total:
            wrong.append(name)
    for name in OUTPUTS:
        amounts = [amount for step in steps if (amount := step["outputs"][name]) is not None]
        stated = payload["outputs"][name]
        same = not amounts if stated is None else bool(amounts) and _adds_up(name, stated, amounts, checks)
        if not same:
            wrong.append(name)
    if wrong:
        return failed("steps_differ", f"The {len(steps)} steps add up to something else: {', '.join(wrong)}.")
    return passed(f"The {len(steps)} steps, each computed again, add up to its figures.")


def _adds_up(name: str, stated: Mapping[str, Any], amounts: Sequence[Mapping[str, Any]], checks: list[Check]) -> bool:
    moments = [_moments(amount) for amount in amounts]
    mean, deviation = _moments(stated)
    total = math.fsum(step_mean for step_mean, _ in moments)
    checks.append(Check(f"outputs.{name}.mean", round(mean), round(total), _SOURCE))
    rounding = len(amounts) + 1
    if abs(mean - total) > rounding + _RELATIVE * total:
        return False
    if stated["interval"] != "credible90":
        return True  # it claims no width
    least = math.sqrt(math.fsum(step * step for _, step in moments))
    most = math.fsum(step for _, step in moments)
    slack = rounding + _WIDTH_RELATIVE * most
    return least - slack <= deviation <= most + slack


def _moments(amount: Mapping[str, Any]) -> tuple[float, float]:
    """Mean and standard deviation of a log-normal amount; one without such an interval is a point."""
    median, high = amount["median"], amount["high"]
    if amount["interval"] != "credible90" or median <= 0:
        return float(median), 0.0
    s = math.log(high / median) / Z90
    mean = median * math.exp(s * s / 2)
    return mean, mean * math.sqrt(math.expm1(s * s))
