"""Rows say when somebody looked; after 180 days they say that it is long ago."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from wattproof.resources.providers import Deployment, is_stale, load_catalogue
from wattproof.resources.providers.embedded import deployment as embedded

NOW = datetime(2026, 11, 22, tzinfo=UTC).timestamp()
DAY_S = 86_400
ROW = next(row for row in load_catalogue() if row.id == "ovhcloud/gpt-oss-120b")


def test_no_bundled_row_is_stale_on_the_day_of_this_edition() -> None:
    assert [row.id for row in load_catalogue() if is_stale(row, NOW)] == []


def test_the_price_is_flagged_the_day_after_its_180th() -> None:
    checked_s = datetime(2026, 7, 2, tzinfo=UTC).timestamp()
    assert is_stale(ROW, checked_s + 180 * DAY_S) is None
    assert is_stale(ROW, checked_s + 181 * DAY_S) == "price checked 2026-07-02, 181 days ago"


def test_location_and_price_are_both_named() -> None:
    later_s = NOW + 365 * DAY_S
    assert is_stale(ROW, later_s) == ("location checked 2026-11, 386 days ago; price checked 2026-07-02, 508 days ago")
    assert is_stale(replace(ROW, price=None), later_s) == "location checked 2026-11, 386 days ago"


@pytest.mark.parametrize("checked_at", ["", "lately", "2026", "2026-13", "2026-02-30"])
def test_a_bundled_row_without_a_date_is_flagged(checked_at: str) -> None:
    assert is_stale(replace(ROW, checked_at=checked_at), NOW) == "location is not dated"


def test_what_a_user_leaves_undated_is_the_users_affair() -> None:
    assert is_stale(replace(ROW, checked_at="", origin="user"), NOW) is None
    assert is_stale(replace(ROW, checked_at="2026-01-02", origin="user"), NOW) is not None


def test_rows_of_this_machine_are_never_stale() -> None:
    probed = replace(ROW, origin="probed", checked_at="", local=True)
    row: Deployment
    for row in (probed, replace(probed, local=False), embedded("FR")):
        assert is_stale(row, NOW + 1000 * DAY_S) is None


def test_a_clock_that_lags_flags_nothing() -> None:
    assert is_stale(ROW, NOW - 365 * DAY_S) is None
