"""A period under another method: figures that recompute, parts that add up, and nothing recorded that changes."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.imports.test_exports_of_providers import openai_page
from wattproof.methodology.errors import InvalidInput, UnknownMethod
from wattproof.methodology.integers import amounts, outputs
from wattproof.methodology.methods import all_methods, get_method
from wattproof.methodology.models import find_model
from wattproof.methodology.quantity import Operand, Usage
from wattproof.resources.footprints import estimate
from wattproof.resources.grid import annual_reading, reading_for
from wattproof.resources.imports import FORMATS, ImportRequest, import_usage
from wattproof.resources.receipts import parse
from wattproof.resources.restating import PARTS, Basis, Unrestatable, restated_entry
from wattproof.tools.adjust import AdjustArgs, adjust
from wattproof.tools.restate import RestateArgs, RestateResult, brief, restate, restatements, span_of
from wattproof.tools.run_inference import RunArgs, run_inference
from wattproof.tools.summarize_ledger import SummaryArgs, summarize_ledger

if TYPE_CHECKING:
    from tests.fakes.grid_apis import GridApis
    from tests.fakes.installation import Installation
    from tests.fakes.provider import FakeProvider
    from wattproof.tools import Deps

ECOLOGITS, LOWROUTER = "ecologits/llm@0.11.3", "lowrouter/ecologits@0.4-2026-01"
DECEMBER_S = 1_796_083_200.0  # 2026-12-01T00:00:00Z


@pytest.fixture
def place(installation: Installation, fake_provider: FakeProvider) -> Installation:
    """One provider in France."""
    installation.deployments = (fake_provider.deployment(provider="alpha", zone="FR", pue=1.3, pue_source="its page"),)
    return installation


async def run(deps: Deps) -> str:
    messages = [{"role": "user", "content": "hello"}]
    result = await run_inference(RunArgs(model="gpt-oss-120b", messages=messages, max_output_tokens=50), deps)
    assert result.receipt_id is not None
    return result.receipt_id


async def restated(deps: Deps, method: str, period: str = "2026-11", **given: Any) -> RestateResult:
    result = await restate(RestateArgs(method=method, period=period, **given), deps)
    for sums in result.sums.values():
        parts = [amount for name, amount in sums.items() if name not in ("original", "restated")]
        assert sums["original"] + sum(parts) == sums["restated"]
    return result


async def payload_of(deps: Deps, receipt_id: str) -> Mapping[str, Any]:
    jws = await (await deps.ledger()).get_jws(receipt_id)
    assert jws is not None
    return parse(jws).payload


async def test_the_figures_are_those_that_the_method_gives_for_the_receipt(place: Installation) -> None:
    async with place.open() as deps:
        receipts = [await run(deps) for _ in range(3)]
        stated = await payload_of(deps, receipts[0])
        result = await restated(deps, LOWROUTER)
    deployment = place.deployments[0]
    expected = estimate(
        find_model("gpt-oss-120b"),
        Usage(42, 8, 10, 2),
        annual_reading("FR", place.now_s),
        deployment=deployment,
        method_id=LOWROUTER,
    ).footprint
    assert expected.energy_wh is not None
    assert expected.carbon_gco2e is not None
    energy, carbon = result.restated["estimated_energy_kwh"], result.restated["estimated_carbon_kg"]
    assert energy is not None
    assert carbon is not None
    assert energy.median == pytest.approx(3 * expected.energy_wh.median / 1000, rel=1e-5)
    assert carbon.median == pytest.approx(3 * expected.carbon_gco2e.median / 1000, rel=1e-5)
    assert (energy.low, result.interval) == (None, "none")
    assert result.sums["energy_nwh"]["original"] == 3 * stated["outputs"]["energy_nwh"]["median"]
    assert result.sums["energy_nwh"]["restated"] == 3 * round(expected.energy_wh.median * 1e9)
    assert (result.request_count, result.restated_count, result.left_out) == (3, 3, {})
    assert result.provenance.model_dump() == {
        "region_scope": "FR",
        "energy_source": "grid-mix",
        "methodology": LOWROUTER,
        "renewable_ratio_bps": 2700,
    }
    assert result.sums["carbon_location_ng"]["activity"] == result.sums["carbon_location_ng"]["factor"] == 0


async def test_the_method_of_the_receipts_gives_their_figures_again(place: Installation) -> None:
    async with place.open() as deps:
        for _ in range(2):
            await run(deps)
        result = await restated(deps, "wattproof/param")
        summary = await summarize_ledger(SummaryArgs(), deps)
    for sums in result.sums.values():
        assert sums["original"] == sums["restated"]
        assert all(sums[part] == 0 for part in PARTS)
    assert result.interval == "credible90"
    for name, figure in result.restated.items():
        before = result.original[name]
        assert before is not None
        assert figure is not None
        assert figure.model_dump() == pytest.approx(before.model_dump(), rel=1e-4)
    assert summary.estimated_energy_kwh is not None
    assert result.original["estimated_energy_kwh"] is not None
    assert result.original["estimated_energy_kwh"].median == pytest.approx(
        summary.estimated_energy_kwh.median, rel=0.01
    )
    assert "method 0 g" in brief(result)


async def test_a_range_stays_a_range_and_counts_manufacture_as_what_is_left(place: Installation) -> None:
    async with place.open() as deps:
        for _ in range(2):
            await run(deps)
        result = await restated(deps, ECOLOGITS)
    carbon, sums = result.restated["estimated_carbon_kg"], result.sums["carbon_location_ng"]
    assert carbon is not None
    assert result.interval == "range"
    assert carbon.low is not None
    assert carbon.high is not None
    assert carbon.low <= carbon.median <= carbon.high
    assert sums["method_other"] > 0
    assert get_method(ECOLOGITS).embodied_included


async def test_the_pue_of_a_method_is_a_part_of_its_own(place: Installation) -> None:
    async with place.open() as deps:
        await run(deps)
        result = await restated(deps, "ecologits/llm@0.4.0")
    energy = result.sums["energy_nwh"]
    # 1.3 as the provider states it, 1.2 by EcoLogits 0.4.0.
    assert energy["method_pue"] == pytest.approx(energy["restated"] * (1 - 1.3 / 1.2), rel=1e-6)
    assert energy["method_other"] == 0


@pytest.mark.parametrize("method", [method.id for method in all_methods()])
async def test_every_method_restates_or_says_why_not(place: Installation, method: str) -> None:
    async with place.open() as deps:
        await run(deps)
        result = await restated(deps, method)
    assert result.restated_count + sum(result.left_out.values()) == 1
    assert brief(result)
    if result.left_out:
        (reason,) = result.left_out
        assert result.reasons[f"left_out.{reason}"]
        assert result.restated["estimated_energy_kwh"] is None
        assert result.sums["energy_nwh"]["restated"] == 0
        assert "1 not: " in brief(result)


async def test_other_readings_are_a_factor_and_leave_energy_alone(
    place: Installation, live_grid: GridApis, fake_provider: FakeProvider
) -> None:
    place.deployments = (fake_provider.deployment(provider="alpha", zone="FI"),)
    async with place.open() as deps:
        receipt_id = await run(deps)
        stated = await payload_of(deps, receipt_id)
        result = await restated(deps, "wattproof/param", grid="annual")
        unchanged = await restated(deps, "wattproof/param")
    assert stated["grid"]["accounting"]["temporal_match"] == "live"
    carbon, energy = result.sums["carbon_location_ng"], result.sums["energy_nwh"]
    annual = annual_reading("FI", place.now_s).value_gco2e_per_kwh
    assert carbon["restated"] == pytest.approx(carbon["original"] * annual / live_grid.value_gco2e_per_kwh, rel=1e-5)
    assert carbon["factor"] == carbon["restated"] - carbon["original"] != 0
    assert [carbon[part] for part in PARTS if part != "factor"] == [0, 0, 0, 0]
    assert set(energy.values()) == {0, energy["original"]}
    assert unchanged.restatement_id != result.restatement_id
    assert "annual readings" in brief(result)


async def test_late_usage_is_activity_of_the_month_in_which_the_request_was(place: Installation) -> None:
    async with place.open() as deps:
        receipt_id = await run(deps)
        stated = await payload_of(deps, receipt_id)
        await (await deps.ledger()).periods.entries(deps.log_id, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
        place.now_s = DECEMBER_S
        await (await deps.ledger()).periods.close(deps.log_id, "2026-11")
        await adjust(AdjustArgs(receipt_id=receipt_id, output_tokens=808), deps)
        november = await restated(deps, "wattproof/param")
        december = await restated(deps, "wattproof/param", "2026-12")
        year = await restated(deps, "wattproof/param", "2026")
        assert (await (await deps.ledger()).fsck()).findings == ()
    numbers = {row["name"]: Operand(**row).number for row in stated["operands"]} | {"output_tokens": 808}
    expected = amounts(get_method("wattproof/param").compute(numbers, stated["boundary"]))["energy_nwh"]
    assert expected is not None
    assert november.sums["energy_nwh"]["restated"] == expected[0]
    assert november.sums["energy_nwh"]["activity"] == expected[0] - november.sums["energy_nwh"]["original"] > 0
    assert (november.adjustments_count, december.adjustments_count) == (0, 1)
    assert (december.request_count, december.sums["energy_nwh"]["restated"]) == (0, 0)
    assert december.sums["energy_nwh"]["activity"] == -december.sums["energy_nwh"]["original"] < 0
    assert year.sums["energy_nwh"]["activity"] == 0
    assert year.sums["energy_nwh"]["restated"] == expected[0]


async def test_late_usage_counts_under_another_method_too(place: Installation) -> None:
    async with place.open() as deps:
        receipt_id = await run(deps)
        before = await restated(deps, LOWROUTER)
        await adjust(AdjustArgs(receipt_id=receipt_id, input_tokens=84, output_tokens=16), deps)
        after = await restated(deps, LOWROUTER)
    assert after.sums["energy_nwh"]["restated"] == pytest.approx(2 * before.sums["energy_nwh"]["restated"], abs=1)


async def test_imported_records_are_restated_from_the_receipt_of_their_batch(
    installation: Installation, tmp_path: Path
) -> None:
    path = tmp_path / "usage.json"
    path.write_text(json.dumps(openai_page()))
    async with installation.open() as deps:
        ledger = await deps.ledger()
        request = ImportRequest(
            format=FORMATS["openai-usage"],
            paths=(path,),
            log_id=deps.log_id,
            deployments=installation.deployments,
            now_s=DECEMBER_S,
            random_bytes=os.urandom,
        )
        await import_usage(request, ledger)
        own = await restated(deps, "wattproof/param")
        result = await restated(deps, LOWROUTER)
    assert (own.request_count, own.restated_count) == (500, 500)
    assert own.sums["energy_nwh"]["restated"] == own.sums["energy_nwh"]["original"] > 0
    average = estimate(
        find_model("gpt-5-mini"), Usage(200, 100, 160), reading_for(None, "openai", DECEMBER_S), method_id=LOWROUTER
    )
    assert average.footprint.energy_wh is not None
    assert result.sums["energy_nwh"]["restated"] == pytest.approx(500e9 * average.footprint.energy_wh.median, rel=1e-9)
    assert result.tier_counts == {"proxy": 500}
    assert result.provenance.energy_source == "unknown-mix"


async def test_what_has_no_receipt_leaves_and_is_counted(place: Installation) -> None:
    async with place.open() as deps:
        first = await run(deps)
        await run(deps)
        stated = await payload_of(deps, first)
        with closing(sqlite3.connect(place.home / "ledger.sqlite3")) as connection, connection:
            connection.execute("DELETE FROM receipt WHERE seq = 0")
        result = await restated(deps, LOWROUTER)
    assert (result.request_count, result.restated_count, result.left_out) == (2, 1, {"receipt_not_here": 1})
    assert result.sums["energy_nwh"]["left_out"] == -stated["outputs"]["energy_nwh"]["median"]
    assert "erased or archived" in result.reasons["left_out.receipt_not_here"]
    assert "left out -" in brief(result)


async def test_nothing_recorded_changes_and_the_same_restatement_is_kept_once(place: Installation) -> None:
    async with place.open() as deps:
        await run(deps)
        ledger = await deps.ledger()
        head, summary = await ledger.head(deps.log_id), await summarize_ledger(SummaryArgs(), deps)
        first = await restated(deps, LOWROUTER)
        place.now_s += 3600
        assert await restated(deps, LOWROUTER) == first
        other = await restated(deps, ECOLOGITS)
        assert (await ledger.head(deps.log_id), await summarize_ledger(SummaryArgs(), deps)) == (head, summary)
        assert await restatements("2026-11", deps) == (other, first)
        assert await restatements("2026-10", deps) == ()
        await run(deps)
        again = await restated(deps, LOWROUTER)
        assert again.restatement_id != first.restatement_id
        assert (first.tree_size, again.tree_size) == (1, 2)
        assert len(await restatements(None, deps)) == 3
        assert (await ledger.fsck()).findings == ()


async def test_a_kept_restatement_cannot_be_changed(place: Installation) -> None:
    async with place.open() as deps:
        await run(deps)
        await restated(deps, LOWROUTER)
    with closing(sqlite3.connect(place.home / "ledger.sqlite3")) as connection:
        for statement in ("UPDATE restatement SET json = '{}'", "DELETE FROM restatement"):
            with pytest.raises(sqlite3.IntegrityError, match="a restatement is never"):
                connection.execute(statement)


async def test_a_period_without_requests_has_nothing_to_restate(place: Installation) -> None:
    async with place.open() as deps:
        await run(deps)
        result = await restated(deps, LOWROUTER, "2026-03")
    assert (result.request_count, result.restated["estimated_energy_kwh"]) == (0, None)
    assert result.reasons["renewable_ratio_bps"] == "nothing was restated"
    assert brief(result).startswith("2026-03 under ")


async def test_the_result_is_json_that_round_trips(place: Installation) -> None:
    async with place.open() as deps:
        await run(deps)
        result = await restated(deps, ECOLOGITS)
    assert RestateResult.model_validate(json.loads(json.dumps(result.model_dump()))) == result
    assert list(result.structured())[-1] == "provenance"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"period": "november"}, "give a year, month or day"),
        ({"period": "2026-13"}, "give a year, month or day"),
        ({"edition": "2020-01"}, "edition is '2020-01'; this version has 2026-11"),
    ],
)
async def test_what_cannot_be_restated_is_refused_before_anything_is_read(
    installation: Installation, given: dict[str, Any], says: str
) -> None:
    async with installation.open() as deps:
        with pytest.raises(InvalidInput, match=says):
            await restate(RestateArgs.model_validate({"method": LOWROUTER, "period": "2026-11", **given}), deps)
        with pytest.raises(UnknownMethod):
            await restate(RestateArgs(method="nobody/knows", period="2026-11"), deps)
    assert not installation.home.exists()


@pytest.mark.parametrize(
    ("period", "span"),
    [
        ("2026", ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")),
        ("2026-12", ("2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z")),
        ("2028-02-29", ("2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z")),
    ],
)
def test_a_period_is_a_year_a_month_or_a_day(period: str, span: tuple[str, str]) -> None:
    assert span_of(period) == span


@pytest.fixture(scope="module")
def stated() -> Mapping[str, Any]:
    """What a receipt of a request in Poland states, made without a run."""
    from wattproof.resources.receipts import build_payload

    found = estimate(find_model("gpt-oss-120b"), Usage(4000, 300), annual_reading("PL", DECEMBER_S))
    return build_payload(
        log_id="local",
        issued_at="2026-11-05T12:00:00Z",
        occurred_at="2026-11-05T12:00:00Z",
        kind="inference",
        status="completed",
        request_id="r1",
        attempts=1,
        workload="chat",
        provider="alpha",
        model="gpt-oss-120b",
        resolved_model=None,
        deployment="alpha/m",
        region_scope="PL",
        zone="PL",
        location_evidence="declared",
        energy_source="grid-mix",
        renewable_ratio_bps=None,
        ghg_scope="scope3.cat1",
        usage=Usage(4000, 300),
        usage_source="provider",
        method_id=found.method.id,
        method_sha256=found.method.sha256,
        edition=found.edition,
        edition_sha256=found.edition_sha256,
        tier="parametric",
        boundary="comprehensive",
        outputs=outputs(found.footprint),
        reasons=found.footprint.reasons,
        operands=found.operands,
        accounting=found.reading.as_dict(),
        nonce=bytes(16),
    )


@given(
    st.sampled_from(
        ["wattproof/param", ECOLOGITS, "ecologits/llm@0.4.0", LOWROUTER, "factors/tokens", "vetted/ladder"]
    ),
    st.integers(0, 100_000),
    st.integers(0, 10_000),
    st.integers(1, 2_000_000),
    st.sampled_from(["stated", "annual"]),
)
def test_the_parts_add_up_to_the_unit_whatever_changed(
    stated: Mapping[str, Any], method: str, tokens_in: int, tokens_out: int, milligrams: int, grid: Any
) -> None:
    rows = [dict(row) for row in stated["operands"]]
    for row in rows:
        if row["name"] == "intensity_gco2e_per_kwh":
            row.update(value=milligrams, exp10=-3)
    accounting = {**stated["grid"]["accounting"], "value_mgco2e_per_kwh": milligrams}
    now = {**stated, "operands": rows, "grid": {"accounting": accounting, "routing": None}}
    found = restated_entry(stated, now, Usage(tokens_in, tokens_out), Basis(get_method(method), grid))
    for name, parts in found.parts.items():
        output = found.outputs[name]
        assert output is not None
        assert sum(parts) == output["median"] - stated["outputs"][name]["median"]
    assert found.parts["energy_nwh"][1] == 0


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"model": "nobody/knows"}, "model_unknown"),
        ({"outputs": {"energy_nwh": None, "carbon_location_ng": None}}, "no_figures"),
        ({"workload": "embedding"}, "not_defined"),
    ],
)
def test_an_entry_that_cannot_be_restated_says_why(
    stated: Mapping[str, Any], changed: dict[str, Any], reason: str
) -> None:
    case = {**stated, **changed}
    with pytest.raises(Unrestatable) as refused:
        restated_entry(case, case, Usage(4000, 300), Basis(get_method(LOWROUTER)))
    assert refused.value.reason == reason


def test_usage_under_a_method_that_is_gone_cannot_be_recomputed(stated: Mapping[str, Any]) -> None:
    gone = {**stated, "method_sha256": "0" * 64}
    basis = Basis(get_method(LOWROUTER))
    assert restated_entry(gone, gone, Usage(4000, 300), basis).parts["energy_nwh"][0] == 0
    with pytest.raises(Unrestatable) as refused:
        restated_entry(gone, gone, Usage(4000, 301), basis)
    assert refused.value.reason == "original_method_unknown"


def test_a_bucket_of_unknown_requests_stays_under_its_own_method(stated: Mapping[str, Any]) -> None:
    usage = Usage(4000, 300)
    own = restated_entry(stated, stated, usage, Basis(get_method("wattproof/param")), requests=None)
    assert set(own.parts["energy_nwh"]) == {0}
    with pytest.raises(Unrestatable) as refused:
        restated_entry(stated, stated, usage, Basis(get_method(LOWROUTER)), requests=None)
    assert refused.value.reason == "requests_unknown"
