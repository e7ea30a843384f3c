"""Tables and numbers of the pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wattproof.methodology.quantity import Quantity
from wattproof.tools.figures import significant

__all__ = ["factor", "interval", "ratio", "table"]


def table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: bool = True) -> str:
    """A Markdown table; every column but the first is set to the right where `numbers`."""
    rule = ["---", *(["---:" if numbers else "---"] * (len(header) - 1))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows)) + "\n"


def ratio(number: float) -> str:
    """A ratio with two significant figures: `0.52`, `1.1`, `140`."""
    return significant(number)


def factor(number: float | None) -> str:
    """A factor either way: `x/÷ 1.6`."""
    return "none" if number is None else f"×/÷ {significant(number)}"


def interval(quantity: Quantity, digits: int = 2) -> str:
    """`0.48 (0.18–1.3)`; the bare number where the method gives no interval."""
    text = significant(quantity.median, digits)
    if quantity.low is None or quantity.high is None or quantity.low == quantity.high:
        return text
    return f"{text} ({significant(quantity.low, digits)}–{significant(quantity.high, digits)})"
