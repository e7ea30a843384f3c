"""The page and `wattproof verify` give the same verdicts, for the same reasons, on the same receipts."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from dataclasses import asdict
from hashlib import sha256
from importlib.resources import files
from operator import itemgetter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.browser.conftest import NOW, VERDICTS, Agree
from tests.browser.tampered import TAMPERED
from tests.receipts.conftest import MakePayload
from wattproof.methodology import Usage, all_methods, get_method
from wattproof.methodology.methods import Telemetry
from wattproof.methodology.quantity import Operand
from wattproof.resources.receipts import SIMULATION_TYP, Issuer, sign
from wattproof.resources.receipts.adjustment import change, former
from wattproof.resources.receipts.base64url import decode, encode
from wattproof.resources.receipts.canonical import dumps
from wattproof.resources.receipts.jws import sign_encoded
from wattproof.resources.receipts.schema import USAGE_COUNTS

METHODS = {method.id: method for method in all_methods()}


@pytest.mark.parametrize("boundary", ["narrow", "comprehensive"])
@pytest.mark.parametrize("name", METHODS)
def test_every_method_computes_again_in_both(
    agree: Agree, make_payload: MakePayload, issuer: Issuer, name: str, boundary: Any
) -> None:
    for zone in ("FR", "PL"):
        found = agree(sign(make_payload(METHODS[name], boundary=boundary, zone=zone), issuer))
        assert found.outcome == "established", found


ACTIVITIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("wattproof/param", {"hardware": "B200", "batch": 32.0, "pue": 1.2, "pue_source": "operator"}),
    ("wattproof/param", {"hardware": "no such hardware", "wue_onsite_l_per_kwh": 0.2, "wue_offsite_l_per_kwh": 1.8}),
    ("wattproof/param", {"market_gco2e_per_kwh": 12.0, "instrument_id": "ppa-1", "mix_adpe_kgsbeq_per_kwh": 5e-8}),
    ("wattproof/param", {"wue_onsite_l_per_kwh": 0.2}),
    ("wattproof/cpu-time", {"cpu_seconds": 12.5, "cpu_measured": True}),
    ("vetted/ladder", {"hardware": "H100", "batch": 64.0, "wue_onsite_l_per_kwh": 0.2, "wue_offsite_l_per_kwh": 1.0}),
    ("vetted/ladder", {"mix_adpe_kgsbeq_per_kwh": 5e-8, "market_gco2e_per_kwh": 1.0, "instrument_id": "ppa-1"}),
    ("ecologits/llm", {"latency_s": 2.0, "mix_adpe_kgsbeq_per_kwh": 5e-8, "wue_offsite_l_per_kwh": 1.1}),
    ("ecologits/llm@0.4.0", {"latency_s": 0.5, "mix_adpe_kgsbeq_per_kwh": 5e-8}),
    ("lowrouter/ecologits", {"profile": {"token_basis_output": 1.0}}),
)


@pytest.mark.parametrize(("name", "activity"), ACTIVITIES, ids=str)
def test_operands_that_only_some_receipts_have_compute_again_in_both(
    agree: Agree, make_payload: MakePayload, issuer: Issuer, name: str, activity: dict[str, Any]
) -> None:
    assert agree(sign(make_payload(get_method(name), activity=activity), issuer)).verdicts["arithmetic"][0] == "pass"


def test_metered_energy_computes_again_in_both(agree: Agree, make_payload: MakePayload, issuer: Issuer) -> None:
    samples = Telemetry(gpu_wh=0.1, host_wh=0.02, idle_wh=0.01, samples=30, resolution_ms=100.0)
    for activity in ({"samples": samples}, {"samples": samples, "opinion_ref": "ISAE 3000, 2026"}):
        made = make_payload(get_method("vetted/ladder"), activity=activity)
        assert agree(sign(made, issuer)).verdicts["arithmetic"][0] == "pass"


def test_an_adjustment_to_fewer_tokens_computes_again_in_both(
    agree: Agree, make_payload: MakePayload, issuer: Issuer
) -> None:
    payload = make_payload()
    method = get_method(payload["method_id"])
    numbers = {each["name"]: Operand(**each).number for each in payload["operands"]}
    (tokens,) = (each for each in payload["operands"] if each["name"] == "input_tokens")
    earlier = former(Operand(**{**tokens, "value": tokens["value"] + 500}))
    payload["operands"].append(asdict(earlier))
    payload["operands"].sort(key=itemgetter("name"))
    payload["usage"] |= dict.fromkeys(USAGE_COUNTS, 0) | {"input_tokens": -500}
    payload["outputs"] |= change(method, numbers, {"input_tokens": earlier.number}, payload["boundary"])
    payload["kind"] = "adjustment"

    found = agree(sign(payload, issuer))

    assert found.verdicts["arithmetic"][0] == "pass"
    assert payload["outputs"]["energy_nwh"]["median"] < 0


def test_only_an_adjustment_may_have_negative_usage(agree: Agree, make_payload: MakePayload, issuer: Issuer) -> None:
    payload = make_payload()
    payload["usage"]["input_tokens"] = -1
    assert agree(sign_encoded(dumps(payload), issuer)).verdicts["arithmetic"][0] != "pass"


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    name=st.sampled_from(sorted(METHODS)),
    fresh=st.integers(0, 10**6),
    cached=st.integers(0, 10**6),
    answer=st.integers(0, 10**5),
    latency_ms=st.none() | st.integers(0, 10**6),
    spoil=st.sampled_from([1.0, 1.0, 1.0 + 2e-6, 0.999]),
)
def test_whatever_was_used_both_say_the_same(
    agree: Agree,
    make_payload: MakePayload,
    issuer: Issuer,
    name: str,
    fresh: int,
    cached: int,
    answer: int,
    latency_ms: int | None,
    spoil: float,
) -> None:
    usage = Usage(fresh + cached, answer, cached_input_tokens=cached)
    payload = make_payload(METHODS[name], usage=usage, latency_ms=latency_ms)
    energy = payload["outputs"]["energy_nwh"]
    energy["high"] = energy["high"] and round(energy["high"] * max(spoil, 1.0))
    energy["low"] = energy["low"] and round(energy["low"] * min(spoil, 1.0))
    agree(sign(payload, issuer))


@pytest.mark.parametrize("name", TAMPERED)
def test_a_changed_payload_is_judged_alike(agree: Agree, make_payload: MakePayload, issuer: Issuer, name: str) -> None:
    change_payload, reason = TAMPERED[name]
    payload = make_payload()
    change_payload(payload)
    found = agree(sign(payload, issuer))
    assert not reason or reason in {why for _, why in found.verdicts.values()}


@pytest.mark.parametrize("now", [NOW, NOW - 1000, NOW + 399 * 86_400, NOW + 401 * 86_400])
def test_the_clock_counts_alike(agree: Agree, make_payload: MakePayload, issuer: Issuer, now: float) -> None:
    agree(sign(make_payload(), issuer), now)


def _signed_with(header: dict[str, Any], payload: bytes, issuer: Issuer) -> str:
    parts = f"{encode(json.dumps(header, separators=(',', ':'), sort_keys=True).encode())}.{encode(payload)}"
    return f"{parts}.{encode(issuer.sign(parts.encode()))}"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"[]",
        b"7",
        b'{"a":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":9007199254740992}',
        b'{"a":123456789012345678}',
        b'{"a":-0}',
        b'{"a":01}',
        b'{"a":true}',
        b'{"a": 1}',
        b'{"b":1,"a":1}',
        b'{"a":"\\u0041"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\x"}',
        b'{"a":"\x01"}',
        '{"ä":1}'.encode(),
        '{"a":"ä\u2028"}'.encode(),
        b'{"a":"\xff"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":1}x',
        b'{"a":1,}',
        b'{"__proto__":1}',
        b'{"constructor":1}',
        b'{"a":' + b"[" * 9 + b"]" * 9 + b"}",
        b'{"a":' + b"[" * 7 + b"]" * 7 + b"}",
    ],
)
def test_json_is_read_alike(agree: Agree, issuer: Issuer, payload: bytes) -> None:
    header = {"alg": "EdDSA", "kid": issuer.kid, "typ": "wattproof-receipt+jws"}
    agree(_signed_with(header, payload, issuer))


@pytest.mark.parametrize(
    "changes",
    [
        {"alg": "Ed25519"},
        {"alg": "HS256"},
        {"alg": "none"},
        {"typ": "JWT"},
        {"typ": SIMULATION_TYP},
        {"kid": "somebody"},
        {"kid": 7},
        {"jwk": {}},
        {"crit": []},
        {"x": "y"},
    ],
)
def test_headers_are_judged_alike(
    agree: Agree, make_payload: MakePayload, issuer: Issuer, changes: dict[str, Any]
) -> None:
    header = {"alg": "EdDSA", "kid": issuer.kid, "typ": "wattproof-receipt+jws", **changes}
    agree(_signed_with(header, dumps(make_payload()), issuer))


@pytest.mark.parametrize("text", ["x", "a.b.c", "a.b", "é.é.é", "e30.e30.e30", "..", "a" * 70_000, "e30.e31.e30"])
def test_what_is_no_receipt_is_judged_alike(agree: Agree, text: str) -> None:
    assert agree(text).verdicts["signature"][0] == "fail"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10**6), letter=st.sampled_from("ABCDwxyz0189-_=.+/ é"))
def test_a_changed_letter_is_judged_alike(
    agree: Agree, make_payload: MakePayload, issuer: Issuer, at: int, letter: str
) -> None:
    jws = sign(make_payload(), issuer)
    place = at % len(jws)
    agree(jws[:place] + letter + jws[place + 1 :])


SMALL_ORDER = [bytes(32), b"\x01" + bytes(31), bytes.fromhex("ec" + "ff" * 30 + "7f")]


@pytest.mark.parametrize("point", SMALL_ORDER, ids=bytes.hex)
def test_keys_and_signatures_of_small_order_are_refused_by_both(
    agree: Agree, make_payload: MakePayload, point: bytes
) -> None:
    """With such a key one signature fits many messages: s = 0 and R = A."""
    members = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": encode(point)}, separators=(",", ":"))
    kid = encode(sha256(members.encode()).digest())
    header = {"alg": "EdDSA", "kid": kid, "typ": "wattproof-receipt+jws"}
    parts = f"{encode(json.dumps(header, separators=(',', ':')).encode())}.{encode(dumps(make_payload()))}"
    jws = f"{parts}.{encode(point + bytes(32))}"
    found = agree(jws, jwks={"keys": [{"kty": "OKP", "crv": "Ed25519", "x": encode(point)}]})
    assert found.verdicts["signature"] == ("fail", "bad_signature")


def test_a_signature_with_a_scalar_beyond_the_order_is_refused_by_both(
    agree: Agree, make_payload: MakePayload, issuer: Issuer
) -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    head, _, last = sign(make_payload(), issuer).rpartition(".")
    raw = decode(last)
    beyond = raw[:32] + (int.from_bytes(raw[32:], "little") + order).to_bytes(32, "little")
    assert agree(f"{head}.{encode(beyond)}").verdicts["signature"] == ("fail", "bad_signature")


def test_the_receipt_that_ships_with_the_demo_is_judged_alike(agree: Agree) -> None:
    demo = files("wattproof.server.demo")
    found = agree(
        demo.joinpath("receipt.jws").read_text().strip(),
        jwks=json.loads(demo.joinpath("jwks.json").read_text()),
        inclusion=json.loads(demo.joinpath("inclusion.json").read_text()),
        now=NOW + 30 * 86_400,
    )
    assert found.verdicts["signature"] == ("pass", None)
    assert found.verdicts.keys() == set(VERDICTS)


def test_base64_of_both_alphabets_is_told_apart(agree: Agree, make_payload: MakePayload, issuer: Issuer) -> None:
    head, payload, signature = sign(make_payload(), issuer).split(".")
    plain = urlsafe_b64encode(b"\xfb\xff\xfe" * 8).decode().replace("-", "+").replace("_", "/")
    for changed in (f"{head}=.{payload}.{signature}", f"{head}.{payload}.{plain}", f"{head}.{payload}.{signature}="):
        assert agree(changed).verdicts["signature"] == ("fail", "bad_base64url")
