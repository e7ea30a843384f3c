"""Totals of a mixed ledger: market and water with bounds, mixes, adjustments, closed months, pages, and pictures."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from wattproof.methodology.errors import Unavailable
from wattproof.methodology.quantity import UsageChange
from wattproof.resources.ledger import Amount, EntryDraft
from wattproof.tools.day_bars import bar_panels, text_day_bars
from wattproof.tools.intervals import text_bars
from wattproof.tools.picture import picture
from wattproof.tools.summarize_ledger import SummaryArgs, SummaryResult, brief, summarize_ledger

if TYPE_CHECKING:
    from tests.fakes.installation import Installation
    from wattproof.tools import Deps

CHARACTERS_PER_TOKEN = 4
DECEMBER_S = 1_796_083_200.0  # 2026-12-01T00:00:00Z


def _drafts() -> ModuleType:
    path = Path(__file__).parents[1] / "ledger" / "drafts.py"
    spec = importlib.util.spec_from_file_location("summary_drafts", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DRAFTS = _drafts()
WATER_KNOWN = "known for 28 of 357 requests"


async def settle(deps: Deps, request_id: str | None = None, **changed: Any) -> None:
    entry: EntryDraft = DRAFTS.draft(request_id, **changed)
    await (await deps.ledger()).settle(entry, DRAFTS.payload(entry))


async def summarize(deps: Deps, **given: Any) -> SummaryResult:
    return await summarize_ledger(SummaryArgs(**given), deps)


async def fill(deps: Deps) -> None:
    """November: run, recorded and imported, live and not, known and unknown places, in two tiers."""
    water, market = Amount(900_000, 500_000, 1_600_000), Amount(40_000_000, 15_000_000, 100_000_000)
    for day in range(1, 29):
        at = f"2026-11-{day:02}T10:30:00Z"
        await settle(deps, f"fr{day}", occurred_at=at, size=1 + day % 4, water_nl=water, temporal_match="live")
        known = {"carbon_market_ng": market, "instrument_id": "wind-ppa"} if day % 2 else {}
        await settle(deps, f"fi{day}", occurred_at=at, zone="FI", provider="nebius", deployment="nebius/m", **known)
    unknown = {"zone": "unknown:groq", "provider": "groq", "tier": "proxy", "renewable_ratio_bps": None}
    await settle(deps, None, kind="recorded", occurred_at="2026-11-29T10:00:00Z", usage_source="caller", **unknown)
    await settle(deps, None, kind="imported", step_kind="bucket", attempts=300, occurred_at="2026-11-30T10:00:00Z")
    half = {
        name: Amount(-amount.median // 2, -(amount.high or 0) // 2, -(amount.low or 0) // 2)
        for name in ("energy_nwh", "carbon_location_ng")
        for amount in [getattr(DRAFTS.draft("r"), name)]
    }
    await settle(
        deps,
        None,
        kind="adjustment",
        adjusts=0,
        occurred_at="2026-11-30T12:00:00Z",
        usage=UsageChange(-500, -200),
        terms=tuple(
            type(term)(
                term.name,
                -term.energy_mean_nwh // 2,
                -(term.carbon_mean_ng or 0) // 2,
                term.energy_loadings,
                term.carbon_loadings,
            )
            for term in DRAFTS.draft("r").terms
        ),
        **half,
    )


@pytest.fixture
def december(installation: Installation) -> Installation:
    installation.now_s = DECEMBER_S
    return installation


NOVEMBER = {"since": "2026-11-01", "until": "2026-12-01"}


async def test_market_water_and_every_mix_are_told_with_their_coverage(december: Installation) -> None:
    async with december.open() as deps:
        await fill(deps)
        result = await summarize(deps, **NOVEMBER)
    assert result.request_count == 28 + 28 + 1 + 300
    assert result.kind_counts == {"inference": 56, "recorded": 1, "imported": 300}
    assert result.market_known_bps == round(14 / 357 * 10_000)
    assert result.carbon_market_kg is not None
    assert result.carbon_market_kg.model_dump() == pytest.approx({"median": 5.6e-4, "low": 2.1e-4, "high": 1.4e-3})
    assert result.water_ml is not None
    assert result.water_ml.model_dump() == pytest.approx({"median": 25.2, "low": 14.0, "high": 44.8})
    assert result.tier_bps == {"parametric": 9972, "proxy": 28}
    assert result.temporal_match_bps == {"live": 784, "fresh": 0, "fallback": 9216}
    assert result.usage_source_bps == {"provider": 9972, "caller": 28}
    assert result.adjustments_count == 1
    assert result.adjusted is not None
    assert result.adjusted["token_count"] == -700
    assert result.adjusted["estimated_carbon_kg"] < 0
    assert result.reasons == {"renewable_ratio_bps": "unknown for a part of the energy", "water_ml": WATER_KNOWN}
    text = brief(result)
    assert "Market-based 0.56 g CO2e (0.21–1.4) for 4 % of requests." in text
    assert "Water 25 mL (14–45)." in text
    assert "56 run here, 1 recorded from elsewhere, 300 imported." in text
    assert "Tiers: 99.7 % parametric, 0.3 % proxy." in text
    assert "Grid: 8 % live, 92 % fallback." in text
    assert "1 adjustment within (-700 tokens, -" in text


async def test_a_whole_month_fits_the_budgets_of_text_and_json(december: Installation) -> None:
    async with december.open() as deps:
        await fill(deps)
        result = await summarize(deps, **NOVEMBER, group_by="provider")
    assert len(result.groups) == 3
    assert len(brief(result)) / CHARACTERS_PER_TOKEN <= 400
    data = json.dumps(result.structured(), separators=(",", ":"), ensure_ascii=False)
    assert len(data) / CHARACTERS_PER_TOKEN <= 450


async def test_a_closed_month_says_so_and_an_open_one_does_not(december: Installation) -> None:
    async with december.open() as deps:
        await fill(deps)
        assert (await summarize(deps, **NOVEMBER)).period["closed"] is False
        await (await deps.ledger()).periods.close(deps.log_id, "2026-11")
        result = await summarize(deps, **NOVEMBER)
        assert result.period["closed"] is True
        assert "(dates in UTC, closed)" in brief(result)
        assert (await summarize(deps, since="2026-11-01", until="2026-12-01", tz="Asia/Kolkata")).period["closed"]
        assert not (await summarize(deps, since="2026-11-01", until="2026-12-01", tz="America/New_York")).period[
            "closed"
        ]
        assert not (await summarize(deps, since="2026-11-01")).period["closed"]


async def test_groups_come_in_pages(december: Installation) -> None:
    async with december.open() as deps:
        for number in range(7):
            await settle(deps, f"r{number}", model=f"m{number}", size=9 - number)
        first = await summarize(deps, group_by="model")
        second = await summarize(deps, group_by="model", cursor=first.next_cursor)
        third = await summarize(deps, group_by="model", cursor=second.next_cursor)
        whole = await summarize(deps, group_by="model", detail="full")
    assert [group["model"] for group in first.groups] == [f"m{number}" for number in range(3)]
    assert "; and 4 more (cursor 3)." in brief(first)
    assert first.structured(brief=True)["groups_more"] == 4
    assert [group["model"] for group in second.groups] == ["m3", "m4", "m5"]
    assert [group["model"] for group in third.groups] == ["m6"]
    assert (third.next_cursor, whole.next_cursor) == (None, None)
    assert "; and 2 more." in brief(whole)
    assert "groups_more" not in whole.structured()
    assert len(whole.groups) == 7


async def test_a_month_is_drawn_day_by_day_with_whiskers(december: Installation) -> None:
    async with december.open() as deps:
        await fill(deps)
        result = await summarize(deps, **NOVEMBER, detail="plot")
    assert (result.bar_unit, len(result.bars or ())) == ("day", 30)
    assert sum(bar["request_count"] for bar in result.bars or ()) == result.request_count
    energy, climate = bar_panels(result)
    assert [bar.label for bar in energy.bars][:2] == ["2026-11-01", "2026-11-02"]
    for bar in (*energy.bars, *climate.bars):
        assert bar.figure is not None
        assert bar.figure.low is not None
        assert bar.figure.high is not None
        assert bar.figure.low < bar.figure.median < bar.figure.high
    text = text_day_bars(result, 100)
    assert max(map(len, text.splitlines()[2:])) <= 100
    assert sum("█" in line and "┤" in line for line in text.splitlines()) >= 58
    assert text == text_bars(result, 100)


@pytest.mark.parametrize(
    ("given", "unit", "count"),
    [
        ({"since": "2026-11-05", "until": "2026-11-07", "tz": "Asia/Kolkata"}, "hour", 48),
        ({"since": "2026-11-01", "until": "2026-11-02", "tz": "America/New_York"}, "hour", 25),
        ({"since": "2026-10-31", "until": "2026-11-03", "tz": "America/New_York"}, "day", 3),
        ({"since": "2026-01-01", "until": "2027-01-01"}, "month", 12),
        ({"since": "0001-01-01", "until": "9000-01-01"}, "day", 30),
        ({}, "day", 30),
        ({"operation_id": "op"}, "day", 0),
        ({"since": "2026-11-02", "until": "2026-11-02"}, "day", 0),
    ],
)
async def test_hours_days_or_months_by_the_length_of_the_period(
    december: Installation, given: dict[str, Any], unit: str, count: int
) -> None:
    async with december.open() as deps:
        await fill(deps)
        result = await summarize(deps, **given, detail="plot")
    assert (result.bar_unit, len(result.bars or ())) == (unit, count)
    assert sum(bar["request_count"] for bar in result.bars or ()) == result.request_count
    assert text_bars(result)


@pytest.mark.parametrize(("image_format", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
async def test_the_same_days_give_the_same_image(december: Installation, image_format: Any, begins: bytes) -> None:
    async with december.open() as deps:
        await fill(deps)
        result = await summarize(deps, **NOVEMBER, detail="plot")
        empty = await summarize(deps, since="2025-01-01", until="2025-01-02", detail="plot")
    first = picture(result, image_format)
    assert first.startswith(begins)
    assert first == picture(result, image_format)
    assert picture(empty, image_format).startswith(begins)


async def test_a_day_that_only_takes_away_is_drawn_below_zero(december: Installation) -> None:
    async with december.open() as deps:
        await fill(deps)
        result = await summarize(deps, since="2026-11-30T11:00:00Z", until="2026-11-30T13:00:00Z", detail="plot")
    assert result.request_count == 0
    assert result.estimated_energy_kwh is not None
    assert result.estimated_energy_kwh.median < 0
    assert bar_panels(result)[0].span[0] < 0
    assert "█" in text_day_bars(result)
    assert picture(result, "png").startswith(b"\x89PNG")
    assert "-" in brief(result)


async def test_without_matplotlib_a_summary_says_what_to_install(
    december: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    async with december.open() as deps:
        result = await summarize(deps, detail="plot")
    with pytest.raises(Unavailable, match=r"wattproof\[plot\]"):
        picture(result, "png")
