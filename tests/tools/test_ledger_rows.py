"""What the view of the ledger asks for, over entries that real runs and records wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from wattproof.methodology.errors import InvalidInput, UnknownMethod
from wattproof.tools import ledger_rows as rows_of
from wattproof.tools.ledger_rows import ROWS_PER_PAGE, RowsArgs, RowsResult, brief, ledger_rows
from wattproof.tools.run_inference import RunArgs, run_inference
from wattproof.tools.track_operation import OperationArgs, track_operation

if TYPE_CHECKING:
    from tests.fakes.installation import Installation
    from tests.fakes.provider import FakeProvider
    from wattproof.tools import Deps

DAY_S = 86_400


@pytest.fixture
def at_fake(installation: Installation, fake_provider: FakeProvider) -> Installation:
    installation.deployments = (fake_provider.deployment(),)
    return installation


async def rows(deps: Deps, kind: str, **given: Any) -> RowsResult:
    return await ledger_rows(RowsArgs.model_validate({"rows": kind, **given}), deps)


async def record(
    deps: Deps, count: int, operation_id: str = "op", model: str = "gpt-oss-20b", zone: str = "FR"
) -> None:
    steps = [
        {"step_id": f"s{number}", "model": model.format(number), "usage": {"input_tokens": 100}, "zone": zone}
        for number in range(count)
    ]
    given = {"action": "record", "operation_id": operation_id, "steps": steps}
    await track_operation(OperationArgs.model_validate(given), deps)


async def run(deps: Deps, **changes: Any) -> None:
    messages = [{"role": "user", "content": "hello"}]
    await run_inference(RunArgs(model="gpt-oss-120b", messages=messages, max_output_tokens=50, **changes), deps)


async def all_entries(deps: Deps, **given: Any) -> list[list[dict[str, Any]]]:
    pages, cursor = list[list[dict[str, Any]]](), None
    while True:
        page = await rows(deps, "entries", cursor=cursor, **given)
        pages.append(list(page.entries or ()))
        cursor = page.next_cursor
        if cursor is None:
            return pages


@pytest.mark.parametrize("kind", ["bars", "groups", "entries"])
async def test_an_empty_ledger_has_no_rows(installation: Installation, kind: str) -> None:
    async with installation.open() as deps:
        result = await rows(deps, kind)
    assert result.structured()[kind] == ()
    assert result.next_cursor is None
    assert result.provenance.region_scope == "none"


async def test_only_the_rows_that_were_asked_for_are_there(installation: Installation) -> None:
    async with installation.open() as deps:
        await record(deps, 1)
        fields = {kind: (await rows(deps, kind)).structured().keys() for kind in ("bars", "groups", "entries")}
    shared = {"period", "next_cursor", "reasons", "provenance"}
    assert fields["bars"] == {*shared, "bars", "bar_unit"}
    assert fields["groups"] == {*shared, "groups", "group_count"}
    assert fields["entries"] == {*shared, "entries"}


async def test_a_bar_has_its_interval_and_says_how_many_requests_it_knows(installation: Installation) -> None:
    async with installation.open() as deps:
        await record(deps, 2)
        await record(deps, 1, "other", model="in-house-7")
        bar = next(iter((await rows(deps, "bars", since="2026-11-05", until="2026-11-08")).bars or ()))
    assert bar["start"] == "2026-11-05"
    assert (bar["request_count"], bar["carbon_known_count"], bar["market_known_count"]) == (3, 2, 0)
    assert bar["energy_kwh"]["low"] < bar["energy_kwh"]["median"] < bar["energy_kwh"]["high"]
    assert bar["carbon_market_kg"] is None


async def test_days_without_requests_are_bars_without_figures(installation: Installation) -> None:
    async with installation.open() as deps:
        await record(deps, 1)
        result = await rows(deps, "bars", since="2026-11-01", until="2026-11-07")
    assert result.bar_unit == "day"
    assert [bar["request_count"] for bar in result.bars or ()] == [0, 0, 0, 0, 1, 0]
    assert [bar["carbon_kg"] is None for bar in result.bars or ()] == [True] * 4 + [False, True]


async def test_groups_come_in_pages_with_their_number(installation: Installation) -> None:
    async with installation.open() as deps:
        await record(deps, 45, model="in-house-{}")
        first = await rows(deps, "groups")
        second = await rows(deps, "groups", group_by="model", cursor=first.next_cursor)
        third = await rows(deps, "groups", group_by="model", cursor=second.next_cursor)
        zones = await rows(deps, "groups", group_by="zone")
    assert [len(page.groups or ()) for page in (first, second, third)] == [20, 20, 5]
    assert {page.group_count for page in (first, second, third)} == {45}
    assert third.next_cursor is None
    keys = {group["key"] for page in (first, second, third) for group in page.groups or ()}
    assert keys == {f"in-house-{number}" for number in range(45)}
    assert [group["key"] for group in zones.groups or ()] == ["FR"]
    assert brief(first) == "20 groups, more with next_cursor. For the view of the ledger."


async def test_entries_come_in_pages_oldest_first_and_each_once(installation: Installation) -> None:
    async with installation.open() as deps:
        for day in (2, 1, 0):
            installation.now_s -= DAY_S * day
            await record(deps, 15, f"op{day}")
            installation.now_s += DAY_S * day
        pages = await all_entries(deps)
        late = await all_entries(deps, since="2026-11-04")
    assert [len(page) for page in pages] == [20, 20, 5]
    entries = [entry for page in pages for entry in page]
    assert len({entry["receipt_id"] for entry in entries}) == 45
    assert [entry["occurred_at"] for entry in entries] == sorted(entry["occurred_at"] for entry in entries)
    assert sum(map(len, late)) == 30


async def test_a_last_page_that_is_full_has_no_cursor(installation: Installation) -> None:
    async with installation.open() as deps:
        await record(deps, ROWS_PER_PAGE)
        assert [len(page) for page in await all_entries(deps)] == [ROWS_PER_PAGE]


async def test_an_entry_names_its_receipt_and_leaves_unknown_amounts_null(installation: Installation) -> None:
    async with installation.open() as deps:
        await record(deps, 1, model="in-house-7")
        (entry,) = list((await rows(deps, "entries")).entries or ())
    assert entry["receipt_id"].startswith("r_")
    assert (entry["kind"], entry["model"], entry["zone"], entry["token_count"]) == ("recorded", "in-house-7", "FR", 100)
    assert entry["energy_wh"] is None
    assert entry["carbon_gco2e"] is None


async def test_filters_choose_the_same_entries_as_in_a_summary(at_fake: Installation) -> None:
    async with at_fake.open() as deps:
        await record(deps, 3, "one")
        await record(deps, 2, "two")
        await run(deps, tags=["red"])
        await run(deps, tags=["blue"], operation_id="one")
        found = {
            "one": await all_entries(deps, operation_id="one"),
            "red": await all_entries(deps, tag="red"),
            "param": await all_entries(deps, method="wattproof/param"),
            "ecologits": await all_entries(deps, method="ecologits"),
        }
        groups = await rows(deps, "groups", operation_id="one")
    assert {name: sum(map(len, pages)) for name, pages in found.items()} == {
        "one": 4,
        "red": 1,
        "param": 7,
        "ecologits": 0,
    }
    assert sum(group["request_count"] for group in groups.groups or ()) == 4


async def test_a_page_looks_at_so_many_entries_and_then_hands_on(
    at_fake: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_of, "_LOOKED_AT", 5)
    async with at_fake.open() as deps:
        await record(deps, 12)
        await run(deps, tags=["red"])
        pages = await all_entries(deps, tag="red")
    assert [len(page) for page in pages] == [0, 0, 1]


@pytest.mark.parametrize(
    ("kind", "cursor"),
    [
        ("groups", "x"),
        ("groups", "-1"),
        ("groups", "٣"),
        ("groups", "9" * 30),
        ("entries", "20"),
        ("entries", "2026-11-05T12:00:00Z"),
        ("entries", "2026-11-05T12:00:00Z/x"),
        ("entries", "yesterday/3"),
        ("entries", f"2026-11-05T12:00:00Z/{'9' * 30}"),
    ],
)
async def test_a_cursor_that_no_page_gave_is_refused(installation: Installation, kind: str, cursor: str) -> None:
    async with installation.open() as deps:
        with pytest.raises(InvalidInput, match="cursor"):
            await rows(deps, kind, cursor=cursor)


async def test_a_method_that_nobody_knows_is_refused(installation: Installation) -> None:
    async with installation.open() as deps:
        with pytest.raises(UnknownMethod):
            await rows(deps, "bars", method="guess")
