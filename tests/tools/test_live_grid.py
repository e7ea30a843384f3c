"""What the tools say where grid sources answer: the newest reading, its provenance, and its consequences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wattproof.methodology.errors import RoutingError
from wattproof.tools.estimate_request import EstimateArgs, EstimateResult, brief, estimate_request
from wattproof.tools.live import grid_view, providers_view
from wattproof.tools.run_inference import RunArgs, run_inference

if TYPE_CHECKING:
    from tests.fakes.grid_apis import GridApis
    from tests.fakes.installation import Installation
    from tests.fakes.provider import FakeProvider


def asked(zone: str = "FI", grid: str | None = "live") -> EstimateArgs:
    return EstimateArgs.model_validate(
        {"model": "gpt-oss-120b", "input_tokens": 1000, "output_tokens": 400, "zone": zone, "grid": grid}
    )


def run_args(**changes: object) -> RunArgs:
    fields = {"model": "gpt-oss-120b", "messages": [{"role": "user", "content": "hello"}], "max_output_tokens": 10}
    return RunArgs.model_validate({**fields, **changes})


async def estimated(installation: Installation, args: EstimateArgs) -> EstimateResult:
    async with installation.open() as deps:
        result = await estimate_request(args, deps)
    assert isinstance(result, EstimateResult)
    return result


async def test_a_live_estimate_rests_on_the_newest_reading_and_says_so(
    installation: Installation, live_grid: GridApis
) -> None:
    result = await estimated(installation, asked())
    assert result.grid["intensity_gco2e_per_kwh"] == live_grid.value_gco2e_per_kwh
    assert result.grid["temporal_match"] == "live"
    assert "82 gCO2e/kWh (estimated)" in brief(result)


async def test_an_estimate_asks_nobody_unless_live_is_wanted(installation: Installation, live_grid: GridApis) -> None:
    result = await estimated(installation, asked(grid=None))
    assert result.grid["evidence"] == "annual"
    assert live_grid.received == []


async def test_a_live_estimate_takes_a_zone_in_any_case(installation: Installation, live_grid: GridApis) -> None:
    assert (await estimated(installation, asked("fi"))).grid["temporal_match"] == "live"


@pytest.mark.parametrize("mode", ["500", "nulls", "hang", "html"])
async def test_where_every_source_fails_the_annual_average_stands_in(
    installation: Installation, live_grid: GridApis, mode: str
) -> None:
    live_grid.script("all", mode)
    result = await estimated(installation, asked())
    assert (result.grid["temporal_match"], result.grid["evidence"]) == ("fallback", "annual")


async def test_a_live_reading_above_the_ceiling_excludes_what_its_annual_average_would_admit(
    installation: Installation, live_grid: GridApis, fake_provider: FakeProvider
) -> None:
    installation.deployments = (fake_provider.deployment(zone="FI"),)
    async with installation.open() as deps:
        admitted = await run_inference(run_args(max_carbon_intensity=90), deps)
        assert admitted.status == "completed"
        with pytest.raises(RoutingError, match=r"82 gCO2e/kWh \(FI, estimated\) is above 75"):
            await run_inference(run_args(max_carbon_intensity=75), deps)
    assert len(fake_provider.received) == 1


async def test_a_receipt_holds_the_live_reading_that_the_run_was_accepted_on(
    installation: Installation, live_grid: GridApis, fake_provider: FakeProvider
) -> None:
    from wattproof.resources.receipts import parse

    installation.deployments = (fake_provider.deployment(zone="FI"),)
    async with installation.open() as deps:
        result = await run_inference(run_args(max_carbon_intensity=90), deps)
        jws = await (await deps.ledger()).get_jws(result.receipt_id or "")
    accounting = parse(jws or "").payload["grid"]["accounting"]
    assert accounting["source"] == "electricity-maps"
    assert (accounting["temporal_match"], accounting["value_mgco2e_per_kwh"]) == ("live", 82_000)


async def test_the_grid_view_shows_the_reading_in_use_what_others_say_and_how_sources_fare(
    installation: Installation, live_grid: GridApis
) -> None:
    async with installation.open() as deps:
        view = await grid_view(["GB", "FI"], deps)
    zones = {row["zone"]: row for row in view["zones"]}
    assert zones["FI"]["temporal_match"] == "live"
    assert "neso" in {other["source"] for other in zones["GB"]["others"]}
    assert {source["name"]: source["state"] for source in view["sources"]}["electricity-maps"] == "ok"


async def test_without_live_data_the_grid_view_is_annual_and_says_that_nobody_is_asked(
    installation: Installation,
) -> None:
    async with installation.open() as deps:
        view = await grid_view([], deps)
    assert not view["live"]
    assert {row["evidence"] for row in view["zones"]} == {"annual"}


async def test_the_provider_view_ranks_by_intensity_and_counts_the_runs_of_the_last_day(
    installation: Installation, fake_provider: FakeProvider
) -> None:
    installation.deployments = (
        fake_provider.deployment(provider="nowhere", zone=None, location_evidence="unknown"),
        fake_provider.deployment(provider="poland", zone="PL"),
        fake_provider.deployment(provider="france"),
    )
    async with installation.open() as deps:
        await run_inference(run_args(providers=["france"]), deps)
        rows = await providers_view("gpt-oss-120b", deps)
    assert [row["provider"] for row in rows] == ["france", "poland", "nowhere"]
    assert [row["runs"] for row in rows] == [1, 0, 0]
    assert rows[0]["latency_ms"] is not None
    assert "intensity_gco2e_per_kwh" not in rows[2]
    assert rows[0]["price"] == {
        "input_per_mtok": 0.09,
        "output_per_mtok": 0.47,
        "currency": "USD",
        "checked_at": "2026-07-02",
    }
