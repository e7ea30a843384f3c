"""A footprint as integers, as receipts and the ledger hold it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.quantity import Footprint, Quantity

__all__ = ["AMOUNTS", "amounts", "outputs"]

AMOUNTS: Mapping[str, tuple[str, float]] = MappingProxyType(
    {
        "energy_nwh": ("energy_wh", 1e9),
        "carbon_location_ng": ("carbon_gco2e", 1e9),
        "carbon_market_ng": ("carbon_market_gco2e", 1e9),
        "water_nl": ("water_ml", 1e6),
        "adpe_pgsbeq": ("adpe_kgsbeq", 1e15),
    }
)
"""Name of the integer amount -> the footprint's field, and how many integer units one unit of the field holds."""

_LIMIT = 2**53


def amounts(footprint: Footprint, times: int = 1) -> dict[str, tuple[int, int | None, int | None] | None]:
    """Each amount as `(median, low, high)`, rounded half-even; None where the method does not define it.

    `times` as many: of requests alike, whose unknowns are the same.

    Raises:
        InvalidInput: an amount reaches 2**53 units (for energy, 9e6 Wh in one request).
    """
    return {name: _amount(name, getattr(footprint, field), units * times) for name, (field, units) in AMOUNTS.items()}


def outputs(footprint: Footprint, times: int = 1) -> dict[str, dict[str, int | str | None] | None]:
    """Each amount as `{"median", "low", "high", "interval"}`, or None. Parameters and Raises as `amounts`."""
    return {
        name: None if amount is None else {**dict(zip(_KEYS, amount, strict=True)), "interval": footprint.interval}
        for name, amount in amounts(footprint, times).items()
    }


_KEYS = ("median", "low", "high")


def _amount(name: str, quantity: Quantity | None, units: float) -> tuple[int, int | None, int | None] | None:
    if quantity is None:
        return None
    low = None if quantity.low is None else _integer(name, quantity.low * units)
    high = None if quantity.high is None else _integer(name, quantity.high * units)
    return _integer(name, quantity.median * units), low, high


def _integer(name: str, number: float) -> int:
    if not number < _LIMIT:
        raise InvalidInput(name, f"is {number:.3g}, at least 2**53", "split the request into smaller ones")
    return round(number)
