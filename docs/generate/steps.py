"""Steps of a calculation as a table, and the comparison with the method that they belong to."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from docs.generate.markdown import interval, table
from wattproof.methodology.methods import Activity, Method
from wattproof.methodology.propagate import Z90
from wattproof.methodology.quantity import Footprint, Quantity, Tier
from wattproof.tools.figures import significant

__all__ = ["Mismatch", "Sheet", "Shown", "agree", "numbers", "operand_list"]


class Mismatch(AssertionError):
    """A step worked out for the page differs from what the method computes."""


@dataclass
class Sheet:
    """The steps of one tier, in order: what, how, result."""

    rows: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])

    def step(self, name: str, how: str, value: float, unit: str) -> float:
        """Note a step and hand its value on."""
        self.rows.append((name, how, f"{significant(value, 4)} {unit}".rstrip()))
        return value

    def quantity(self, name: str, median: float, sigma: float, unit: str) -> Quantity:
        """Note median and 90 % interval of a log-normal figure, and hand them on."""
        spread = math.exp(Z90 * sigma)
        found = Quantity(median, median / spread, median * spread)
        how = f"median ×/÷ exp(1.645 σ) = {spread:.3g}"
        self.rows.append((f"**{name}, 90 %**", how, f"**{interval(found, 3)} {unit}**"))
        return found

    def text(self) -> str:
        """The table."""
        return table(("step", "calculation", "result"), self.rows, numbers=False)


@dataclass(frozen=True)
class Shown:
    """One line of the comparison at the end."""

    tier: Tier
    method: Method
    footprint: Footprint


def numbers(method: Method, activity: Activity) -> dict[str, float]:
    """The operands of a method for an activity, by name."""
    return {operand.name: operand.number for operand in method.operands(activity)}


def agree(computed: Quantity | None, worked_out: Quantity) -> None:
    """Stop where the page would say something else than the method.

    Raises:
        Mismatch: median, low or high differ by more than 1e-9 of their size.
    """
    assert computed is not None
    for name in ("median", "low", "high"):
        ours, theirs = getattr(worked_out, name), getattr(computed, name)
        if not math.isclose(ours, theirs, rel_tol=1e-9):
            raise Mismatch(f"{name} is {ours!r} here and {theirs!r} by the method")


def operand_list(method: Method, activity: Activity) -> str:
    """Every operand with its source, folded away."""
    rows = [
        (f"`{operand.name}`", f"{operand.number:.9g}", operand.unit, f"`{operand.source_id}`")
        for operand in method.operands(activity)
    ]
    return (
        f"<details><summary>The {len(rows)} operands of <code>{method.id}</code></summary>\n\n"
        f"{table(('operand', 'value', 'unit', 'source'), rows, numbers=False)}\n</details>\n"
    )
