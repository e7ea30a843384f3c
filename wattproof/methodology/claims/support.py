"""Whether the figures of a text have beside them what a reader needs: interval, method, boundary, period, place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wattproof.methodology.claims.amounts import Amount, amounts_in
from wattproof.methodology.claims.passages import blanked_code
from wattproof.methodology.claims.rules import rule_set

__all__ = ["Figures", "figures_of"]

_MOST_DIGITS = 3
_ESTIMATED = ("energy_wh", "carbon_gco2e")


@dataclass(frozen=True, slots=True)
class Figures:
    """The amounts in a text, what none of its words give beside them, and which are written too precisely."""

    amounts: tuple[Amount, ...]
    missing: Mapping[str, str]
    too_precise: tuple[Amount, ...]


def figures_of(text: str) -> Figures:
    """The amounts of energy and carbon in a text (English), and what is missing beside them, by name with its need."""
    prose = blanked_code(text)
    amounts = tuple(amounts_in(prose))
    stated = {amount.quantity for amount in amounts}
    bounded = any(amount.low is not None and amount.quantity in _ESTIMATED for amount in amounts)
    missing = {
        support.id: support.needs
        for support in rule_set().support
        if support.of & stated and not support.pattern.search(prose) and not (support.id == "interval" and bounded)
    }
    precise = tuple(a for a in amounts if a.quantity in _ESTIMATED and a.digits > _MOST_DIGITS)
    return Figures(amounts, missing, precise)
