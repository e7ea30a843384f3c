"""What receipts assume: every operand of every method with its range, its unit, its source and how many use it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from wattproof.resources.receipts.pack.cells import line, neutral, plain
from wattproof.resources.receipts.pack.files import broken

__all__ = ["COLUMNS", "MAX_ROWS", "Assumptions", "Table", "read_table"]

COLUMNS = ("method_id", "operand", "unit", "source_id", "least", "most", "receipts")
MAX_ROWS = 50_000
_MAX_EXPONENT = 400

_Key = tuple[str, str, str, str]
Table = dict[_Key, tuple[Decimal, Decimal, int]]
"""Method, operand, unit, source -> least, most, receipts."""


class Assumptions:
    """Collects operands; what is beyond `MAX_ROWS` kinds of them is counted and not listed."""

    def __init__(self) -> None:
        self._rows: dict[_Key, list[Any]] = {}
        self.left_out = 0

    def add(self, method_id: str, operands: Sequence[Mapping[str, Any]], receipts: int = 1) -> None:
        """The operands of one receipt, or of `receipts` that share them."""
        for operand in operands:
            key = (method_id, operand["name"], operand["unit"], operand["source_id"])
            number = _number(operand)
            row = self._rows.get(key)
            if row is not None:
                row[0], row[1], row[2] = min(row[0], number), max(row[1], number), row[2] + receipts
            elif len(self._rows) < MAX_ROWS:
                self._rows[key] = [number, number, receipts]
            else:
                self.left_out += 1

    def lines(self) -> Iterator[str]:
        """The table as CSV, sorted."""
        yield line(COLUMNS)
        for key in sorted(self._rows):
            least, most, receipts = self._rows[key]
            yield line([*map(neutral, key), _text(least), _text(most), receipts])

    def table(self) -> Table:
        """The rows by method, operand, unit and source."""
        return {key: (row[0], row[1], row[2]) for key, row in self._rows.items()}

    def within(self, listed: Table) -> list[str]:
        """Which operands a table does not list, or lists with a narrower range or for fewer receipts."""
        return [
            f"{key[0]} {key[1]}"
            for key, (least, most, receipts) in self._rows.items()
            if (row := listed.get(key)) is None or least < row[0] or most > row[1] or receipts > row[2]
        ]


def read_table(rows: Iterable[Mapping[str, str]]) -> Table:
    """The rows of a table that was written.

    Raises:
        VerificationFailed: a column is missing, or a number is none.
    """
    listed: Table = {}
    for cells in rows:
        try:
            method, name, unit, source = (plain(cells[column]) for column in COLUMNS[:4])
            row = (Decimal(cells["least"]), Decimal(cells["most"]), int(cells["receipts"]))
        except (KeyError, ValueError, InvalidOperation) as error:
            raise broken("assumptions.csv", "has a row that cannot be read") from error
        listed[method, name, unit, source] = row
    return listed


def _number(operand: Mapping[str, Any]) -> Decimal:
    exponent = max(-_MAX_EXPONENT, min(_MAX_EXPONENT, operand["exp10"]))
    return Decimal(operand["value"]).scaleb(exponent)


def _text(number: Decimal) -> str:
    short = number.normalize()
    return f"{short:f}" if abs(short.adjusted()) < 20 else f"{short:e}"
