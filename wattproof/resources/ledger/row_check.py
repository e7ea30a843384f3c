"""A checksum of each entry's row, over the columns that its receipt states and those that it does not.

A receipt is signed, but says nothing about the source, the project or the terms of its entry. The checksum finds every
change to one row; being unsigned, it does not stop somebody who computes it anew. What an erasure or an archive keeps
of an entry is this checksum, and that is signed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import orjson

from wattproof.resources.ledger.schema import ENTRY_COLUMNS

if TYPE_CHECKING:
    from wattproof.resources.ledger.records import FactorTerm

__all__ = ["CHECK_BYTES", "WHOLE", "TermShape", "row_checker", "shape_of", "stored_shape"]

CHECK_BYTES = 16

WHOLE = "(whole)"
"""The name of the one term of an amount that came without terms; it has no shape."""

# Ids that another store may give anew, and sums that follow from the other columns.
_LEFT_OUT = frozenset({"row_check", "signature_id", "dim", "energy_own_variance", "carbon_own_variance"})
_CHECKED = tuple(name for name in ENTRY_COLUMNS if name not in _LEFT_OUT)

TermShape = Sequence[Sequence[Any]]
"""Name, energy loadings, carbon loadings and own sigma of each term of an entry."""


def row_checker(columns: Sequence[str]) -> Callable[[Sequence[Any], TermShape], bytes]:
    """What gives the checksum of a row with these columns, which may stand in any order and include others."""
    checked = itemgetter(*(columns.index(name) for name in _CHECKED))

    def check(row: Sequence[Any], shape: TermShape) -> bytes:
        text = orjson.dumps((*checked(row), shape), default=_hex)
        return sha256(text).digest()[:CHECK_BYTES]

    return check


def shape_of(terms: Iterable[FactorTerm]) -> TermShape:
    """The shape of the terms of a draft."""
    return [(t.name, t.energy_loadings, t.carbon_loadings, t.idiosyncratic_sigma) for t in terms]


@lru_cache(maxsize=1024)
def stored_shape(signature: str) -> TermShape:
    """The same from the text of a stored factor signature.

    Raises:
        ValueError, LookupError, TypeError: it is not one.
    """
    terms = orjson.loads(signature)["terms"]
    return [(t["name"], t["energy"], t["carbon"], t["own_sigma"]) for t in terms if t["name"] != WHOLE]


def _hex(value: bytes) -> str:
    return value.hex()
