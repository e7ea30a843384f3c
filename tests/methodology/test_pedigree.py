"""Pedigree scores as uncertainty."""

from __future__ import annotations

import math
from typing import Any

import pytest

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.pedigree import ECOINVENT_V3, INDICATORS, sigma_ln, variances


def test_the_best_scores_add_nothing() -> None:
    assert sigma_ln([1, 1, 1, 1, 1], basic_variance=0.01, table=ECOINVENT_V3) == pytest.approx(0.1)


def test_a_published_tier_needs_a_basic_uncertainty_to_reach_its_interval() -> None:
    scores = math.sqrt(math.fsum(variances([3, 3, 2, 2, 3], ECOINVENT_V3).values()))
    assert scores == pytest.approx(0.104, abs=0.001)
    assert sigma_ln([3, 3, 2, 2, 3], basic_variance=0.379**2, table=ECOINVENT_V3) == pytest.approx(0.393, abs=0.001)


@pytest.mark.parametrize("indicator", INDICATORS)
def test_a_worse_score_never_narrows(indicator: str) -> None:
    at = INDICATORS.index(indicator)
    steps = [variances([score if i == at else 1 for i in range(5)], ECOINVENT_V3)[indicator] for score in range(1, 6)]
    assert steps == sorted(set(steps))


@pytest.mark.parametrize(
    ("scores", "basic", "table", "named"),
    [
        ([1, 1, 1, 1], 0.01, ECOINVENT_V3, "pedigree"),
        ([0, 1, 1, 1, 1], 0.01, ECOINVENT_V3, "pedigree"),
        ([6, 1, 1, 1, 1], 0.01, ECOINVENT_V3, "pedigree"),
        ([1.5, 1, 1, 1, 1], 0.01, ECOINVENT_V3, "pedigree"),
        ([1, 1, 1, 1, 1], 0.0, ECOINVENT_V3, "basic_variance"),
        ([1, 1, 1, 1, 1], math.nan, ECOINVENT_V3, "basic_variance"),
        ([1, 1, 1, 1, 1], 0.01, "ecoinvent", "ecoinvent-v3"),
    ],
)
def test_scores_without_a_table_or_a_basic_uncertainty_are_refused(
    scores: list[Any], basic: float, table: str, named: str
) -> None:
    with pytest.raises(InvalidInput, match=named):
        sigma_ln(scores, basic_variance=basic, table=table)
