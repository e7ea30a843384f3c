"""A period is cut into whole months, days and hours without gap or overlap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.ledger.times import bucket, check_instant, rfc3339, spans

instants = st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
_STARTS = {"month": "-01T00:00:00Z", "day": "T00:00:00Z", "hour": ":00:00Z", "entry": ""}


@given(instants, instants)
def test_spans_cover_a_period_exactly_and_start_on_whole_buckets(one: datetime, other: datetime) -> None:
    start, end = min(one, other), max(one, other)
    reached = start
    for span in spans(start, end):
        assert span.first == reached < span.end
        for edge in (span.first, span.end):
            assert bucket("entry", edge).endswith(_STARTS[span.level])
        reached = span.end
    assert reached == end


@given(instants, instants)
def test_no_part_is_finer_than_it_must_be(one: datetime, other: datetime) -> None:
    start, end = min(one, other), max(one, other)
    limits = {"entry": timedelta(hours=1), "hour": timedelta(hours=24), "day": timedelta(days=62)}
    for span in spans(start, end):
        if span.level != "month":
            assert span.end - span.first < limits[span.level] * 2


@given(instants)
def test_an_instant_reads_back_as_it_was_written(moment: datetime) -> None:
    assert check_instant("since", rfc3339(moment.timestamp())) == moment


@pytest.mark.parametrize(
    "text",
    ["", "2026-11-22", "2026-11-22T06:00:00", "2026-11-22 06:00:00Z", "2026-11-22T06:00:00+00:00", "20261122T060000Z"],
)
def test_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="2026-11-22T06:00:00Z"):
        check_instant("since", text)
