"""Many requests at once: what is refused, and how it is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from wattproof.methodology.errors import InvalidInput, NotDefined
from wattproof.methodology.models import find_model
from wattproof.methodology.quantity import Usage, Workload
from wattproof.resources.bulk import UsageColumns, estimate_many
from wattproof.resources.grid.bundled import annual_reading
from wattproof.resources.providers.catalogue import load_catalogue

NOW = 1_793_000_000.0
MODEL = find_model("gpt-oss-120b")
FRANCE, GERMANY = annual_reading("FR", NOW), annual_reading("DE", NOW)
GOOD = [100] * 40_000


def with_row(count: object, row: int = 20_000) -> list[Any]:
    return [*GOOD[:row], count, *GOOD[row + 1 :]]


@pytest.mark.parametrize("count", [-3, 10**12 + 1, 10**30, 3.0, float("nan"), "7", None, True])
@pytest.mark.parametrize("name", ["input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens"])
def test_a_bad_count_in_a_list_names_its_column_and_row(name: str, count: object) -> None:
    given_columns: dict[str, Any] = {"input_tokens": GOOD, "output_tokens": GOOD, name: with_row(count)}
    with pytest.raises(InvalidInput, match=f"^{name} is .* in row 20000; give an integer from 0 to 1e12") as caught:
        estimate_many(MODEL, FRANCE, UsageColumns(**given_columns))
    assert caught.value.field == name


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        (np.array(with_row(-3)), "is -3 in row 20000"),
        (np.array(with_row(10**12 + 1), dtype=np.uint64), "is 1000000000001 in row 20000"),
        (np.array(with_row(2**63), dtype=np.uint64), "is 9223372036854775808 in row 20000"),
        (np.array(with_row(None), dtype=object), "is None in row 20000"),
        (np.array(GOOD, dtype=np.float64), "is 100.0 in row 0"),
        (np.ones(40_000, dtype=np.bool_), "is True in row 0"),
        (np.ones((40_000, 2), dtype=np.int64), "has 2 dimensions"),
        (GOOD[1:], "has 39999 rows, input_tokens 40000"),
    ],
)
def test_a_bad_column_is_refused_with_its_name(column: Any, problem: str) -> None:
    with pytest.raises(InvalidInput, match=f"^output_tokens {problem}") as caught:
        estimate_many(MODEL, FRANCE, UsageColumns(GOOD, column))
    assert caught.value.field == "output_tokens"


def test_a_part_that_exceeds_its_whole_names_its_row() -> None:
    cached = UsageColumns(GOOD, GOOD, cached_input_tokens=with_row(101))
    with pytest.raises(InvalidInput, match=r"^cached_input_tokens is 101 in row 20000, more than input_tokens"):
        estimate_many(MODEL, FRANCE, cached)
    reasoning = UsageColumns(GOOD, GOOD, reasoning_tokens=with_row(101))
    with pytest.raises(InvalidInput, match=r"^reasoning_tokens is 101 in row 20000, more than output_tokens"):
        estimate_many(MODEL, FRANCE, reasoning)


def test_a_row_that_is_no_usage_is_named() -> None:
    rows: list[Any] = [Usage(1, 1)] * 20_000 + [(1, 1)]
    with pytest.raises(InvalidInput, match=r"^usages holds \(1, 1\) in row 20000"):
        estimate_many(MODEL, FRANCE, rows)


def test_there_must_be_a_reading_for_each_request() -> None:
    with pytest.raises(InvalidInput, match=r"^reading has 2 rows for 3 requests"):
        estimate_many(MODEL, [FRANCE, GERMANY], [Usage(1, 1)] * 3)
    with pytest.raises(InvalidInput, match=r"^reading has 0 rows for 0 requests"):
        estimate_many(MODEL, [], [])


def test_an_unknown_indicator_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^indicators names no indicator .*: noise"):
        estimate_many(MODEL, FRANCE, [Usage(1, 1)], indicators=["energy_wh", "noise"])
    with pytest.raises(InvalidInput, match=r"^indicators names no indicator .*: noise"):
        estimate_many(MODEL, FRANCE, [Usage(1, 1)]).total("noise")


def test_what_the_method_does_not_cover_is_refused() -> None:
    with pytest.raises(NotDefined):
        estimate_many(MODEL, FRANCE, [Usage(1, 1)], workload=Workload.IMAGE)
    with pytest.raises(NotDefined, match=r"^wattproof/cpu-time@1\.0\.0 .* one by one"):
        estimate_many(MODEL, FRANCE, [Usage(1, 1)], deployment=replace(load_catalogue()[0], protocol="embedded"))
