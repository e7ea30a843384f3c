"""When and where, through the tool: a real grid desk over sources that a test decides."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pytest

from tests.fakes.installation import NOON, Installation
from wattproof.methodology.errors import GridUnavailable, InvalidInput, UnknownModel, UnknownZone
from wattproof.resources.grid import Grid, GridConnection, Observation, Place
from wattproof.resources.providers import Deployment
from wattproof.resources.providers.transport import open_client
from wattproof.tools import Deps
from wattproof.tools.recommend_window import WindowArgs, WindowResult, brief, recommend_window

HOUR = 3600
CHARACTERS_PER_TOKEN = 4


@dataclass
class FakeSource:
    """A source with an hourly forecast per zone, from `begins_at` on."""

    values: dict[str, tuple[float, ...]]
    name: str = "fakegrid"
    title: str = "Fake grid"
    key_env: tuple[str, ...] = ()
    basis: Literal["average", "marginal"] = "average"
    factor_scope: Literal["lifecycle", "direct"] = "lifecycle"
    renewable_ratio_bps: int | None = None
    begins_at: int = int(NOON)
    asked: list[str] = field(default_factory=list[str])

    def covers(self, place: Place) -> bool:
        return place.zone in self.values

    async def latest(self, place: Place, connection: GridConnection) -> Observation:
        raise GridUnavailable("no_data", "The fake grid states forecasts only.")

    async def forecast(self, place: Place, until_s: float, connection: GridConnection) -> tuple[Observation, ...]:
        self.asked.append(place.zone)
        return tuple(
            Observation(
                zone=place.zone,
                value_gco2e_per_kwh=value,
                starts_at=self.begins_at + at * HOUR,
                step_s=HOUR,
                received_at=int(NOON),
                basis=self.basis,
                factor_scope=self.factor_scope,
                accounting="consumption",
                evidence="forecast",
                source=self.name,
                licence="CC BY 4.0",
                renewable_ratio_bps=self.renewable_ratio_bps,
            )
            for at, value in enumerate(self.values[place.zone])
        )

    async def history(self, place: Place, connection: GridConnection) -> tuple[Observation, ...]:
        return ()


@asynccontextmanager
async def opened(installation: Installation, *sources: FakeSource) -> AsyncGenerator[Deps]:
    async with installation.open() as deps, open_client() as client:
        grid = Grid(sources, client=client, environ={}, clock=deps.clock)

        async def desk() -> Grid:
            return grid

        try:
            yield replace(deps, grid=desk)
        finally:
            await grid.aclose()


async def recommend(installation: Installation, *sources: FakeSource, **given: Any) -> WindowResult:
    async with opened(installation, *sources) as deps:
        return await recommend_window(WindowArgs(**given), deps)


TWO = FakeSource({"SE": (40,) * 24, "FR": (90, 80, 60, *(20,) * 3, *(70,) * 18)}, renewable_ratio_bps=3000)


async def test_wait_in_one_zone_or_run_now_in_another_is_one_decision(installation: Installation) -> None:
    result = await recommend(installation, TWO, zones=["SE", "FR"], duration_minutes=30, deadline=8, seed="r1")
    assert result.verdict == "wait"
    assert result.best == {
        "zone": "FR",
        "start": "2026-11-05T15:00:00Z",
        "end": "2026-11-05T15:30:00Z",
        "wait_minutes": 180,
        "intensity_gco2e_per_kwh": 20.0,
    }
    assert result.now == (
        {"zone": "SE", "intensity_gco2e_per_kwh": 40.0},
        {"zone": "FR", "intensity_gco2e_per_kwh": 90.0},
    )
    assert result.gain_ratio == 2.0
    assert [each["zone"] for each in result.equally_good] == ["FR"]
    assert result.forecast == {
        "source": "fakegrid",
        "basis": "average",
        "factor_scope": "lifecycle",
        "accounting": "consumption",
        "licence": "CC BY 4.0",
    }
    assert result.not_compared == {}
    assert result.provenance.model_dump() == {
        "region_scope": "FR",
        "energy_source": "grid-mix",
        "methodology": "wattproof/window@1.0.0",
        "renewable_ratio_bps": 3000,
    }
    text = brief(result)
    assert re.match(r"Wait \d+ h( \d+ min)?: run 30 min in FR from 2026-11-05T1[4567]:", text)
    assert "Equally good (within 5 %): starts FR 14:59Z–17:30Z." in text
    assert "Now at least 40 (SE), 2.0 times the best slot." in text
    assert text.endswith("methodology wattproof/window@1.0.0; renewable_ratio_bps 3000.")


async def test_the_best_place_at_once_is_told_as_now(installation: Installation) -> None:
    source = FakeSource({"SE": (20.5, 20, 30), "FR": (90, 80, 60)})
    result = await recommend(installation, source, zones=["se", "FR"], deadline="3h")
    assert result.verdict == "now"
    assert result.chosen is not None
    assert (result.chosen["zone"], result.chosen["wait_minutes"]) == ("SE", 0)
    assert brief(result).startswith(
        "Run 60 min in SE now: 20 gCO2e/kWh. Least: 20 in SE from 13:00Z, within the tolerance."
    )


async def test_the_same_seed_gives_the_same_start_and_other_seeds_others(installation: Installation) -> None:
    async def start(seed: str | None) -> str:
        result = await recommend(installation, TWO, zones=["SE", "FR"], duration_minutes=30, deadline=8, seed=seed)
        assert result.chosen is not None
        return result.chosen["start"]

    assert await start("a") == await start("a")
    assert await start(None) == await start(None)
    assert len({await start(str(n)) for n in range(8)}) >= 7


async def test_without_live_data_annual_averages_are_told_and_nothing_is_recommended(
    installation: Installation,
) -> None:
    async with installation.open() as deps:
        result = await recommend_window(WindowArgs(zones=["SE", "FR"]), deps)
    assert result.verdict == "no_forecast"
    assert (result.chosen, result.best, result.gain_ratio, result.now) == (None, None, None, ())
    assert result.not_compared == {"SE": "no_forecast", "FR": "no_forecast"}
    assert result.annual_gco2e_per_kwh == {"SE": 21.0, "FR": 31.0}
    assert result.reasons["forecast"] == "live grid data is off"
    assert result.provenance.region_scope == "multi:FR,SE"
    assert brief(result).startswith(
        "No forecast (live grid data is off): now or later cannot be told. Annual gCO2e/kWh: SE 21, FR 31. "
    )


async def test_one_zone_without_forecast_keeps_its_annual_renewable_share(installation: Installation) -> None:
    result = await recommend(installation, FakeSource({}), zones=["FR"])
    assert result.provenance.region_scope == "FR"
    assert result.provenance.renewable_ratio_bps == 2700
    assert "no source offers one that covers the run" in brief(result)


async def test_a_zone_with_another_kind_of_forecast_is_told_by_itself(installation: Installation) -> None:
    direct = FakeSource({"GB": (30, 10, 20)}, name="direct", factor_scope="direct")
    average = FakeSource({"FR": (50, 40, 30), "SE": (45, 44, 43)})
    result = await recommend(installation, average, direct, zones=["GB", "FR", "SE", "PL"], deadline=3)
    assert result.best is not None
    assert result.best["zone"] == "FR"
    assert result.not_compared == {"GB": "another_kind", "PL": "no_forecast"}
    assert result.alone is not None
    (gb,) = result.alone
    assert (gb["now"]["intensity_gco2e_per_kwh"], gb["best"]["intensity_gco2e_per_kwh"]) == (30.0, 10.0)
    assert gb["forecast"]["factor_scope"] == "direct"
    text = brief(result)
    assert "Not compared: GB (another kind of forecast), PL (no forecast)" in text
    assert "GB by itself: now 30, least 10 from 13:00Z (direct, average)." in text


async def test_a_forecast_that_begins_later_says_that_now_is_not_covered(installation: Installation) -> None:
    later = FakeSource({"FR": (50, 40)}, begins_at=int(NOON) + HOUR)
    result = await recommend(installation, later, zones=["FR"], deadline=6)
    assert result.now == ()
    assert result.reasons["gain_ratio"] == "no forecast covers a run that starts now"
    assert result.reasons["renewable_ratio_bps"] == "the forecast does not state it"
    assert "No forecast for a start now." in brief(result)


async def test_a_model_stands_for_the_zones_of_its_deployments_that_can_run(
    installation: Installation, fake_deployments: tuple[Deployment, ...]
) -> None:
    installation.deployments = fake_deployments
    result = await recommend(installation, TWO, model="gpt-oss-120b", deadline=8)
    assert result.deployments == {"FR": ["alpha/gpt-oss-120b"]}
    installation.environ = {}
    result = await recommend(installation, TWO, model="gpt-oss-120b", deadline=8)
    assert result.deployments == {"FR": ["alpha/gpt-oss-120b"], "SE": ["beta/gpt-oss-120b"]}


@pytest.fixture
def fake_deployments() -> tuple[Deployment, ...]:
    def row(provider: str, zone: str | None, key_env: str, evidence: Any = "declared") -> Deployment:
        return Deployment(
            provider=provider,
            model="gpt-oss-120b",
            native_model="x",
            base_url="https://provider.example/v1",
            protocol="openai-chat",
            key_env=(key_env,),
            zone=zone,
            location_evidence=evidence,
            location_source="test",
            checked_at="2026-11-01",
        )

    return (
        row("alpha", "FR", "FAKE_API_KEY"),
        row("beta", "SE", "OTHER_KEY"),
        row("gamma", None, "FAKE_API_KEY", "unknown"),
    )


async def test_a_model_that_stands_nowhere_known_needs_zones(
    installation: Installation, fake_deployments: tuple[Deployment, ...]
) -> None:
    installation.deployments = fake_deployments[2:]
    with pytest.raises(InvalidInput, match="no deployment in a known zone; give zones"):
        await recommend(installation, TWO, model="gpt-oss-120b")


async def test_full_detail_lists_every_zone(installation: Installation) -> None:
    result = await recommend(installation, TWO, zones=["SE", "FR", "PL"], deadline=8, detail="full")
    assert result.zones is not None
    assert [(zone["zone"], zone["compared"], zone["reason"]) for zone in result.zones] == [
        ("SE", True, None),
        ("FR", True, None),
        ("PL", False, "no_forecast"),
    ]
    assert result.zones[0]["forecast_until"] == "2026-11-05T20:00:00Z"
    brief_result = await recommend(installation, TWO, zones=["SE", "FR", "PL"], deadline=8)
    assert "zones" not in brief_result.structured()


async def test_a_marginal_forecast_is_named_as_such() -> None:
    """The desk of today offers none; what a source states as marginal must not be told as the mix."""
    from wattproof.resources.routing.windows import ZoneForecast, recommend
    from wattproof.tools.recommend_window import provenance_of

    source = FakeSource({"FR": (700, 300)}, basis="marginal")
    async with open_client() as client:
        connection = GridConnection(client=client, environ={}, now_s=NOON, timeout_s=1.0)
        forecast = await source.forecast(Place("FR"), NOON + 7200, connection)
    found = recommend([ZoneForecast("FR", forecast)], now_s=int(NOON), deadline_s=int(NOON) + 7200, duration_s=HOUR)
    assert provenance_of(found).energy_source == "grid-marginal"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "zones"),
        ({"zones": ["FR"], "model": "gpt-oss-120b"}, "zones"),
        ({"zones": ["FR"], "deadline": "tomorrow"}, "deadline"),
        ({"zones": ["FR"], "deadline": "2026-11-05T18:00:00"}, "deadline"),
        ({"zones": ["FR"], "deadline": "2026-11-05T11:00:00Z"}, "deadline"),
        ({"zones": ["FR"], "deadline": "0001-01-01T00:00:00+23:00"}, "deadline"),
        ({"zones": ["FR"], "deadline": 169}, "deadline"),
        ({"zones": ["FR"], "deadline": -1}, "deadline"),
        ({"zones": ["FR"], "deadline": float("nan")}, "deadline"),
        ({"zones": ["FR"], "deadline": float("inf")}, "deadline"),
        ({"zones": ["FR"], "deadline": 1, "duration_minutes": 61}, "deadline"),
    ],
)
async def test_what_is_asked_wrongly_is_refused_by_name(
    installation: Installation, given: dict[str, Any], field: str
) -> None:
    source = FakeSource({"FR": (1,) * 24})
    with pytest.raises(InvalidInput) as caught:
        await recommend(installation, source, **given)
    assert caught.value.field == field
    assert source.asked == []


async def test_unknown_zones_and_models_name_the_closest(installation: Installation) -> None:
    with pytest.raises(UnknownZone, match="Closest"):
        await recommend(installation, TWO, zones=["FX"])
    with pytest.raises(UnknownModel, match="Closest"):
        await recommend(installation, TWO, model="gpt-oss-121b")


@pytest.mark.parametrize(
    "deadline", ["6.0", "6h", "6 h", 6, "2026-11-05T18:00:00Z", "2026-11-05T19:00:00+01:00", "6.0h"]
)
async def test_one_deadline_in_all_its_forms(installation: Installation, deadline: str | float) -> None:
    result = await recommend(installation, TWO, zones=["FR"], deadline=deadline)
    assert result.deadline == "2026-11-05T18:00:00Z"


async def test_the_longest_text_stays_within_its_budget(installation: Installation) -> None:
    names = ["SE", "FR", "PL", "IT-NO", "GB", "DE", "FI", "US-CAL-CISO", "ES", "PT", "CH", "AT"]
    jagged = tuple(20.0 if at % 4 == 3 else 300.0 + at for at in range(48))
    average = FakeSource(dict.fromkeys(names[:4], jagged))
    direct = FakeSource({"GB": tuple(range(100, 10, -2))}, name="carbonintensity", factor_scope="direct")
    result = await recommend(installation, average, direct, zones=names, deadline=44, duration_minutes=45, seed="x")
    text = brief(result)
    assert result.verdict == "wait"
    assert len(result.equally_good) == 10
    assert len(text) / CHARACTERS_PER_TOKEN < 150
