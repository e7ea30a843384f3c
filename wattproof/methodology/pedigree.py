"""Pedigree scores as uncertainty: named, versioned tables, and never without a basic uncertainty.

A score of 1 to 5 for each of five indicators adds a variance of the logarithm. The scores say how well a datum fits its
use, not how uncertain it is in itself: without an explicit basic variance they make intervals far too narrow.

Source: B. P. Weidema et al., "Overview and methodology. Data quality guideline for the ecoinvent database version 3"
(2013), table 10.5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from wattproof.methodology.closest import closest
from wattproof.methodology.data import read_edition
from wattproof.methodology.errors import InvalidInput

__all__ = ["ECOINVENT_V3", "INDICATORS", "sigma_ln", "variances"]

ECOINVENT_V3 = "ecoinvent-v3"

INDICATORS = ("reliability", "completeness", "temporal", "geographical", "technological")
"""In the order of the scores."""


def variances(scores: Sequence[int], table: str) -> Mapping[str, float]:
    """The variance of the logarithm that each indicator's score adds, by the named table.

    Raises:
        InvalidInput: the table is unknown, or the scores are not five integers from 1 to 5.
    """
    tables = read_edition("wattproof/pedigree.json")["tables"]
    if table not in tables:
        raise InvalidInput("table", f"is {table!r}", f"give one of {', '.join(closest(table, tables) or tables)}")
    if len(scores) != len(INDICATORS) or any(score not in (1, 2, 3, 4, 5) for score in scores):
        raise InvalidInput("pedigree", f"is {list(scores)}", f"give a score from 1 to 5 for {', '.join(INDICATORS)}")
    rows = tables[table]["variance_of_ln"]
    return {name: rows[name][score - 1] for name, score in zip(INDICATORS, scores, strict=True)}


def sigma_ln(scores: Sequence[int], *, basic_variance: float, table: str) -> float:
    """The standard deviation of the logarithm: basic variance and that of the scores, added up.

    Raises as `variances` does, and InvalidInput for a basic variance that is not a finite number above 0.
    """
    if not 0.0 < basic_variance < math.inf:
        raise InvalidInput(
            "basic_variance", f"is {basic_variance!r}", "give a number above 0: scores alone are no width"
        )
    return math.sqrt(basic_variance + math.fsum(variances(scores, table).values()))
