"""What `figures.py` gives for each record, computed for many at once. Importing this needs numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wattproof.methodology.propagate import LogNormal
from wattproof.resources.bulk_arrays import Counts, evaluate, index, terms_wh
from wattproof.resources.imports.figures import LIMIT, Figures, GroupFigures
from wattproof.resources.imports.records import UsageRecord

__all__ = ["figures_of"]

_Floats: TypeAlias = NDArray[np.float64]
_TERMS = 4


def figures_of(figures: GroupFigures, usages: Sequence[UsageRecord]) -> list[Figures | None] | None:
    """The figures of each record; None where one of them has an amount that no entry can hold."""
    times = np.array([usage.requests or 1 for usage in usages], dtype=np.float64)
    counts = Counts(
        np.array([usage.input_tokens for usage in usages]) / times,
        np.array([usage.cached_input_tokens for usage in usages]) / times,
        np.array([usage.output_tokens for usage in usages]) / times,
    )
    factors = {str(k): [LogNormal(each[0], each[2])] for k, each in enumerate(figures.scales) if each is not None}
    found, _ = evaluate(figures.rates, factors, index(None, len(usages)), 1, [counts])
    nothing: list[Any] = [None] * len(usages)
    columns: list[list[Any]] = []
    for k, scale in enumerate(figures.scales):
        if scale is None:
            columns += (nothing, nothing, nothing)
            continue
        units = scale[1] * times
        median, low, high = (each * units for each in found[str(k)])
        if not high.max() < LIMIT:
            return None
        columns += (_integers(median), _integers(low), _integers(high))
    terms = [wh * times for wh in terms_wh(figures.rates.accelerator, counts)]
    terms += [np.zeros(len(usages))] * (_TERMS - len(terms))
    energy = [_integers(wh * per_wh) for wh, (per_wh, _) in zip(terms, figures.means, strict=True)]
    carbon = [_integers(wh * per_wh) for wh, (_, per_wh) in zip(terms, figures.means, strict=True)]
    return list(zip(zip(*columns, strict=True), zip(*energy, strict=True), zip(*carbon, strict=True), strict=True))


def _integers(amounts: _Floats) -> list[int]:
    """Rounded half-even."""
    return np.rint(amounts).astype(np.int64).tolist()
