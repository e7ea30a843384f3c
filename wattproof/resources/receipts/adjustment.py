"""An adjustment states a difference: what its method gives from the operands as they are now, less what it gave before.

Its receipt holds every operand as it is now and, beside each one that changed, the former one as ``<name>_before``; so
anyone can compute both and subtract. `parent_id` names the receipt that it adjusts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from wattproof.methodology.integers import outputs
from wattproof.methodology.methods import Method
from wattproof.methodology.propagate import Loadings, mean
from wattproof.methodology.quantity import Boundary, Operand, Term

__all__ = ["TermChange", "change", "former", "split", "term_changes"]

_BEFORE = "_before"
_NANO = 1_000_000_000

Output = Mapping[str, Any] | None


class TermChange(NamedTuple):
    """By how much the means of one term changed [nWh, ng], and what spreads it; no carbon: the method defines none."""

    name: str
    energy_mean_nwh: int
    carbon_mean_ng: int | None
    energy_loadings: Loadings
    carbon_loadings: Loadings


def former(operand: Operand) -> Operand:
    """The operand under the name of a former one."""
    return replace(operand, name=operand.name + _BEFORE)


def split(operands: Iterable[Operand]) -> tuple[list[Operand], dict[str, float]]:
    """The operands as they are now, and the numbers that the changed ones had before."""
    now: list[Operand] = []
    before: dict[str, float] = {}
    for operand in operands:
        if operand.name.endswith(_BEFORE):
            before[operand.name.removesuffix(_BEFORE)] = operand.number
        else:
            now.append(operand)
    return now, before


def change(
    method: Method, numbers: Mapping[str, float], before: Mapping[str, float], boundary: Boundary
) -> dict[str, dict[str, Any] | None]:
    """By how much each output changed when the operands `before` became those in `numbers`; None where undefined.

    The bounds are differences of the bounds, in order: both follow from the same unknowns.

    Raises:
        InvalidInput: operands are missing or unknown, or outside the method's domain.
    """
    new = outputs(method.compute(numbers, boundary))
    old = outputs(method.compute({**numbers, **before}, boundary))
    return {name: _difference(new[name], old[name]) for name in new}


def _difference(new: Output, old: Output) -> dict[str, Any] | None:
    if new is None or old is None:
        return None
    if new["low"] is None or old["low"] is None:
        return {"median": new["median"] - old["median"], "low": None, "high": None, "interval": "none"}
    low, median, high = sorted(new[bound] - old[bound] for bound in ("low", "median", "high"))
    return {"median": median, "low": low, "high": high, "interval": new["interval"]}


def term_changes(
    method: Method, numbers: Mapping[str, float], before: Mapping[str, float], boundary: Boundary
) -> tuple[TermChange, ...]:
    """By how much each term of energy and carbon changed when the operands `before` became those in `numbers`.

    A term that only one of the two has changed from, or to, nothing.

    Raises:
        InvalidInput: operands are missing or unknown, or outside the method's domain.
    """
    new = method.compute(numbers, boundary)
    old = method.compute({**numbers, **before}, boundary)
    energy = _paired(new.energy_terms, old.energy_terms)
    carbon = _paired(new.carbon_terms, old.carbon_terms)
    return tuple(
        TermChange(
            name,
            _mean_change(pair),
            _mean_change(carbon[name]) if name in carbon else None,
            _loadings(pair),
            _loadings(carbon[name]) if name in carbon else (),
        )
        for name, pair in energy.items()
    )


_Pair = tuple[Term | None, Term | None]


def _paired(new: Iterable[Term], old: Iterable[Term]) -> dict[str, _Pair]:
    now, then = {term.name: term for term in new}, {term.name: term for term in old}
    return {name: (now.get(name), then.get(name)) for name in {**now, **then}}


def _mean_change(pair: _Pair) -> int:
    now, then = (0 if term is None else round(mean(term) * _NANO) for term in pair)
    return now - then


def _loadings(pair: _Pair) -> Loadings:
    return next(term.loadings for term in pair if term is not None)
