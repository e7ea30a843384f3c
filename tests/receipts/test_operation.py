"""The receipt of an operation against the receipts of its steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from wattproof.methodology import Usage
from wattproof.methodology.propagate import Z90
from wattproof.resources.receipts import Frontier, Issuer, entry_hash, leaf_hash, sign
from wattproof.resources.receipts.operation import is_operation, judge_operation, step_places
from wattproof.resources.receipts.verdict import Check, Verdict

MakePayload = Callable[..., dict[str, Any]]
TOKENS = ((1000, 400), (3000, 800), (20, 5))


@pytest.fixture(scope="module")
def steps(make_payload: MakePayload, issuer: Issuer) -> list[dict[str, Any]]:
    return [make_payload(usage=Usage(*tokens), request_id=f"s{at}") for at, tokens in enumerate(TOKENS)]


def _total(amounts: list[dict[str, Any]], shared: float) -> dict[str, Any]:
    """Their sum where the correlation between any two is `shared`."""
    sigmas = [math.log(amount["high"] / amount["median"]) / Z90 for amount in amounts]
    means = [amount["median"] * math.exp(s * s / 2) for amount, s in zip(amounts, sigmas, strict=True)]
    deviations = [mean * math.sqrt(math.expm1(s * s)) for mean, s in zip(means, sigmas, strict=True)]
    variance = sum(
        one * other * (1.0 if i == k else shared)
        for i, one in enumerate(deviations)
        for k, other in enumerate(deviations)
    )
    s = math.sqrt(math.log1p(variance / sum(means) ** 2))
    median = sum(means) * math.exp(-s * s / 2)
    low, high = median * math.exp(-Z90 * s), median * math.exp(Z90 * s)
    return {"median": round(median), "low": round(low), "high": round(high), "interval": "credible90"}


def _operation(steps: list[dict[str, Any]], jws: list[str], shared: float = 0.7) -> dict[str, Any]:
    outputs = {
        name: None if amount is None else _total([step["outputs"][name] for step in steps], shared)
        for name, amount in steps[0]["outputs"].items()
    }
    usage = {name: sum(step["usage"][name] for step in steps) for name in steps[0]["usage"] if name != "usage_source"}
    block = {
        "count": len(steps),
        "root_hex": _root(jws),
        "steps": [{"seq": at, "entry_hex": entry_hash(text).hex()} for at, text in enumerate(jws)],
    }
    return {"kind": "operation", "usage": usage | {"usage_source": "provider"}, "outputs": outputs, "operation": block}


def _root(jws: list[str]) -> str:
    return Frontier().extend([leaf_hash(entry_hash(text)) for text in jws]).root().hex()


def _judge(operation: dict[str, Any], given_: list[str]) -> Verdict:
    return judge_operation(operation, given_, list[Check]())


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_steps_add_up_whatever_unknowns_they_share(steps: list[dict[str, Any]], issuer: Issuer, shared: float) -> None:
    jws = [sign(step, issuer) for step in steps]
    checks: list[Check] = []
    operation = _operation(steps, jws, shared)
    verdict = judge_operation(operation, jws[::-1], checks)
    assert verdict.verdict == "pass", verdict
    assert {"usage.input_tokens", "outputs.energy_nwh.mean"} <= {check.field for check in checks}


@pytest.mark.parametrize(
    ("block", "name", "member", "times"),
    [
        ("usage", "output_tokens", None, 2.0),
        ("outputs", "energy_nwh", "median", 0.99),
        ("outputs", "energy_nwh", "high", 3.0),
        ("outputs", "carbon_location_ng", "high", 0.35),
    ],
)
def test_a_total_that_is_not_that_of_the_steps_fails(
    steps: list[dict[str, Any]], issuer: Issuer, block: str, name: str, member: str | None, times: float
) -> None:
    jws = [sign(step, issuer) for step in steps]
    operation = _operation(steps, jws)
    place = operation[block] if member is None else operation[block][name]
    place[member or name] = round(place[member or name] * times)
    found = _judge(operation, jws)
    assert found.reason == "steps_differ"
    assert name in found.message


def test_steps_that_are_missing_leave_it_open_and_strange_ones_fail(
    steps: list[dict[str, Any]], issuer: Issuer, make_payload: MakePayload
) -> None:
    jws = [sign(step, issuer) for step in steps]
    operation = _operation(steps, jws)
    assert _judge(operation, []).reason == "steps_not_given"
    assert _judge(operation, jws[:2]).reason == "steps_missing"
    assert _judge(operation, [*jws, sign(make_payload(request_id="other"), issuer)]).reason == "not_a_step"
    assert _judge(operation, [*jws, "é"]).reason == "not_a_step"


def test_a_step_must_hold_by_itself(steps: list[dict[str, Any]], issuer: Issuer) -> None:
    wrong = steps[0] | {"outputs": steps[0]["outputs"] | {"energy_nwh": steps[1]["outputs"]["energy_nwh"]}}
    unknown = steps[0] | {"method_sha256": "0" * 64}
    for changed, verdict in ((wrong, "fail"), (unknown, "unknown")):
        jws = [sign(step, issuer) for step in (changed, *steps[1:])]
        found = _judge(_operation([changed, *steps[1:]], jws), jws)
        assert (found.verdict, found.reason) == (verdict, "step_not_computed")
    text = "a.b.c"
    block = {"count": 1, "root_hex": _root([text]), "steps": [{"seq": 0, "entry_hex": entry_hash(text).hex()}]}
    unreadable = {"operation": block}
    assert _judge(unreadable, [text]).reason == "step_unreadable"


def test_a_list_of_steps_must_be_that_of_its_own_count_and_root(steps: list[dict[str, Any]], issuer: Issuer) -> None:
    jws = [sign(step, issuer) for step in steps]
    operation = _operation(steps, jws)
    for name, value in (("count", 4), ("root_hex", "00" * 32), ("steps", operation["operation"]["steps"][::-1])):
        changed = operation | {"operation": operation["operation"] | {name: value}}
        assert _judge(changed, jws).reason == "steps_contradict"
        assert _judge(changed, []).reason == "steps_contradict"


def test_steps_that_are_too_many_to_list_are_known_by_their_root(steps: list[dict[str, Any]], issuer: Issuer) -> None:
    jws = [sign(step, issuer) for step in steps]
    operation = _operation(steps, jws)
    operation["operation"]["steps"] = None
    assert _judge(operation, jws).verdict == "pass"
    assert _judge(operation, jws[::-1]).reason == "steps_missing"
    assert _judge(operation, jws[:2]).reason == "steps_missing"
    assert _judge(operation, []).reason == "steps_not_given"
    assert step_places(operation) == ()


def test_an_ordinary_receipt_has_no_steps(make_payload: MakePayload) -> None:
    assert not is_operation(make_payload())
    assert step_places(make_payload()) == ()
    assert step_places({"operation": {"steps": [{"seq": 7}, {"seq": True}, 3]}}) == (7,)
    assert step_places({"operation": None}) == ()
