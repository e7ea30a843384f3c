"""The cache on disk: shared between processes, and never in a request's way."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattproof.resources.grid import GridCache, Observation, Place

if TYPE_CHECKING:
    from tests.grid.conftest import World

FR = Place("FR")
NOW = 1_795_348_800
SEEN = Observation(
    zone="FR",
    value_gco2e_per_kwh=50,
    starts_at=NOW,
    step_s=3600,
    received_at=NOW + 60,
    basis="average",
    factor_scope="lifecycle",
    accounting="consumption",
    evidence="estimated",
    source="plain",
    licence="test",
    renewable_ratio_bps=2700,
)


async def test_an_observation_comes_back_as_it_was(tmp_path: Path) -> None:
    cache = GridCache(tmp_path / "home" / "grid.sqlite3")
    await cache.keep(FR, [SEEN])
    assert await cache.recall(FR, NOW) == (SEEN,)
    assert await cache.recall(FR, NOW - 1) == ()
    assert await cache.recall(Place("FR", "aws/eu-west-3"), NOW) == ()
    await cache.aclose()
    assert cache.note is None


async def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    cache = GridCache(tmp_path / "home" / "grid.sqlite3")
    await cache.keep(FR, [SEEN])
    await cache.aclose()
    assert (tmp_path / "home" / "grid.sqlite3").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700


async def test_another_statement_of_the_same_interval_is_kept_beside_the_first(tmp_path: Path) -> None:
    cache = GridCache(tmp_path / "grid.sqlite3")
    later = replace(SEEN, value_gco2e_per_kwh=80, evidence="measured", received_at=NOW + 7200)
    await cache.keep(FR, [SEEN])
    await cache.keep(FR, [replace(SEEN, received_at=NOW + 600)])
    await cache.keep(FR, [later])
    assert await cache.revisions("plain", FR, NOW) == (SEEN, later)
    assert await cache.corrected("plain", FR, NOW) == later
    assert await cache.recall(FR, NOW) == (later,)
    await cache.aclose()


async def test_the_hour_around_a_time_is_found_and_an_older_one_is_not(tmp_path: Path) -> None:
    cache = GridCache(tmp_path / "grid.sqlite3")
    await cache.keep(FR, [SEEN])
    assert await cache.around(FR, NOW + 3599) == (SEEN,)
    assert await cache.around(FR, NOW + 7200) == (SEEN,)
    assert await cache.around(FR, NOW + 7201) == ()
    await cache.aclose()


async def test_what_is_older_than_eight_days_is_forgotten(tmp_path: Path) -> None:
    first = GridCache(tmp_path / "grid.sqlite3")
    await first.keep(FR, [SEEN])
    await first.aclose()
    later = GridCache(tmp_path / "grid.sqlite3")
    next_week = replace(SEEN, starts_at=NOW + 9 * 86_400, received_at=NOW + 9 * 86_400)
    await later.keep(FR, [next_week])
    assert await later.revisions("plain", FR, NOW) == ()
    assert await later.recall(FR, NOW + 9 * 86_400) == (next_week,)
    await later.aclose()


async def test_two_processes_share_what_either_has_seen(tmp_path: Path) -> None:
    path = tmp_path / "grid.sqlite3"
    child = (
        "import anyio, pathlib, sys\n"
        "from wattproof.resources.grid import GridCache, Observation, Place\n"
        "async def main():\n"
        "    cache = GridCache(pathlib.Path(sys.argv[1]))\n"
        "    for start in range(40):\n"
        "        seen = Observation('FR', 50.0, 1795348800 - start * 3600, 3600, 1795348800, 'average', 'lifecycle',"
        " 'consumption', 'measured', sys.argv[2], 'test')\n"
        "        await cache.keep(Place('FR'), [seen])\n"
        "        while cache.note is not None:\n"
        "            assert 'locked' in cache.note, cache.note\n"
        "            await cache.keep(Place('FR'), [seen])\n"
        "    await cache.aclose()\n"
        "anyio.run(main)\n"
    )
    children = [subprocess.Popen([sys.executable, "-c", child, str(path), name]) for name in ("one", "two")]
    assert [process.wait(30) for process in children] == [0, 0]
    cache = GridCache(path)
    assert [seen.source for seen in await cache.recall(FR, NOW)] == ["one", "two"]
    assert [seen.starts_at for seen in await cache.recall(FR, NOW - 39 * 3600)] == [NOW - 39 * 3600] * 2
    await cache.aclose()


async def test_a_second_process_serves_the_first_ones_value_without_a_look_up(world: World) -> None:
    path = world.folder / "grid.sqlite3"
    await world.desk(cache=GridCache(path)).refresh([FR])
    second = world.desk(cache=GridCache(path))
    assert (await second.readings([FR], world.now_s))[FR].value_gco2e_per_kwh == 50
    await second.refresh([FR])
    assert len(world.asked) == 1


async def test_a_look_up_first_sees_what_another_process_has_found_meanwhile(world: World) -> None:
    path = world.folder / "grid.sqlite3"
    first, second = world.desk(cache=GridCache(path)), world.desk(cache=GridCache(path))
    await second.readings([FR], world.now_s)
    world.pass_s(3600)
    world.answer = lambda request: {"value": 60, "starts_at": int(world.now_s)}
    await first.refresh([FR])
    await second.refresh([FR])
    assert (await second.readings([FR], world.now_s))[FR].value_gco2e_per_kwh == 60
    assert len(world.asked) == 2


def foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE entry (x)")
    connection.close()


def newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA application_id=2003847011")
    connection.execute("PRAGMA user_version=9")
    connection.close()


UNUSABLE: dict[str, Callable[[Path], object]] = {
    "corrupt": lambda path: path.write_bytes(b"SQLite format 3\0" + b"\xff" * 4000),
    "no database": lambda path: path.write_bytes(b"hello" * 100),
    "of another application": foreign,
    "of a newer version": newer,
    "a folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("kind", UNUSABLE)
async def test_an_unusable_file_is_left_alone_noted_and_in_nobodys_way(world: World, kind: str) -> None:
    path = world.folder / "grid.sqlite3"
    UNUSABLE[kind](path)
    before = None if path.is_dir() else path.read_bytes()
    grid = world.desk(cache=GridCache(path))
    assert (await grid.readings([FR], world.now_s))[FR].value_gco2e_per_kwh == 50
    row = grid.status()[-1]
    assert (row.name, row.state) == ("cache", "off")
    assert row.detail is not None
    assert "grid.sqlite3" in row.detail
    assert before is None or path.read_bytes() == before


async def test_a_folder_that_cannot_be_made_is_in_nobodys_way(world: World) -> None:
    (world.folder / "file").write_text("")
    grid = world.desk(cache=GridCache(world.folder / "file" / "grid.sqlite3"))
    assert (await grid.readings([FR], world.now_s))[FR].value_gco2e_per_kwh == 50
    assert grid.status()[-1].name == "cache"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
async def test_a_read_only_file_is_in_nobodys_way(world: World) -> None:
    path = world.folder / "grid.sqlite3"
    path.touch(0o400)
    grid = world.desk(cache=GridCache(path))
    assert (await grid.readings([FR], world.now_s))[FR].value_gco2e_per_kwh == 50
    assert grid.status()[-1].name == "cache"


async def test_a_busy_file_costs_a_note_and_is_tried_again(world: World) -> None:
    path = world.folder / "grid.sqlite3"
    cache = GridCache(path)
    await cache.keep(FR, [SEEN])
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    assert await cache.recall(FR, NOW) == ()
    assert cache.note is not None
    holder.execute("ROLLBACK")
    holder.close()
    assert await cache.recall(FR, NOW) == (SEEN,)
    assert cache.note is None
    await cache.aclose()


async def test_a_row_that_somebody_spoilt_is_no_reading(world: World) -> None:
    path = world.folder / "grid.sqlite3"
    cache = GridCache(path)
    await cache.keep(FR, [SEEN])
    await cache.aclose()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("UPDATE observation SET value_gco2e_per_kwh = -1")
    connection.close()
    world.now_s = NOW + 60
    world.answer = lambda request: {"value": 70, "starts_at": NOW}
    grid = world.desk(cache=GridCache(path))
    assert (await grid.readings([FR], world.now_s))[FR].value_gco2e_per_kwh == 70
    assert grid.status()[-1].name == "cache"


@settings(deadline=None, max_examples=30)
@given(values=st.lists(st.floats(0, 3000), min_size=1, max_size=6))
def test_the_last_statement_is_the_correction_whatever_came_before(values: list[float]) -> None:
    import asyncio
    import tempfile

    async def check(folder: str) -> None:
        cache = GridCache(Path(folder) / "grid.sqlite3")
        for at, value in enumerate(values):
            await cache.keep(FR, [replace(SEEN, value_gco2e_per_kwh=value, received_at=NOW + at)])
        stated = [said.value_gco2e_per_kwh for said in await cache.revisions("plain", FR, NOW)]
        assert stated == [value for at, value in enumerate(values) if at == 0 or values[at - 1] != value]
        await cache.aclose()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(check(folder))


async def test_reading_from_a_home_without_a_cache_makes_neither(tmp_path: Path) -> None:
    cache = GridCache(tmp_path / "home" / "grid.sqlite3")
    assert await cache.recall(Place("FR"), 1_793_880_000.0) == ()
    assert await cache.corrected("electricity-maps", Place("FR"), 1_793_880_000) is None
    await cache.aclose()
    assert list(tmp_path.iterdir()) == []
