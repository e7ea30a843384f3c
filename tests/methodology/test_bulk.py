"""Many requests at once: the same figures as one by one."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattproof.methodology.methods.param import Indicators
from wattproof.methodology.models import find_model
from wattproof.methodology.propagate import Row, total
from wattproof.methodology.quantity import Boundary, Quantity, Usage, Workload
from wattproof.resources.bulk import ManyEstimates, UsageColumns, estimate_many
from wattproof.resources.footprints import Estimate, estimate, factor_terms
from wattproof.resources.grid.bundled import annual_reading, unknown_reading
from wattproof.resources.grid.reading import Reading
from wattproof.resources.providers.records import Deployment

NOW = 1_793_000_000.0
MODEL = find_model("gpt-oss-120b")
FRANCE, GERMANY, NOWHERE = annual_reading("FR", NOW), annual_reading("DE", NOW), unknown_reading("groq", NOW)
DEPLOYMENT = Deployment(
    provider="ovhcloud",
    model="gpt-oss-120b",
    native_model="gpt-oss-120b",
    base_url="https://example.invalid/v1",
    protocol="openai-chat",
    key_env=(),
    zone="FR",
    location_evidence="declared",
    location_source="provider documentation",
    checked_at="2026-07-02",
)

counts = st.one_of(st.integers(0, 5_000), st.integers(0, 300_000), st.integers(0, 10**12))


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    input_tokens, output_tokens = draw(counts), draw(counts)
    cached = draw(st.one_of(st.just(0), st.integers(0, input_tokens)))
    return Usage(input_tokens, output_tokens, cached, draw(st.integers(0, output_tokens)))


supplies = st.fixed_dictionaries(
    {},
    optional={
        "pue": st.floats(1, 2),
        "batch": st.floats(1, 512),
        "batch_api": st.booleans(),
        "weight_bytes_per_param": st.sampled_from([0.53, 1.0, 2.0]),
        "wue_onsite_l_per_kwh": st.one_of(st.just(0.0), st.floats(0.01, 5)),
        "wue_offsite_l_per_kwh": st.floats(0.01, 8),
        "mix_adpe_kgsbeq_per_kwh": st.floats(1e-9, 1e-6),
    },
)


def columns(rows: list[Usage]) -> UsageColumns:
    return UsageColumns(
        input_tokens=np.array([usage.input_tokens for usage in rows], dtype=np.int64),
        output_tokens=[usage.output_tokens for usage in rows],
        cached_input_tokens=np.array([usage.cached_input_tokens for usage in rows], dtype=np.uint64),
        reasoning_tokens=[usage.reasoning_tokens for usage in rows],
    )


def require_the_same(many: ManyEstimates, one_by_one: list[Estimate]) -> None:
    assert len(many) == len(one_by_one)
    for name in Indicators._fields:
        singly = [getattr(found.footprint, name) for found in one_by_one]
        if None in singly:
            assert set(singly) == {None}
            assert name not in many.amounts
            assert many.reasons[name] == one_by_one[0].footprint.reasons[name]
            assert many.total(name) is None
            continue
        expected = np.array([(quantity.median, quantity.low, quantity.high) for quantity in singly])
        np.testing.assert_allclose(np.column_stack(many.amounts[name]), expected, rtol=1e-12, atol=0)


@settings(max_examples=150)
@given(
    rows=st.lists(usages(), min_size=1, max_size=8),
    model=st.sampled_from(["gpt-oss-120b", "gpt-4o", "o1", "smollm2-135m-instruct"]),
    hardware=st.sampled_from([None, "H100", "B200", "an unlisted one"]),
    boundary=st.sampled_from(["narrow", "comprehensive"]),
    workload=st.sampled_from([Workload.CHAT, Workload.EMBEDDING]),
    supplied=supplies,
    instrument=st.sampled_from([{}, {"market_gco2e_per_kwh": 12.0, "instrument_id": "a contract"}]),
    data=st.data(),
)
def test_every_figure_is_that_of_the_request_alone(
    rows: list[Usage],
    model: str,
    hardware: str | None,
    boundary: Boundary,
    workload: Workload,
    supplied: dict[str, Any],
    instrument: dict[str, Any],
    data: st.DataObject,
) -> None:
    readings = data.draw(
        st.one_of(
            st.sampled_from([FRANCE, GERMANY, NOWHERE]),
            st.lists(st.sampled_from([FRANCE, GERMANY, NOWHERE]), min_size=len(rows), max_size=len(rows)),
        )
    )
    same: dict[str, Any] = {
        "deployment": replace(DEPLOYMENT, hardware=hardware),
        "boundary": boundary,
        "workload": workload,
        "supplied": supplied | instrument,
    }
    each_reading = [readings] * len(rows) if isinstance(readings, Reading) else readings
    parameters = find_model(model)
    one_by_one = [
        estimate(parameters, usage, reading, **same) for usage, reading in zip(rows, each_reading, strict=True)
    ]
    for form in (rows, columns(rows)):
        many = estimate_many(parameters, readings, form, **same)
        require_the_same(many, one_by_one)
        for row, found in enumerate(one_by_one):
            common = many.common[int(many.reading_of[row])]
            assert common.footprint.tier == found.footprint.tier
            assert common.region_scope == found.region_scope


@given(rows=st.lists(usages(), min_size=1, max_size=8), data=st.data())
def test_totals_are_those_of_the_requests_with_their_shared_factors(rows: list[Usage], data: st.DataObject) -> None:
    readings = data.draw(st.lists(st.sampled_from([FRANCE, GERMANY]), min_size=len(rows), max_size=len(rows)))
    many = estimate_many(MODEL, readings, rows, deployment=DEPLOYMENT)
    terms = [
        factor_terms(estimate(MODEL, usage, reading, deployment=DEPLOYMENT))
        for usage, reading in zip(rows, readings, strict=True)
    ]
    energy = total(Row([term[1] for term in each], [term[3] for term in each]) for each in terms)
    carbon = total(Row([term[2] or 0.0 for term in each], [term[4] for term in each]) for each in terms)
    require_close(many.total("energy_wh"), energy)
    require_close(many.total("carbon_gco2e"), carbon)


def require_close(found: Quantity | None, expected: Quantity) -> None:
    assert found is not None
    assert (found.median, found.low, found.high) == pytest.approx(
        (expected.median, expected.low, expected.high), rel=1e-12
    )


@pytest.mark.parametrize("indicator", ["energy_wh", "carbon_gco2e", "carbon_embodied_gco2e", "water_ml", "adpe_kgsbeq"])
def test_a_thousand_identical_requests_have_the_relative_width_of_one(indicator: str) -> None:
    supplied = {"wue_onsite_l_per_kwh": 0.3, "wue_offsite_l_per_kwh": 3.1}
    many = estimate_many(MODEL, FRANCE, [Usage(40_000, 400, 2_000)] * 1000, supplied=supplied)
    amounts, summed = many.amounts[indicator], many.total(indicator)
    assert summed is not None
    assert summed.median == pytest.approx(1000 * amounts.median[0], rel=1e-12)
    assert summed.low == pytest.approx(1000 * amounts.low[0], rel=1e-12)
    assert summed.high == pytest.approx(1000 * amounts.high[0], rel=1e-12)


def test_the_parts_of_two_batches_add_up_to_the_total_of_one() -> None:
    rows = [Usage(1000 * row, 400, 10 * row) for row in range(100)]
    readings = [FRANCE, GERMANY] * 50
    for indicator in ("energy_wh", "carbon_gco2e", "adpe_kgsbeq"):
        first, second = (
            estimate_many(MODEL, readings[part], rows[part]).rows(indicator) for part in (slice(40), slice(40, None))
        )
        whole = estimate_many(MODEL, readings, rows).total(indicator)
        assert first is not None
        assert second is not None
        assert whole is not None
        require_close(total([*first, *second]), whole)


def test_two_grids_make_a_total_narrower_than_one() -> None:
    rows = [Usage(1000, 400)] * 10
    one, two = (estimate_many(MODEL, grids, rows).total("carbon_gco2e") for grids in ([FRANCE] * 10, mixed_grids()))
    assert one is not None
    assert two is not None
    assert ratio(two) < ratio(one)


def mixed_grids() -> list[Reading]:
    """Two grids of equal intensity and spread: only their names differ."""
    return [FRANCE, replace(FRANCE, zone="BE")] * 5


def ratio(quantity: Quantity) -> float:
    assert quantity.low is not None
    assert quantity.high is not None
    return quantity.high / quantity.low


def test_no_tokens_give_0_with_no_width() -> None:
    many = estimate_many(MODEL, FRANCE, [Usage(0, 0), Usage(1000, 400)])
    for amounts in many.amounts.values():
        assert [array[0] for array in amounts] == [0.0, 0.0, 0.0]
        assert amounts.low[1] < amounts.median[1] < amounts.high[1]


def test_no_requests_are_no_error() -> None:
    empty = np.array([], np.int64)
    for nothing in (list[Usage](), UsageColumns([], []), UsageColumns(empty, empty)):
        many = estimate_many(MODEL, FRANCE, nothing)
        assert len(many) == 0
        assert many.total("energy_wh") == Quantity(0.0, 0.0, 0.0)


def test_only_the_arrays_that_are_asked_for_are_made() -> None:
    many = estimate_many(MODEL, FRANCE, [Usage(1000, 400)], indicators=["energy_wh", "water_ml"])
    assert list(many.amounts) == ["energy_wh"]
    assert many.energy_wh is many.amounts["energy_wh"]
    assert many.carbon_gco2e is None
    assert many.reasons["carbon_gco2e"] == "not asked for"
    assert many.reasons["water_ml"] == "no WUE"
    assert many.total("carbon_gco2e") == estimate_many(MODEL, FRANCE, [Usage(1000, 400)]).total("carbon_gco2e")


def test_a_million_requests_need_little_memory_beside_their_results() -> None:
    requests = 1_000_000
    rows = UsageColumns(np.arange(requests), np.arange(requests) % 4000, np.arange(requests) // 3)
    estimate_many(MODEL, FRANCE, [Usage(1, 1)])
    tracemalloc.start()
    try:
        many = estimate_many(MODEL, FRANCE, rows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    results = sum(array.nbytes for amounts in many.amounts.values() for array in amounts)
    assert len(many) == requests
    assert peak - results < 8e6


def test_without_numpy_the_error_says_what_to_install() -> None:
    code = """
import sys
sys.modules["numpy"] = None
from wattproof.methodology.errors import Unavailable
from wattproof.methodology.models import find_model
from wattproof.methodology.quantity import Usage
from wattproof.resources.bulk import estimate_many
from wattproof.resources.grid.bundled import annual_reading
try:
    estimate_many(find_model("gpt-4o"), annual_reading("FR", 1_793_000_000), [Usage(1, 1)])
except Unavailable as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'wattproof[bulk]'" in done.stdout
