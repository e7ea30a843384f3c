"""The page and `wattproof verify` judge keys, logs, adjustments and operations alike."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import NOW, Agree
from tests.fakes.receipt_log import WITNESS_KEY, ReceiptLog
from tests.receipts.conftest import MakePayload
from wattproof.methodology import Method, get_method
from wattproof.methodology.quantity import Operand
from wattproof.resources.receipts import Frontier, Issuer, entry_hash, leaf_hash, sign
from wattproof.resources.receipts.adjustment import change, former
from wattproof.resources.receipts.note import VerifierKey

LIMITS: list[dict[str, Any]] = [
    {},
    {"nbf": int(NOW) - 7200, "exp": int(NOW) + 7200},
    {"nbf": int(NOW) + 7200},
    {"exp": int(NOW) - 7200},
    {"exp": "2026-11-05T11:00:00Z"},
    {"wattproof_revoked_at": int(NOW) + 7200},
    {"wattproof_revoked_at": "2026-11-05T12:30:00Z", "exp": None},
]


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("witnessed", [None, 60, 7000])
def test_the_times_of_keys_count_alike(
    agree: Agree, make_payload: MakePayload, issuer: Issuer, limits: dict[str, Any], witnessed: int | None
) -> None:
    jws = sign(make_payload(), issuer)
    log = ReceiptLog().fill(3)
    proof = log.tlog_proof(log.append(jws), witnessed_at_s=None if witnessed is None else int(NOW) + witnessed)
    agree(
        jws,
        NOW + 8000,
        jwks={"keys": [issuer.public_jwk() | limits]},
        tlog_proof=proof,
        vkey=[str(log.vkey), str(WITNESS_KEY)],
    )


@pytest.mark.parametrize("keys", [None, {"keys": []}, {"keys": [{"kty": "RSA"}]}])
def test_without_the_issuers_key_nothing_is_established(
    agree: Agree, make_payload: MakePayload, issuer: Issuer, keys: dict[str, Any] | None
) -> None:
    found = agree(sign(make_payload(), issuer), jwks=keys)
    assert found.outcome == "not_established"
    assert found.verdicts["signature"] == ("unknown", "unknown_key")


def _evidence(jws: str, name: str) -> dict[str, Any]:
    """What an auditor may hold of the log in which `jws` is entry 10 of 24."""
    log = ReceiptLog().fill(10)
    log.append(jws)
    log.fill(13)
    stranger = VerifierKey(log.origin, Issuer(b"s" * 32).public_key)
    other = ReceiptLog(log_id="log-2")
    other.append(jws)
    fork = ReceiptLog().fill(30, seed=b"other")
    seen = log.tlog_proof(10, witnessed_at_s=int(NOW))
    tlog = {"tlog_proof": log.tlog_proof(10), "vkey": str(log.vkey)}
    older = {"old_checkpoint": log.checkpoint(7), "consistency": log.consistency(7)}
    found: dict[str, dict[str, Any]] = {
        "none": {},
        "json": {"inclusion": log.json_proof(10).as_dict()},
        "json of another place": {"inclusion": log.json_proof(11).as_dict()},
        "json beyond the tree": {"inclusion": log.json_proof(10).as_dict() | {"index": 99}},
        "json too short": {"inclusion": log.json_proof(10).as_dict() | {"hashes": []}},
        "json of another log": {"inclusion": other.json_proof(0).as_dict()},
        "json and an older checkpoint": {
            "inclusion": log.json_proof(10).as_dict(),
            "vkey": str(log.vkey),
            **older,
        },
        "signed": tlog,
        "signed, pasted": {**tlog, "tlog_proof": log.tlog_proof(10).rstrip("\n")},
        "signed and no key": {"tlog_proof": log.tlog_proof(10)},
        "signed by a stranger": {**tlog, "vkey": str(stranger)},
        "signed, of another place": {**tlog, "tlog_proof": log.tlog_proof(11)},
        "signed, another log": {"tlog_proof": other.tlog_proof(0), "vkey": str(other.vkey)},
        "signed, spoilt": {**tlog, "tlog_proof": log.tlog_proof(10).replace("\n24\n", "\n25\n")},
        "signed, no proof at all": {**tlog, "tlog_proof": "c2sp.org/tlog-proof@v1\nindex 01\n\nx"},
        "signed and json": {**tlog, "inclusion": log.json_proof(10).as_dict()},
        "signed and a bad json": {**tlog, "inclusion": log.json_proof(11).as_dict()},
        "witnessed": {"tlog_proof": seen, "vkey": [str(log.vkey), str(WITNESS_KEY)]},
        "witnessed by a stranger": {"tlog_proof": seen, "vkey": str(log.vkey)},
        "witnessed, spoilt": {"tlog_proof": seen[:-9] + "AAAAAA==\n", "vkey": [str(log.vkey), str(WITNESS_KEY)]},
        "witnessed in the future": {
            "tlog_proof": log.tlog_proof(10, witnessed_at_s=int(NOW) + 9000),
            "vkey": f"# two keys\n{log.vkey}\n{WITNESS_KEY}\n",
        },
        "older": {**tlog, **older},
        "older, as a list": {**tlog, **older, "consistency": log.consistency(7).split()},
        "older, as witnesses get it": {
            **tlog,
            **older,
            "consistency": f"old 7\n{log.consistency(7)}\n{log.checkpoint()}",
        },
        "older of size 8": {**tlog, "old_checkpoint": log.checkpoint(8), "consistency": log.consistency(8)},
        "older of this size": {**tlog, "old_checkpoint": log.checkpoint(24)},
        "older and empty": {**tlog, "old_checkpoint": log.checkpoint(0)},
        "older without a proof": {**tlog, "old_checkpoint": log.checkpoint(7)},
        "older, forked": {**tlog, "old_checkpoint": fork.checkpoint(7), "consistency": log.consistency(7)},
        "older, forked at this size": {**tlog, "old_checkpoint": fork.checkpoint(24)},
        "older, bad path": {**tlog, **older, "consistency": log.consistency(7).split()[:1]},
        "older, of another log": {
            **tlog,
            "old_checkpoint": other.checkpoint(1),
            "vkey": [str(log.vkey), str(other.vkey)],
        },
        "newer": {
            "tlog_proof": log.tlog_proof(10, size=12),
            "vkey": str(log.vkey),
            "old_checkpoint": log.checkpoint(24),
            "consistency": log.consistency(12),
        },
    }
    return found[name]


EVIDENCE = {
    "none": "no_proof",
    "json": None,
    "json of another place": "root_differs",
    "json beyond the tree": "bad_index",
    "json too short": "bad_proof",
    "json of another log": "another_log",
    "json and an older checkpoint": None,
    "signed": None,
    "signed, pasted": None,
    "signed and no key": "no_log_key",
    "signed by a stranger": "unknown_log_key",
    "signed, of another place": "root_differs",
    "signed, another log": "another_log",
    "signed, spoilt": "bad_log_signature",
    "signed, no proof at all": "bad_tlog_proof",
    "signed and json": None,
    "signed and a bad json": "root_differs",
    "witnessed": None,
    "witnessed by a stranger": None,
    "witnessed, spoilt": "bad_log_signature",
    "witnessed in the future": "witness_in_the_future",
    "older": None,
    "older, as a list": None,
    "older, as witnesses get it": None,
    "older of size 8": None,
    "older of this size": None,
    "older and empty": None,
    "older without a proof": "no_consistency_proof",
    "older, forked": "forked",
    "older, forked at this size": "forked",
    "older, bad path": "bad_consistency_proof",
    "older, of another log": "another_log",
    "newer": None,
}


@pytest.mark.parametrize("name", EVIDENCE)
def test_the_evidence_of_a_log_is_judged_alike(
    agree: Agree, make_payload: MakePayload, issuer: Issuer, name: str
) -> None:
    jws = sign(make_payload(), issuer)
    found = agree(jws, **_evidence(jws, name))
    assert found.verdicts["inclusion"][1] == EVIDENCE[name]
    assert (found.log_evidence == "witnessed") == (name == "witnessed")


@pytest.mark.parametrize("log_id", ["t/1", "an id with (brackets)", "caf\u00e9 50%", "a'b*c~!"])
def test_an_origin_is_escaped_alike(agree: Agree, make_payload: MakePayload, issuer: Issuer, log_id: str) -> None:
    jws = sign(make_payload(log_id=log_id), issuer)
    log = ReceiptLog(log_id=log_id)
    found = agree(jws, tlog_proof=log.tlog_proof(log.append(jws)), vkey=str(log.vkey))
    assert found.verdicts["inclusion"] == ("pass", None)


def test_an_adjustment_is_judged_alike(agree: Agree, make_payload: MakePayload, issuer: Issuer) -> None:
    method = get_method("wattproof/param")
    original, corrected = make_payload(zone="FR"), make_payload(zone="DE", activity={"batch": 8.0})
    jws = sign(_adjustment(method, original, corrected), issuer)
    assert agree(jws).verdicts["arithmetic"] == ("pass", None)
    spoilt = _adjustment(method, original, corrected)
    spoilt["outputs"]["energy_nwh"]["median"] += 1000
    spoilt["outputs"]["energy_nwh"]["high"] += 1000
    assert agree(sign(spoilt, issuer)).verdicts["arithmetic"] == ("fail", "outputs_differ")


def _adjustment(method: Method, original: dict[str, Any], corrected: dict[str, Any]) -> dict[str, Any]:
    """What changes when a receipt is computed with other operands; its usage did not change."""
    was = {operand["name"]: Operand(**operand) for operand in original["operands"]}
    now = {operand["name"]: Operand(**operand) for operand in corrected["operands"]}
    changed = [former(was[name]) for name in now if was[name] != now[name]]
    numbers = {name: operand.number for name, operand in now.items()}
    outputs = change(method, numbers, {name: was[name].number for name in was}, "comprehensive")
    operands = sorted([*now.values(), *changed], key=lambda operand: operand.name)
    return corrected | {
        "kind": "adjustment",
        "outputs": outputs,
        "usage": dict.fromkeys(("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens"), 0)
        | {"usage_source": "provider"},
        "operands": [
            {name: getattr(operand, name) for name in ("name", "value", "exp10", "unit", "source_id")}
            for operand in operands
        ],
    }


def test_an_operation_is_judged_alike(agree: Agree, make_payload: MakePayload, issuer: Issuer) -> None:
    steps = [sign(make_payload(request_id=name), issuer) for name in ("s1", "s2")]
    stranger = sign(make_payload(request_id="s3"), issuer)
    single = make_payload()
    double = {
        name: amount and {bound: value * 2 if isinstance(value, int) else value for bound, value in amount.items()}
        for name, amount in single["outputs"].items()
    }
    entries = [entry_hash(step) for step in steps]
    total: dict[str, Any] = single | {
        "kind": "operation",
        "method_id": "wattproof/operation-total@1.0.0",
        "operands": [],
        "outputs": double,
        "usage": {name: count if name == "usage_source" else 2 * count for name, count in single["usage"].items()},
        "operation": {
            "operation_id": "op_1",
            "count": 2,
            "root_hex": Frontier().extend([leaf_hash(entry) for entry in entries]).root().hex(),
            "steps": [{"seq": at, "entry_hex": entry.hex()} for at, entry in enumerate(entries)],
            "first_occurred_at": "2026-11-05T12:00:00Z",
            "last_occurred_at": "2026-11-05T12:00:00Z",
        },
    }
    jws = sign(total, issuer)
    expected: list[tuple[list[str], str | None]] = [
        ([], "steps_not_given"),
        (steps, None),
        (steps[:1], "steps_missing"),
        ([*steps, stranger], "not_a_step"),
    ]
    for given_, reason in expected:
        assert agree(jws, steps=given_ or None).verdicts["arithmetic"][1] == reason
    unlisted = sign(total | {"operation": total["operation"] | {"steps": None}}, issuer)
    assert agree(unlisted, steps=steps).verdicts["arithmetic"] == ("pass", None)
    assert agree(unlisted, steps=steps[::-1]).verdicts["arithmetic"][1] == "steps_missing"
    wrong = sign(total | {"operation": total["operation"] | {"count": 3}}, issuer)
    assert agree(wrong).verdicts["arithmetic"] == ("fail", "steps_contradict")


@pytest.mark.parametrize("zone", ["unknown:operation", "DE"])
def test_an_operation_without_steps_is_judged_alike(
    agree: Agree, make_payload: MakePayload, issuer: Issuer, zone: str
) -> None:
    single = make_payload()
    total: dict[str, Any] = single | {
        "kind": "operation",
        "method_id": "wattproof/operation-total@1.0.0",
        "operands": [],
        "zone": "none",
        "outputs": dict.fromkeys(single["outputs"]),
        "reasons": dict.fromkeys(single["outputs"], "known for 0 of 0 steps"),
        "usage": {name: count if name == "usage_source" else 0 for name, count in single["usage"].items()},
        "operation": {
            "operation_id": "op_1",
            "count": 0,
            "root_hex": Frontier().root().hex(),
            "steps": [],
            "first_occurred_at": "2026-11-05T12:00:00Z",
            "last_occurred_at": "2026-11-05T12:00:00Z",
        },
    }
    total["grid"]["accounting"]["zone"] = zone

    found = agree(sign(total, issuer)).verdicts["plausibility"]

    assert found[1] == ("no_intensity" if zone == "unknown:operation" else "zone_differs")
