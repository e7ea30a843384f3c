"""What is worked out once per deployment: the same figures as an estimate of one's own, and nothing kept too long."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.models import find_model
from wattproof.methodology.quantity import Usage
from wattproof.resources.footprints import estimate, expecting
from wattproof.resources.grid import annual_reading, reading_for
from wattproof.resources.providers import Deployment, Price
from wattproof.resources.providers.exchange import ExchangeRate
from wattproof.resources.routing import assemble

NOW = 1795341600.0
DAY_S = 86_400.0
ROW = Deployment(
    provider="here",
    model="gpt-oss-120b",
    native_model="gpt-oss-120b",
    base_url="http://127.0.0.1:1/v1",
    protocol="openai-chat",
    key_env=(),
    zone="FR",
    location_evidence="declared",
    location_source="test",
    checked_at="2026-11-01",
    price=Price(10, 10, None, "EUR", "test", "2026-11-01"),
)
RATE = ExchangeRate("EUR", Decimal("1.16"), "test", "2026-11-01")


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    input_tokens = draw(st.integers(0, 400_000))
    return Usage(input_tokens, draw(st.integers(0, 100_000)), cached_input_tokens=draw(st.integers(0, input_tokens)))


@given(
    usage=usages(),
    model=st.sampled_from(["gpt-oss-120b", "smollm2-135m-instruct", "claude-sonnet-4-5"]),
    protocol=st.sampled_from(["openai-chat", "embedded"]),
    pue=st.none() | st.floats(1.0, 2.0),
    hardware=st.sampled_from([None, "H100", "B200", "a toaster"]),
    zone=st.sampled_from(["FR", "PL", None]),
)
def test_what_is_expected_is_what_an_estimate_says(
    usage: Usage, model: str, protocol: str, pue: float | None, hardware: str | None, zone: str | None
) -> None:
    row = replace(ROW, model=model, protocol=protocol, pue=pue, hardware=hardware)  # pyright: ignore[reportArgumentType]
    reading = reading_for(zone, "here", NOW)
    made_ready = expecting(find_model(model), row, annual_reading("SE", NOW - 1e7))
    expected = made_ready.expect(usage)
    direct = estimate(find_model(model), usage, reading, deployment=row)
    assert made_ready.method_id == direct.method.id
    assert expected.energy_wh == direct.footprint.energy_wh
    assert expected.carbon_g_per_intensity is not None
    assert direct.footprint.carbon_gco2e is not None
    carbon = expected.carbon_g_per_intensity.times(reading.value_gco2e_per_kwh, reading.sigma_ln).quantity()
    for end in ("median", "low", "high"):
        assert getattr(carbon, end) == pytest.approx(getattr(direct.footprint.carbon_gco2e, end), rel=1e-8)
    assert 0.0 <= expected.sigma_own <= expected.carbon_g_per_intensity.sigma_ln + 1e-9


def test_a_number_that_the_method_refuses_is_refused_every_time() -> None:
    for _ in range(2):
        with pytest.raises(InvalidInput, match="pue"):
            assemble(find_model(ROW.model), Usage(1, 1), [replace(ROW, pue=0.5)], NOW)


def test_readings_are_of_the_second_of_their_request() -> None:
    for later_s in (0.0, 0.9, 1.0, 3600.0):
        (found,) = assemble(find_model(ROW.model), Usage(1, 1), [ROW], NOW + later_s)
        assert found.annual_reading == annual_reading("FR", NOW + later_s)
        assert found.annual_reading.requested_at == f"2026-11-22T{10 + int(later_s) // 3600}:00:{int(later_s) % 60:02}Z"


def test_a_row_grows_stale_while_the_process_runs() -> None:
    row = replace(ROW, checked_at="2026-06-01")
    seen = [assemble(find_model(ROW.model), Usage(1, 1), [row], NOW + days * DAY_S)[0].stale for days in range(-1, 9)]
    assert seen[0] == ()
    assert seen[-1] == ("stale_row",)
    assert sorted(seen) == seen


def test_rates_that_change_between_two_requests_count_at_once() -> None:
    rates = {"EUR": RATE}
    model, usage = find_model(ROW.model), Usage(10**6, 10**6)

    def said() -> tuple[int | None, tuple[str, ...]]:
        (found,) = assemble(model, usage, [ROW], NOW, rates=rates)
        return found.cost_usd_micros, found.stale

    assert said() == (24, ())
    rates["EUR"] = replace(RATE, usd_per_unit=Decimal(2), checked_at="2025-01-01")
    assert said() == (40, ("stale_rate",))
    del rates["EUR"]
    assert said() == (None, ())


def test_rows_of_one_id_are_told_apart() -> None:
    cheap, dear = (replace(ROW, price=Price(rate, rate, None, "USD", "test", "2026-11-01")) for rate in (10, 20))
    assert cheap.id == dear.id
    costs = [assemble(find_model(ROW.model), Usage(10**6, 0), [row], NOW)[0].cost_usd_micros for row in (cheap, dear)]
    assert costs == [10, 20]


def test_far_more_rows_than_are_kept_come_out_right() -> None:
    for rate in range(200):
        row = replace(ROW, price=Price(rate, rate, None, "USD", "test", "2026-11-01"))
        (found,) = assemble(find_model(ROW.model), Usage(10**6, 0), [row], NOW)
        assert found.cost_usd_micros == rate
        assert found.deployment is row
