"""The desk with its real sources over real sockets: what a request is served, whatever the APIs do."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest

from wattproof.resources.grid import Grid, GridCache, Place, Reading, annual_reading
from wattproof.resources.grid.sources import default_sources

if TYPE_CHECKING:
    from tests.fakes.grid_apis import GridApis

NOW = 1_795_349_400.0  # 2026-11-22T12:10:00Z
FINLAND, GERMANY, BRITAIN = Place("FI"), Place("DE"), Place("GB")
STOCKHOLM = Place("SE", "aws/eu-north-1")
KEY = "em-token-of-the-test"


def _fakes() -> ModuleType:
    name = "tests.fakes.grid_apis"
    if name not in sys.modules:
        file = Path(__file__).parents[1] / "fakes" / "grid_apis.py"
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


MODES: tuple[str, ...] = _fakes().MODES


@pytest.fixture
def apis() -> Iterator[GridApis]:
    with _fakes().serving(NOW) as serving:
        yield serving


class Desks:
    def __init__(self, apis: GridApis, client: httpx2.AsyncClient) -> None:
        self.apis = apis
        self.client = client
        self.opened: list[Grid] = []

    def open(self, *, key: str | None = KEY, **options: Any) -> Grid:
        environ = {} if key is None else {"ELECTRICITYMAPS_TOKEN": key}
        sources = default_sources(environ, self.apis.base_urls)
        ours = tuple(source for source in sources if source.name in self.apis.base_urls)
        desk = Grid(ours, client=self.client, environ=environ, clock=lambda: NOW, **options)
        self.opened.append(desk)
        return desk


@pytest.fixture
async def desks(apis: GridApis) -> AsyncIterator[Desks]:
    async with httpx2.AsyncClient(trust_env=False) as client:
        opened = Desks(apis, client)
        yield opened
        apis.release()
        for desk in opened.opened:
            await desk.aclose()


async def reading(desk: Grid, place: Place) -> Reading:
    """What a request is served, after every source that may be asked has been."""
    await desk.refresh([place])
    return (await desk.readings([place], NOW))[place]


async def test_with_a_key_the_hour_under_way_is_live_and_an_impossible_share_is_unknown(desks: Desks) -> None:
    found = await reading(desks.open(), FINLAND)
    assert (found.value_gco2e_per_kwh, found.zone, found.source) == (82, "FI", "electricity-maps")
    assert (found.temporal_match, found.evidence, found.factor_scope) == ("live", "estimated", "lifecycle")
    assert (found.renewable_ratio_bps, found.carbon_free_ratio_bps) == (None, 9300)


async def test_a_cloud_region_is_told_by_the_zone_that_it_is_in(desks: Desks) -> None:
    assert (await reading(desks.open(), STOCKHOLM)).zone == "SE-SE3"
    assert any("dataCenterRegion=eu-north-1" in path for path in desks.apis.received)


async def test_the_first_request_may_wait_and_the_next_ones_ask_nobody(desks: Desks) -> None:
    desk = desks.open(patience_s=5)
    first = (await desk.readings([FINLAND], NOW))[FINLAND]
    assert first.temporal_match == "live"
    asked = len(desks.apis.received)
    assert (await desk.readings([FINLAND], NOW))[FINLAND] == first
    assert len(desks.apis.received) == asked


async def test_another_process_of_the_same_home_asks_nobody(desks: Desks, tmp_path: Path) -> None:
    one = desks.open(cache=GridCache(tmp_path / "grid.sqlite3"))
    first = await reading(one, FINLAND)
    await one.aclose()
    asked = len(desks.apis.received)
    other = desks.open(cache=GridCache(tmp_path / "grid.sqlite3"))
    assert (await other.readings([FINLAND], NOW))[FINLAND] == first
    assert len(desks.apis.received) == asked


async def test_without_a_key_europe_has_generation_with_published_factors(desks: Desks) -> None:
    found = await reading(desks.open(key=None), GERMANY)
    assert found.source == "energy-charts+ipcc-2014"
    assert found.value_gco2e_per_kwh == pytest.approx((820 + 11) / 2)
    assert (found.accounting, found.evidence, found.temporal_match) == ("production", "estimated", "fresh")
    assert not any("electricity-maps" in path for path in desks.apis.received)


async def test_a_zone_beyond_the_plan_is_left_to_the_next_source(desks: Desks) -> None:
    desks.apis.script("electricity-maps", "plan")
    desk = desks.open()
    assert (await reading(desk, GERMANY)).source == "energy-charts+ipcc-2014"
    assert {row.name: row.state for row in desk.status()}["electricity-maps"] == "plan"


async def test_direct_factors_never_become_a_reading_but_compare_hours(desks: Desks) -> None:
    desk = desks.open(key=None)
    ahead = await desk.forecast(BRITAIN, NOW, NOW + 6 * 3600)
    assert {(interval.source, interval.factor_scope) for interval in ahead} == {("neso", "direct")}
    desks.apis.script("energy-charts", "404")
    assert (await reading(desk, BRITAIN)).evidence == "annual"


async def test_a_forecast_with_lifecycle_factors_comes_first(desks: Desks) -> None:
    ahead = await desks.open().forecast(FINLAND, NOW, NOW + 6 * 3600)
    assert {(interval.source, interval.evidence) for interval in ahead} == {("electricity-maps", "forecast")}
    assert len(ahead) == 7


async def test_a_correction_is_found_beside_what_was_said_before(desks: Desks, tmp_path: Path) -> None:
    desk = desks.open(cache=GridCache(tmp_path / "grid.sqlite3"))
    before = await reading(desk, FINLAND)
    desks.apis.value_gco2e_per_kwh = 120
    history = await desk.history("electricity-maps", FINLAND)
    corrected = await desk.corrected("electricity-maps", FINLAND, history[-1].starts_at)
    assert corrected is not None
    assert (before.value_gco2e_per_kwh, corrected.value_gco2e_per_kwh) == (82, 120)
    assert {seen.evidence for seen in history} == {"measured", "estimated"}


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode not in ("ok", "text", "stale", "other_zone")])
async def test_whatever_every_api_does_a_request_is_served_the_annual_average_in_time(desks: Desks, mode: str) -> None:
    desks.apis.script("all", mode)
    desk = desks.open(patience_s=0.1)
    places = [FINLAND, GERMANY, BRITAIN, STOCKHOLM]
    if mode != "hang":
        await desk.refresh(places)
    with anyio.fail_after(2):
        found = await desk.readings(places, NOW)
    assert found == {place: annual_reading(place.zone, NOW) for place in places}
    assert KEY not in repr(desk.status())


async def test_an_answer_for_another_zone_is_not_served(desks: Desks) -> None:
    desks.apis.script("electricity-maps", "other_zone")
    desk = desks.open()
    assert (await reading(desk, FINLAND)).source != "electricity-maps"
    assert {row.name: row.state for row in desk.status()}["electricity-maps"] == "not_covered"


async def test_values_as_text_are_values(desks: Desks) -> None:
    desks.apis.script("all", "text")
    assert (await reading(desks.open(), FINLAND)).value_gco2e_per_kwh == 82


async def test_a_stale_value_is_not_served_as_one_of_now(desks: Desks) -> None:
    desks.apis.script("all", "stale")
    assert (await reading(desks.open(), FINLAND)).temporal_match == "fallback"


async def test_a_wrong_key_is_named_by_its_reason_and_not_by_itself(desks: Desks) -> None:
    desk = desks.open(key="wrong-key-of-the-test")
    await desk.refresh([FINLAND])
    row = next(row for row in desk.status() if row.name == "electricity-maps")
    assert row.state == "unauthorized"
    assert "wrong-key-of-the-test" not in repr(row)


async def test_an_api_that_comes_back_is_used_again(desks: Desks) -> None:
    elapsed = [1000.0]
    desks.apis.script("electricity-maps", "503")
    desk = desks.open(monotonic=lambda: elapsed[0])
    await desk.refresh([FINLAND])
    desks.apis.script("electricity-maps", "ok")
    elapsed[0] += 3600
    assert (await reading(desk, FINLAND)).source == "electricity-maps"
