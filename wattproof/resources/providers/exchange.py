"""Exchange rates as dated, sourced rows. Without a row, a price in another currency is unknown in USD."""

from __future__ import annotations

import functools
import json
from importlib.resources import files
from typing import Any

__all__ = ["to_usd_micros"]


def to_usd_micros(micros: int, currency: str | None) -> int | None:
    """`micros` micro-units of `currency` in micro-dollars, rounded up; None where no sourced rate ships."""
    if currency == "USD":
        return micros
    rate = _rates().get(currency or "")
    return None if rate is None else -(-micros * rate // 1_000_000)


@functools.cache
def _rates() -> dict[str, int]:
    content: dict[str, Any] = json.loads(files("wattproof.resources.providers").joinpath("exchange.json").read_bytes())
    return {row["currency"]: row["usd_micros_per_unit"] for row in content["rates"]}
