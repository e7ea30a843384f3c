from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wattproof.methodology import Method, Usage, all_methods, get_method
from wattproof.resources.receipts import (
    SIMULATION_TYP,
    Frontier,
    InclusionProof,
    Issuer,
    Report,
    entry_hash,
    exit_code,
    inclusion_proof,
    leaf_hash,
    receipt_id,
    sign,
    subtree_from_leaves,
    verify_receipt,
)

MakePayload = Callable[..., dict[str, Any]]

# Ten minutes after the receipts of these tests were issued.
NOW = 1_793_880_004.0 + 600


@pytest.fixture(params=all_methods(), ids=lambda method: method.id)
def method(request: pytest.FixtureRequest) -> Method:
    return request.param


def _verify(jws: str, issuer: Issuer, **options: Any) -> Report:
    return verify_receipt(jws, {issuer.kid: issuer.public_key}, now=NOW, **options)


def _verdicts(report: Report) -> dict[str, str]:
    return {name: found.reason or found.verdict for name, found in report.verdicts.items()}


def _proof_of(jws: str, log_id: str = "log-1") -> InclusionProof:
    """The receipt as entry 3 of 7."""
    leaves = [leaf_hash(bytes([index]) * 32) for index in range(7)]
    leaves[3] = leaf_hash(entry_hash(jws))
    path = inclusion_proof(3, 7, subtree_from_leaves(lambda start, end: leaves[start:end]))
    return InclusionProof(log_id, 3, 7, Frontier().extend(leaves).root(), tuple(path))


def test_a_receipt_of_every_method_passes_all_five(make_payload: MakePayload, issuer: Issuer, method: Method) -> None:
    jws = sign(make_payload(method), issuer)
    report = _verify(jws, issuer, inclusion=_proof_of(jws))
    assert _verdicts(report) == dict.fromkeys(
        ("signature", "inclusion", "arithmetic", "plausibility", "freshness"), "pass"
    )
    assert exit_code(report) == 0
    assert (report.key_trust, report.log_evidence) == ("local", "self")
    assert report.receipt_id == receipt_id(entry_hash(jws))


@pytest.mark.parametrize("boundary", ["narrow", "comprehensive"])
@pytest.mark.parametrize("zone", ["SE", "PL", "FR"])
def test_both_boundaries_recompute_in_grids_of_low_and_high_carbon(
    make_payload: MakePayload, issuer: Issuer, method: Method, boundary: str, zone: str
) -> None:
    report = _verify(sign(make_payload(method, boundary=boundary, zone=zone), issuer), issuer)
    assert exit_code(report) == 0, report.as_dict()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fresh=st.integers(0, 10**6), cached=st.integers(0, 10**6), answer=st.integers(0, 10**6), share=st.floats(0, 1))
def test_whatever_was_recorded_recomputes(
    make_payload: MakePayload, issuer: Issuer, method: Method, fresh: int, cached: int, answer: int, share: float
) -> None:
    usage = Usage(fresh + cached, answer, cached_input_tokens=cached, reasoning_tokens=int(answer * share))
    report = _verify(sign(make_payload(method, usage=usage, latency_ms=None), issuer), issuer)
    assert report.verdicts["arithmetic"].verdict == "pass", report.as_dict()
    assert report.verdicts["plausibility"].verdict != "fail", report.as_dict()


def test_a_strangers_key_is_not_established_and_exits_3(make_payload: MakePayload, issuer: Issuer) -> None:
    report = _verify(sign(make_payload(), Issuer(bytes(32))), issuer)
    assert _verdicts(report)["signature"] == "unknown_key"
    assert report.key_trust == "unknown"
    assert exit_code(report) == 3


def test_a_strangers_signature_under_our_key_id_fails(make_payload: MakePayload, issuer: Issuer) -> None:
    class Impostor:
        kid = issuer.kid

        def sign(self, message: bytes) -> bytes:
            return Issuer(bytes(32)).sign(message)

    report = _verify(sign(make_payload(), Impostor()), issuer)
    assert _verdicts(report)["signature"] == "bad_signature"
    assert exit_code(report) == 1


def test_a_simulation_fails_as_one_though_its_signature_is_good(make_payload: MakePayload, issuer: Issuer) -> None:
    report = _verify(sign(make_payload(), issuer, typ=SIMULATION_TYP), issuer)
    assert _verdicts(report)["signature"] == "simulation"
    assert exit_code(report) == 1


def test_another_kind_of_jws_fails(make_payload: MakePayload, issuer: Issuer) -> None:
    assert _verdicts(_verify(sign(make_payload(), issuer, typ="JWT"), issuer))["signature"] == "bad_typ"


def test_keys_that_the_caller_gave_are_marked_as_given(make_payload: MakePayload, issuer: Issuer) -> None:
    assert _verify(sign(make_payload(), issuer), issuer, trust="given").key_trust == "given"


def test_a_proof_of_another_log_or_another_entry_fails(make_payload: MakePayload, issuer: Issuer) -> None:
    jws, other = sign(make_payload(), issuer), sign(make_payload(request_id="other"), issuer)
    assert _verdicts(_verify(jws, issuer, inclusion=_proof_of(jws, "log-2")))["inclusion"] == "another_log"
    assert _verdicts(_verify(jws, issuer, inclusion=_proof_of(other)))["inclusion"] == "root_differs"


@pytest.mark.parametrize("output", ["energy_nwh", "carbon_location_ng"])
@pytest.mark.parametrize("factor", [0.999, 1.001])
def test_a_figure_that_is_a_tenth_of_a_percent_off_fails(
    make_payload: MakePayload, issuer: Issuer, method: Method, output: str, factor: float
) -> None:
    payload = make_payload(method)
    payload["outputs"][output]["median"] = round(payload["outputs"][output]["median"] * factor)
    report = _verify(sign(payload, issuer), issuer)
    assert _verdicts(report)["arithmetic"] == "outputs_differ"
    assert output in report.verdicts["arithmetic"].message
    assert exit_code(report) == 1


def test_a_figure_one_unit_off_passes(make_payload: MakePayload, issuer: Issuer, method: Method) -> None:
    payload = make_payload(method)
    payload["outputs"]["energy_nwh"]["median"] += 1
    assert exit_code(_verify(sign(payload, issuer), issuer)) == 0


def test_a_figure_where_the_method_gives_none_fails(make_payload: MakePayload, issuer: Issuer, method: Method) -> None:
    payload = make_payload(method)
    payload["outputs"]["water_nl"] = payload["outputs"]["energy_nwh"]
    assert _verdicts(_verify(sign(payload, issuer), issuer))["arithmetic"] == "outputs_differ"


def test_an_interval_that_the_method_does_not_publish_fails(make_payload: MakePayload, issuer: Issuer) -> None:
    payload = make_payload()
    payload["outputs"]["energy_nwh"]["interval"] = "range"
    assert _verdicts(_verify(sign(payload, issuer), issuer))["arithmetic"] == "outputs_differ"


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("output_tokens", {"value": 401}, "usage_differs"),
        ("active_params_b", {"unit": "parameters"}, "unit_differs"),
        ("active_params_b", {"value": 1, "exp10": 0}, "outputs_differ"),
        ("active_params_b", {"value": -5}, "not_computable"),
        ("active_params_b", {"value": 0, "exp10": 0}, "not_computable"),
        ("batch", {"name": "batches"}, "not_computable"),
        ("fit_const", {"value": 10**15, "exp10": 0}, "not_computable"),
    ],
)
def test_a_changed_operand_fails(
    make_payload: MakePayload, issuer: Issuer, name: str, change: dict[str, Any], reason: str
) -> None:
    payload = make_payload()
    operand = next(operand for operand in payload["operands"] if operand["name"] == name)
    operand.update(change)
    payload["operands"].sort(key=itemgetter("name"))
    report = _verify(sign(payload, issuer), issuer)
    assert _verdicts(report)["arithmetic"] == reason
    assert exit_code(report) == 1


def test_a_missing_operand_fails(make_payload: MakePayload, issuer: Issuer, method: Method) -> None:
    payload = make_payload(method)
    payload["operands"].pop()
    assert _verdicts(_verify(sign(payload, issuer), issuer))["arithmetic"] == "not_computable"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"method_id": "wattproof/param@9.0.0"}, "unknown_method"),
        ({"method_id": "wattproof/param"}, "unknown_method"),
        ({"method_sha256": "0" * 64}, "method_differs"),
        ({"schema": "wattproof-receipt/2"}, "unknown_schema"),
    ],
)
def test_what_this_version_does_not_know_is_not_established_and_exits_3(
    make_payload: MakePayload, issuer: Issuer, change: dict[str, Any], reason: str
) -> None:
    report = _verify(sign(make_payload() | change, issuer), issuer)
    assert _verdicts(report)["arithmetic"] == reason
    assert _verdicts(report)["signature"] == "pass"
    assert exit_code(report) == 3


def test_a_signed_payload_that_is_not_of_version_1_fails(issuer: Issuer) -> None:
    for payload in ({}, {"schema": "wattproof-receipt/1"}, {"schema": 1}):
        report = _verify(sign(payload, issuer), issuer)
        assert _verdicts(report)["arithmetic"] == "bad_payload"
        assert exit_code(report) == 1


def test_a_method_that_counts_manufacture_in_may_lie_above_the_reading_and_not_below_it(
    make_payload: MakePayload, issuer: Issuer
) -> None:
    payload = make_payload(get_method("vetted/ladder"))
    assert _verdicts(_verify(sign(payload, issuer), issuer))["plausibility"] == "pass"
    payload["grid"]["accounting"]["value_mgco2e_per_kwh"] *= 10
    assert _verdicts(_verify(sign(payload, issuer), issuer))["plausibility"] == "implied_intensity"


def test_carbon_that_is_not_energy_times_the_reading_is_implausible(make_payload: MakePayload, issuer: Issuer) -> None:
    payload = make_payload()
    payload["grid"]["accounting"]["value_mgco2e_per_kwh"] *= 2
    report = _verify(sign(payload, issuer), issuer)
    assert _verdicts(report)["plausibility"] == "implied_intensity"
    assert _verdicts(report)["arithmetic"] == "pass"
    assert exit_code(report) == 1
    check = next(check for check in report.checks if check.field == "intensity_gco2e_per_kwh")
    assert check.stated is not None
    assert check.expected == pytest.approx(2 * check.stated, rel=1e-3)


@pytest.mark.parametrize(
    ("zone", "stated", "reason"), [("PL", "FR", "far_from_average"), ("DE", "FR", "far_from_average")]
)
def test_the_reading_of_one_grid_under_the_name_of_another_is_implausible(
    make_payload: MakePayload, issuer: Issuer, zone: str, stated: str, reason: str
) -> None:
    payload = make_payload(zone=zone)
    payload["zone"] = payload["grid"]["accounting"]["zone"] = stated
    verdict = _verify(sign(payload, issuer), issuer).verdicts["plausibility"]
    assert (verdict.verdict, verdict.reason) == ("fail", reason)


def test_a_request_from_nowhere_known_is_held_against_the_mixture_of_zones(
    make_payload: MakePayload, issuer: Issuer
) -> None:
    for zone, verdict in (("US", "pass"), ("SE", "fail")):
        payload = make_payload(zone=zone)
        payload["zone"] = payload["grid"]["accounting"]["zone"] = "unknown:groq"
        report = _verify(sign(payload, issuer), issuer)
        assert report.verdicts["plausibility"].verdict == verdict, report.as_dict()


@pytest.mark.parametrize(
    ("grams", "verdict"), [(20, "pass"), (31, "pass"), (560, "pass"), (800, "pass"), (5, "unknown"), (20_000, "fail")]
)
def test_an_operation_over_several_zones_is_held_against_the_lowest_and_the_highest(
    make_payload: MakePayload, issuer: Issuer, grams: int, verdict: str
) -> None:
    """FR averaged 31 gCO2e/kWh and PL 565; what an operation calls its reading is what its steps came to."""
    payload = make_payload(kind="operation", latency_ms=None)
    payload["zone"] = payload["grid"]["accounting"]["zone"] = "multi:FR,PL"
    payload["grid"]["accounting"].update(value_mgco2e_per_kwh=grams * 1000, age_minutes=0, evidence="mixture")
    payload["outputs"]["carbon_location_ng"] = {
        **dict.fromkeys(("low", "high")),
        "median": round(payload["outputs"]["energy_nwh"]["median"] * grams / 1000),
        "interval": "none",
    }
    report = _verify(sign(payload, issuer), issuer)
    assert report.verdicts["plausibility"].verdict == verdict, report.as_dict()
    assert report.verdicts["freshness"].verdict == "pass"


def test_an_operation_is_added_up_and_not_computed(make_payload: MakePayload, issuer: Issuer) -> None:
    step = sign(make_payload(), issuer)
    block = {
        "operation_id": "op_1",
        "count": 1,
        "root_hex": Frontier().append(leaf_hash(entry_hash(step))).root().hex(),
        "steps": [{"seq": 0, "entry_hex": entry_hash(step).hex()}],
        "first_occurred_at": "2026-11-05T12:00:00Z",
        "last_occurred_at": "2026-11-05T12:00:00Z",
    }
    total = make_payload(kind="operation", method_id="wattproof/operation-total@1.0.0", operands=()) | {
        "operation": block
    }
    jws = sign(total, issuer)
    assert _verdicts(_verify(jws, issuer))["arithmetic"] == "steps_not_given"
    report = _verify(jws, issuer, steps=[step])
    assert _verdicts(report)["arithmetic"] == "pass", report.as_dict()
    assert exit_code(report) == 0


def test_a_receipt_without_carbon_leaves_its_intensity_open(make_payload: MakePayload, issuer: Issuer) -> None:
    payload = make_payload()
    payload["outputs"]["carbon_location_ng"] = None
    payload["reasons"]["carbon_location_ng"] = "not stated"
    assert _verdicts(_verify(sign(payload, issuer), issuer))["plausibility"] == "no_intensity"


def test_a_reading_of_zero_is_not_judged_against_an_average(make_payload: MakePayload, issuer: Issuer) -> None:
    payload = make_payload()
    payload["grid"]["accounting"]["value_mgco2e_per_kwh"] = 0
    payload["outputs"]["carbon_location_ng"].update(median=0, low=0)
    assert _verdicts(_verify(sign(payload, issuer), issuer))["plausibility"] == "far_from_average"


def test_an_unknown_zone_cannot_be_judged_and_does_not_fail(make_payload: MakePayload, issuer: Issuer) -> None:
    payload = make_payload()
    payload["zone"] = payload["grid"]["accounting"]["zone"] = "XX"
    report = _verify(sign(payload, issuer), issuer)
    assert _verdicts(report)["plausibility"] == "unknown_zone"
    assert exit_code(report) == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"zone": "DE"}, "zone_differs"), ({"renewable_ratio_bps": 9999}, "renewable_ratio_differs")],
)
def test_a_receipt_that_contradicts_its_own_reading_is_implausible(
    make_payload: MakePayload, issuer: Issuer, change: dict[str, Any], reason: str
) -> None:
    assert _verdicts(_verify(sign(make_payload() | change, issuer), issuer))["plausibility"] == reason


@pytest.mark.parametrize("latency_ms", [4100, 1, 0, None])
def test_an_answer_that_was_too_fast_to_time_is_not_held_against_its_power(
    make_payload: MakePayload, issuer: Issuer, latency_ms: int | None
) -> None:
    assert _verdicts(_verify(sign(make_payload(latency_ms=latency_ms), issuer), issuer))["plausibility"] == "pass"


@pytest.mark.parametrize(("output_tokens", "verdict"), [(400, "pass"), (1_000_000, "unknown"), (100_000_000, "fail")])
def test_an_implied_power_beyond_a_rack_is_open_and_beyond_any_machine_implausible(
    make_payload: MakePayload, issuer: Issuer, output_tokens: int, verdict: str
) -> None:
    report = _verify(sign(make_payload(usage=Usage(1000, output_tokens)), issuer), issuer)
    assert report.verdicts["plausibility"].verdict == verdict
    assert report.verdicts["plausibility"].reason in (None, "implied_power")
    assert "implied_power_w" in {check.field for check in report.checks}


@pytest.mark.parametrize(
    ("evidence", "match", "age", "ratio", "verdict"),
    [
        ("annual", "fallback", 969_840, 2700, "pass"),
        ("annual", "fallback", 969_840, 8500, "fail"),
        ("measured", "live", 60, 7000, "pass"),
        ("measured", "live", 60, 8500, "unknown"),
    ],
)
def test_a_renewable_ratio_may_lie_as_far_from_the_zones_as_its_evidence_allows(
    make_payload: MakePayload, issuer: Issuer, evidence: str, match: str, age: int, ratio: int, verdict: str
) -> None:
    payload = make_payload()
    payload["renewable_ratio_bps"] = ratio
    payload["grid"]["accounting"].update(
        evidence=evidence, temporal_match=match, age_minutes=age, renewable_ratio_bps=ratio
    )
    found = _verify(sign(payload, issuer), issuer).verdicts["plausibility"]
    assert (found.verdict, found.reason) == (verdict, None if verdict == "pass" else "renewable_share")


@pytest.mark.parametrize("median_nwh", [1, 10**14])
def test_an_absurd_energy_per_token_is_implausible(make_payload: MakePayload, issuer: Issuer, median_nwh: int) -> None:
    payload = make_payload()
    intensity = payload["grid"]["accounting"]["value_mgco2e_per_kwh"] / 1e6
    payload["outputs"]["energy_nwh"] = {"median": median_nwh, "low": None, "high": None, "interval": "none"}
    carbon = round(median_nwh * intensity)
    payload["outputs"]["carbon_location_ng"] = {"median": carbon, "low": None, "high": None, "interval": "none"}
    assert _verdicts(_verify(sign(payload, issuer), issuer))["plausibility"] == "energy_per_token"


def test_a_request_that_was_cut_short_may_have_cost_less_than_its_tokens(
    make_payload: MakePayload, issuer: Issuer
) -> None:
    method = get_method("wattproof/cpu-time")
    nothing = {"cpu_seconds": 0.0, "cpu_measured": True}
    cut_short = make_payload(method, activity=nothing, status="cancelled")
    completed = make_payload(method, activity=nothing, status="completed")
    assert _verify(sign(cut_short, issuer), issuer).verdicts["plausibility"].verdict == "unknown"
    assert _verify(sign(completed, issuer), issuer).verdicts["plausibility"].verdict == "fail"


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (None, "no_clock"),
        (NOW, "pass"),
        (NOW - 800, "pass"),
        (NOW - 1000, "in_the_future"),
        (NOW + 399 * 86_400, "pass"),
        (NOW + 401 * 86_400, "long_ago"),
    ],
)
def test_freshness_depends_on_the_clock_that_is_given(
    make_payload: MakePayload, issuer: Issuer, now: float | None, expected: str
) -> None:
    report = verify_receipt(sign(make_payload(), issuer), {issuer.kid: issuer.public_key}, now=now)
    assert _verdicts(report)["freshness"] == expected
    assert exit_code(report) == (1 if expected == "in_the_future" else 0)


def test_a_receipt_issued_before_it_occurred_fails(make_payload: MakePayload, issuer: Issuer) -> None:
    payload = make_payload(occurred_at="2026-11-05T13:00:00Z")
    assert _verdicts(_verify(sign(payload, issuer), issuer))["freshness"] == "issued_before_it_occurred"


@pytest.mark.parametrize(
    ("evidence", "match"), [("annual", "live"), ("annual", "fresh"), ("mixture", "live"), ("forecast", "live")]
)
def test_a_reading_that_claims_more_than_its_evidence_allows_fails(
    make_payload: MakePayload, issuer: Issuer, evidence: str, match: str
) -> None:
    payload = make_payload()
    payload["grid"]["accounting"].update(evidence=evidence, temporal_match=match)
    assert _verdicts(_verify(sign(payload, issuer), issuer))["freshness"] == "match_overstated"


def _observed(payload: dict[str, Any], observed_at: str, age_minutes: int, match: str) -> dict[str, Any]:
    payload["grid"]["accounting"].update(
        evidence="measured", temporal_match=match, observed_at=observed_at, age_minutes=age_minutes
    )
    return payload


@pytest.mark.parametrize(
    ("observed_at", "age_minutes", "match", "expected"),
    [
        ("2026-11-05T11:00:00Z", 60, "live", "pass"),
        ("2026-11-05T10:45:00Z", 75, "live", "pass"),
        ("2026-11-05T10:44:00Z", 76, "live", "match_overstated"),
        ("2026-11-05T08:00:00Z", 240, "fresh", "pass"),
        ("2026-11-05T07:59:00Z", 241, "fresh", "match_overstated"),
        ("2026-06-19T02:24:00Z", 200_736, "live", "match_overstated"),
        ("2026-11-05T12:05:00Z", 0, "live", "pass"),
        ("2026-11-05T11:00:00Z", 5, "live", "age_differs"),
        ("2025-11-05T11:00:00Z", 60, "live", "age_differs"),
        ("2026-11-05T11:00:00Z", 900_000, "fallback", "age_differs"),
    ],
)
def test_a_reading_is_as_old_as_its_times_say_and_no_more_timely_than_that(
    make_payload: MakePayload, issuer: Issuer, observed_at: str, age_minutes: int, match: str, expected: str
) -> None:
    payload = _observed(make_payload(), observed_at, age_minutes, match)
    assert _verdicts(_verify(sign(payload, issuer), issuer))["freshness"] == expected


@pytest.mark.parametrize("text", ["", "x", "é", "a.b.c", "a" * 100_000, "e30.e30.e30"])
def test_what_cannot_be_read_fails_without_an_exception(issuer: Issuer, text: str) -> None:
    report = _verify(text, issuer)
    assert report.verdicts["signature"].verdict == "fail"
    assert {report.verdicts[name].verdict for name in ("inclusion", "arithmetic", "plausibility")} == {"unknown"}
    assert exit_code(report) == 1


@given(st.text(max_size=200))
def test_no_text_at_all_raises(text: str) -> None:
    assert exit_code(verify_receipt(text, {})) == 1


def test_a_report_is_plain_data(make_payload: MakePayload, issuer: Issuer) -> None:
    plain = _verify(sign(make_payload(), issuer), issuer).as_dict()
    assert plain["verdicts"]["signature"] == {
        "verdict": "pass",
        "reason": None,
        "message": f"Signed by the key {issuer.kid}.",
    }
    assert {check["field"] for check in plain["checks"]} >= {"intensity_gco2e_per_kwh", "outputs.energy_nwh.median"}


def test_a_proof_reads_back_from_its_json(make_payload: MakePayload, issuer: Issuer) -> None:
    proof = _proof_of(sign(make_payload(), issuer))
    assert InclusionProof.from_dict(proof.as_dict()) == proof
