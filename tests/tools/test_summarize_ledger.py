"""Totals through the tool, over entries that real runs wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from wattproof.methodology.errors import InvalidInput, UnknownMethod
from wattproof.tools.run_inference import RunArgs, run_inference
from wattproof.tools.summarize_ledger import SummaryArgs, SummaryResult, brief, summarize_ledger

if TYPE_CHECKING:
    from tests.fakes.installation import Installation
    from tests.fakes.provider import FakeProvider
    from wattproof.tools import Deps


@pytest.fixture
def two_places(installation: Installation, fake_provider: FakeProvider) -> Installation:
    installation.deployments = (
        fake_provider.deployment(provider="alpha", zone="FR"),
        fake_provider.deployment(provider="beta", zone=None, location_evidence="unknown"),
    )
    return installation


async def run(deps: Deps, provider: str, **changes: Any) -> None:
    messages = [{"role": "user", "content": "hello"}]
    args: dict[str, Any] = {"model": "gpt-oss-120b", "messages": messages, "max_output_tokens": 50, **changes}
    await run_inference(RunArgs(**args, providers=[provider]), deps)


async def summarize(deps: Deps, **given: Any) -> SummaryResult:
    return await summarize_ledger(SummaryArgs(**given), deps)


async def test_an_empty_ledger_has_no_requests_and_says_why_the_rest_is_null(installation: Installation) -> None:
    async with installation.open() as deps:
        result = await summarize(deps)
    assert result.request_count == 0
    assert result.provenance.region_scope == "none"
    assert result.reasons["renewable_ratio_bps"] == "no requests"
    assert brief(result).startswith("All time: 0 requests, 0 tokens")


async def test_totals_count_requests_and_keep_the_four_named_fields(two_places: Installation) -> None:
    async with two_places.open() as deps:
        for _ in range(3):
            await run(deps, "alpha")
        result = await summarize(deps)
    assert result.request_count == 3
    assert result.token_count == 150
    assert result.cached_input_tokens == 30
    assert result.provenance.model_dump() == {
        "region_scope": "FR",
        "energy_source": "grid-mix",
        "methodology": "wattproof/param@1.0.0",
        "renewable_ratio_bps": 2700,
    }
    assert result.zone_known_bps == 10_000
    assert result.temporal_match_bps == {"live": 0, "fresh": 0, "fallback": 10_000}
    assert result.usage_source_bps == {"provider": 10_000}
    assert "Grid: all annual averages." in brief(result)
    assert "Market-based null (no instrument)." in brief(result)


async def test_the_width_of_a_total_does_not_average_out(two_places: Installation) -> None:
    async with two_places.open() as deps:
        await run(deps, "alpha")
        one = (await summarize(deps)).estimated_energy_kwh
        for _ in range(4):
            await run(deps, "alpha")
        five = (await summarize(deps)).estimated_energy_kwh
    assert one is not None
    assert one.low is not None
    assert one.high is not None
    assert five is not None
    assert five.low is not None
    assert five.high is not None
    assert five.high / five.low == pytest.approx(one.high / one.low, rel=0.02)


async def test_an_unknown_zone_makes_the_ratio_null_and_lowers_the_known_share(two_places: Installation) -> None:
    async with two_places.open() as deps:
        await run(deps, "alpha")
        await run(deps, "beta")
        result = await summarize(deps, group_by="provider")
    assert result.provenance.region_scope == "multi:FR,unknown:beta"
    assert result.provenance.renewable_ratio_bps is None
    assert result.reasons["renewable_ratio_bps"]
    assert result.zone_known_bps == 5000
    assert {group["provider_id"] for group in result.groups} == {"alpha", "beta"}
    assert "alpha " in brief(result)
    assert brief(result).startswith("All time: 2 requests, 100 tokens")
    assert "annual averages where the zone is known, else the mixture of all zones." in brief(result)


async def test_a_period_is_read_in_the_callers_time_zone(two_places: Installation) -> None:
    async with two_places.open() as deps:
        await run(deps, "alpha")
        inside = await summarize(deps, since="2026-11-05", until="2026-11-06", tz="Europe/Paris")
        outside = await summarize(deps, since="2026-11-06", tz="Europe/Paris")
    assert inside.period == {
        "since": "2026-11-04T23:00:00Z",
        "until": "2026-11-05T23:00:00Z",
        "tz": "Europe/Paris",
        "closed": False,
    }
    assert inside.request_count == 1
    assert outside.request_count == 0


async def test_an_operation_and_a_tag_select_their_entries(two_places: Installation) -> None:
    async with two_places.open() as deps:
        await run(deps, "alpha", operation_id="op_1", tags=["blue"])
        await run(deps, "alpha")
        assert (await summarize(deps, operation_id="op_1")).request_count == 1
        assert (await summarize(deps, tag="blue")).request_count == 1
        assert (await summarize(deps, method="wattproof/param")).request_count == 2
        assert (await summarize(deps, method="batchin/token-estimate")).request_count == 0


async def test_full_detail_adds_the_counts_behind_every_share(two_places: Installation) -> None:
    async with two_places.open() as deps:
        await run(deps, "alpha")
        result = await summarize(deps, detail="full")
    assert result.counts is not None
    assert result.counts["provider"] == {"alpha": 1}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"since": "yesterday"}, "since is 'yesterday'"),
        ({"since": "2026-11-02", "until": "2026-11-01"}, "before since"),
        ({"tz": "Europe/Lyon"}, "IANA"),
        ({"tz": "../etc/passwd"}, "IANA"),
        ({"cursor": "abc"}, "next_cursor"),
    ],
)
async def test_bad_input_says_what_would_work(installation: Installation, wrong: dict[str, Any], says: str) -> None:
    async with installation.open() as deps:
        with pytest.raises(InvalidInput, match=says):
            await summarize(deps, **wrong)
    assert not installation.home.exists()


async def test_an_unknown_method_is_refused_before_the_ledger_is_opened(installation: Installation) -> None:
    async with installation.open() as deps:
        with pytest.raises(UnknownMethod):
            await summarize(deps, method="nobody/knows")


@pytest.mark.parametrize(
    "period",
    [
        {"until": "9999-12-31T23:59:59Z"},
        {"since": "2026-11-01", "until": "9999-12-31T23:59:59Z"},
        {"since": "9999-12-31T23:00:00Z", "until": "9999-12-31T23:59:59Z"},
        {"since": "0001-01-01", "until": "9999-12-31"},
    ],
)
async def test_a_period_may_reach_to_the_ends_of_the_calendar(
    installation: Installation, period: dict[str, str]
) -> None:
    async with installation.open() as deps:
        result = await summarize_ledger(SummaryArgs(**period), deps)  # pyright: ignore[reportArgumentType]
    assert result.request_count == 0
