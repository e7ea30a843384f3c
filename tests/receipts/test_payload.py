from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.resources.receipts import (
    Issuer,
    canonical,
    entry_hash,
    receipt_id,
    request_commitment,
    sign,
    validate_payload,
)
from wattproof.resources.receipts.payload import grid_payload
from wattproof.resources.receipts.stated import MAX_STATED_BYTES, stated

MakePayload = Callable[..., dict[str, Any]]

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()

KEYS_OF_VERSION_1 = """
    attempts boundary cost decision_sha256 deployment edition edition_sha256 energy_source ghg_scope grid
    instrument_id issued_at kind latency_ms location_evidence log_id method_id method_sha256 model nonce occurred_at
    operands operation_id outputs parent_id provider provider_reported reasons region_scope renewable_ratio_bps
    request_commitment request_id resolved_model schema status step_kind tags tier usage workload zone
"""


def test_the_keys_of_version_1_are_frozen(make_payload: MakePayload) -> None:
    assert sorted(make_payload()) == KEYS_OF_VERSION_1.split()


def test_a_payload_is_canonical_json(make_payload: MakePayload) -> None:
    payload = make_payload()
    assert canonical.loads(canonical.dumps(payload)) == payload


def test_what_is_null_has_its_reason_under_the_receipts_own_names(make_payload: MakePayload) -> None:
    payload = make_payload()
    unknown = {name for name, amount in payload["outputs"].items() if amount is None}
    assert unknown == {"carbon_market_ng", "water_nl"}
    assert unknown <= payload["reasons"].keys()
    assert "water_ml" not in payload["reasons"]


def test_operands_are_sorted_by_name(make_payload: MakePayload) -> None:
    names = [operand["name"] for operand in make_payload()["operands"]]
    assert names == sorted(set(names))
    assert {"input_tokens", "intensity_gco2e_per_kwh"} <= set(names)


def test_the_grid_reading_is_in_integers(annual_reading: Callable[[str], dict[str, Any]]) -> None:
    reading = annual_reading("FR") | {"value_gco2e_per_kwh": 31.2345, "low_gco2e_per_kwh": 29.0, "sigma_ln": 0.1}
    taken = grid_payload(reading)
    assert taken["value_mgco2e_per_kwh"] == 31_234
    assert (taken["low_mgco2e_per_kwh"], taken["high_mgco2e_per_kwh"]) == (29_000, None)
    assert taken["sigma_ln_millionths"] == 100_000
    canonical.dumps(taken)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", "wattproof-receipt/2"),
        ("log_id", ""),
        ("log_id", None),
        ("model", "x" * 201),
        ("issued_at", "2026-11-05T12:00:00+00:00"),
        ("issued_at", "2026-02-30T12:00:00Z"),
        ("issued_at", "2026-11-05"),
        ("occurred_at", 1),
        ("kind", "guess"),
        ("status", "open"),
        ("attempts", -1),
        ("attempts", "1"),
        ("workload", "weather"),
        ("location_evidence", "rumour"),
        ("renewable_ratio_bps", 10_001),
        ("ghg_scope", "scope1"),
        ("usage.input_tokens", -1),
        ("usage.cached_input_tokens", 1001),
        ("usage.usage_source", "dream"),
        ("usage.more", 1),
        ("method_sha256", "00"),
        ("edition_sha256", "A" * 64),
        ("tier", "gold"),
        ("boundary", "wide"),
        ("outputs.energy_nwh.median", -1),
        ("outputs.energy_nwh.low", None),
        ("outputs.energy_nwh.high", 0),
        ("outputs.energy_nwh.interval", "none"),
        ("outputs.energy_nwh", 1),
        ("outputs.happiness", None),
        ("reasons.water_nl", ""),
        ("reasons", {}),
        ("operands", {}),
        ("operands", [1]),
        ("grid.routing", {}),
        ("grid.accounting.basis", "guessed"),
        ("cost.currency", "usd"),
        ("cost.micros", -1),
        ("latency_ms", -1),
        ("tags", ["x"] * 33),
        ("decision_sha256", "x"),
        ("nonce", "00" * 15),
        ("request_commitment", "00"),
        ("provider_reported", []),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(make_payload: MakePayload, path: str, value: Any) -> None:
    payload = make_payload()
    *folders, name = path.split(".")
    place = payload
    for folder in folders:
        place = place[folder]
    place[name] = value
    with pytest.raises(InvalidInput) as caught:
        validate_payload(payload)
    assert caught.value.field.startswith(path.rpartition(".")[0] or path)


@pytest.mark.parametrize("name", ["schema", "nonce", "operands", "grid"])
def test_a_missing_key_is_named(make_payload: MakePayload, name: str) -> None:
    payload = make_payload()
    del payload[name]
    with pytest.raises(InvalidInput) as caught:
        validate_payload(payload)
    assert caught.value.field == name


def test_an_operand_that_is_named_twice_is_refused(make_payload: MakePayload) -> None:
    payload = make_payload()
    payload["operands"].insert(0, payload["operands"][0])
    with pytest.raises(InvalidInput, match="operands"):
        validate_payload(payload)


def test_only_an_adjustment_may_be_negative(make_payload: MakePayload) -> None:
    payload = make_payload()
    payload["outputs"]["energy_nwh"] = {"median": -5, "low": -9, "high": -1, "interval": "credible90"}
    with pytest.raises(InvalidInput):
        validate_payload(payload)
    payload["kind"] = "adjustment"
    validate_payload(payload)


@settings(max_examples=40)
@given(st.dictionaries(st.text(), st.recursive(LEAVES, st.lists)))
def test_whatever_a_provider_reports_can_be_signed(block: dict[str, Any]) -> None:
    fitted = stated(block)
    assert len(canonical.dumps(fitted)) <= MAX_STATED_BYTES


def test_a_provider_block_keeps_what_it_says() -> None:
    block = {"energy_kwh": 0.00015, "nested": {"estimated": True, "source": "é\ud800"}, "list": [1, None, 2**60]}
    assert stated(block) == {
        "energy_kwh": "0.00015",
        "nested": {"estimated": "true", "source": "é?"},
        "list": [1, None, str(2**60)],
    }


def test_a_provider_block_that_is_too_big_or_too_deep_says_so() -> None:
    assert stated({"a": "x" * 10_000})["omitted"] == "too_large"
    deep: Any = 1
    for _ in range(50):
        deep = [deep]
    assert "too deep" in str(stated({"a": deep}))


def test_a_providers_model_name_cannot_spoil_a_receipt(make_payload: MakePayload, issuer: Issuer) -> None:
    payload = make_payload(resolved_model="\ud800" * 5000)
    assert payload["resolved_model"] == "?" * 200
    sign(payload, issuer)


def test_an_amount_without_its_currency_is_no_cost(make_payload: MakePayload) -> None:
    assert make_payload(cost_micros=278, currency="EUR")["cost"] == {"micros": 278, "currency": "EUR"}
    assert make_payload(cost_micros=278, currency=None)["cost"] is None


def test_the_entry_is_the_hash_of_the_ascii_receipt() -> None:
    assert entry_hash("a.b.c") == sha256(b"a.b.c").digest()
    with pytest.raises(VerificationFailed):
        entry_hash("é")


def test_a_receipt_id_is_26_characters_of_base32() -> None:
    assert receipt_id(bytes(32)) == "r_" + "a" * 26
    assert receipt_id(sha256(b"").digest()) == "r_4oymiquy7qobjgx36tejs35zeq"


def test_a_commitment_is_an_hmac_under_the_salt() -> None:
    salt = bytes(range(32))
    assert request_commitment(salt, b"{}") == hmac.new(salt, b"{}", sha256).hexdigest()
    with pytest.raises(InvalidInput):
        request_commitment(b"short", b"{}")
