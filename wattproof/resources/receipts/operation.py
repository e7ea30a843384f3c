"""The receipt of an operation: what its steps cost together, checked against the receipts of the steps.

Its payload has the block ``operation: {count, root_hex, steps: [{seq, entry_hex}] or null, ...}``: how many steps there
were, the RFC 6962 root over their leaves in order, and for each its place in the log and the SHA-256 of its receipt
(null where they are too many to list). So whoever has the receipts of the steps can see that they are those steps and
no others, compute each again, and add them up:

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
from wattproof.resources.receipts.merkle import Frontier, leaf_hash
from wattproof.resources.receipts.payload import entry_hash
from wattproof.resources.receipts.schema import OUTPUTS, USAGE_COUNTS, validate_payload
from wattproof.resources.receipts.verdict import Check, Verdict, failed, passed, unknown

__all__ = ["is_operation", "judge_operation", "step_places"]

# Amounts are rounded to integers, once in each step and once in the total.
_RELATIVE = 1e-4
_WIDTH_RELATIVE = 0.02
_SOURCE = "step receipts"


def is_operation(payload: Mapping[str, Any]) -> bool:
    """Whether a valid payload sums up steps."""
    return "operation" in payload


def step_places(payload: Mapping[str, Any]) -> tuple[int, ...]:
    """Where the steps of an operation stand in their log; empty where it is not one, or does not list them."""
    block: object = payload.get("operation")
    steps: object = cast("dict[str, object]", block).get("steps") if isinstance(block, dict) else None
    listed = cast("list[object]", steps) if isinstance(steps, list) else []
    places = [cast("dict[str, object]", step).get("seq") for step in listed if isinstance(step, dict)]
    return tuple(seq for seq in places if type(seq) is int)


def judge_operation(payload: Mapping[str, Any], steps: Sequence[str], checks: list[Check]) -> Verdict:
    """Add up the receipts `steps` (JWS, in any order where the operation lists them) and compare with its figures."""
    block = payload["operation"]
    count: int = block["count"]
    stated = None if block["steps"] is None else [bytes.fromhex(step["entry_hex"]) for step in block["steps"]]
    if stated is not None and (len(stated) != count or _root(stated) != block["root_hex"]):
        return failed("steps_contradict", "The steps that it lists are not those of its own count and root.")
    if not steps and count:
        return unknown("steps_not_given", f"It sums up {count} steps; give their receipts to add them up.")
    given = [entry_hash(jws) if jws.isascii() else b"" for jws in steps]
    if stated is None:
        if len(given) != count or _root(given) != block["root_hex"]:
            return unknown("steps_missing", f"These are not the {count} steps under its root, in the order of the log.")
        stated = given
    if not set(given) <= set(stated):
        return failed("not_a_step", "One of the receipts that were given is not a step of this operation.")
    missing = len(set(stated) - set(given))
    if missing:
        return unknown("steps_missing", f"{missing} of the {count} steps were not given.")
    payloads: list[Mapping[str, Any]] = []
    for jws in dict(zip(given, steps, strict=True)).values():
        step = _step(jws)
        if isinstance(step, Verdict):
            return step
        payloads.append(step)
    return _sums(payload, payloads, checks)


def _root(entries: Sequence[bytes]) -> str:
    return Frontier().extend([leaf_hash(entry) for entry in entries]).root().hex()


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
