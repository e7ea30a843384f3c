"""What the releases of EcoLogits share: constants, and figures as a range between two ends.

EcoLogits works its chain of formulas out twice, at the lower and at the upper end of every range (parameters, PUE,
WUE), and publishes minimum, maximum and their arithmetic mean. Without any range it publishes one value and no width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from math import inf
from typing import NamedTuple

from wattproof.methodology.data import read_edition
from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods.activity import Activity, Intensity
from wattproof.methodology.methods.ecologits_registry import Ends, Registered
from wattproof.methodology.methods.method import Method, Prepared, token_operands
from wattproof.methodology.methods.tokens import TokenCounts
from wattproof.methodology.quantity import Boundary, Footprint, Operand, Quantity, Term

__all__ = [
    "NO_MIX_FACTOR",
    "OUTSIDE_NARROW",
    "Chain",
    "Impacts",
    "constant_operands",
    "electricity",
    "electricity_operands",
    "ends_operands",
    "model_operands",
    "prepared",
    "request_operands",
    "require_sane",
    "use_and_manufacture",
]

NO_MIX_FACTOR = "mix factor not bundled"
OUTSIDE_NARROW = "outside the narrow boundary"

_CONSTANT_DIGITS = 15
"""As many as fit an integer operand; the regressions are published with 16 to 17."""


@cache
def constant_operands(release: str) -> tuple[Operand, ...]:
    """The constants in the edition's file `release`."""
    edition = read_edition(release)
    return tuple(
        Operand.of(name, row["value"], row["unit"], edition["source_id"], _CONSTANT_DIGITS)
        for name, row in edition["constants"].items()
    )


def ends_operands(name: str, ends: Ends, unit: str, source_id: str) -> tuple[Operand, Operand]:
    """Both ends of a range, `name_min` and `name_max`."""
    low, high = ends
    return Operand.of(f"{name}_min", low, unit, source_id), Operand.of(f"{name}_max", high, unit, source_id)


def model_operands(row: Registered) -> tuple[Operand, ...]:
    """Both ends of the parameters."""
    return (
        *ends_operands("active_params_b", row.active_b, "1e9 parameters", row.source_id),
        *ends_operands("total_params_b", row.total_b, "1e9 parameters", row.source_id),
    )


def electricity_operands(intensity: Intensity, mix_adpe_kgsbeq_per_kwh: float | None) -> Iterable[Operand]:
    """What is known of the electricity: its carbon intensity, and its resource depletion where the caller gave it."""
    yield Operand.of("intensity_gco2e_per_kwh", intensity.gco2e_per_kwh, "gCO2e/kWh", intensity.source_id)
    if mix_adpe_kgsbeq_per_kwh is not None:
        yield Operand.of("mix_adpe_kgsbeq_per_kwh", mix_adpe_kgsbeq_per_kwh, "kg Sb eq/kWh", "caller")


def request_operands(activity: Activity) -> tuple[Operand, ...]:
    """Token counts, and how long the request took where that is known."""
    if activity.latency_s is None:
        return token_operands(activity)
    return *token_operands(activity), Operand.of("latency_s", activity.latency_s, "s", "caller")


def require_sane(c: Mapping[str, float], ranged: Iterable[str], may_be_negative: str | None = None) -> None:
    """Refuse constants that no release has: negative ones and ranges upside down.

    Raises:
        InvalidInput: names the operand.
    """
    for name, number in c.items():
        if number < 0 and name != may_be_negative:
            raise InvalidInput(name, f"is {number!r}", "give a number >= 0")
    for name in ranged:
        if c[f"{name}_min"] > c[f"{name}_max"]:
            raise InvalidInput(f"{name}_min", f"is above {name}_max", "give the lower end first")


class Impacts(NamedTuple):
    """The figures of one request at one end of the ranges; None where the boundary or a missing factor leaves it out.

    Climate and resource depletion hold the share of manufacturing the hardware, which `embodied_gco2e` repeats.
    """

    energy_wh: float
    carbon_gco2e: float
    embodied_gco2e: float | None = None
    adpe_kgsbeq: float | None = None
    water_onsite_ml: float | None = None
    water_offsite_ml: float | None = None

    @property
    def water_ml(self) -> float | None:
        """On-site and off-site water, where both are known."""
        if self.water_onsite_ml is None or self.water_offsite_ml is None:
            return None
        return self.water_onsite_ml + self.water_offsite_ml


def electricity(c: Mapping[str, float], energy_kwh: float) -> Impacts:
    """What the electricity of a request costs by itself."""
    mix_adpe = c.get("mix_adpe_kgsbeq_per_kwh")
    return Impacts(
        energy_wh=energy_kwh * 1000,
        carbon_gco2e=energy_kwh * c["intensity_gco2e_per_kwh"],
        adpe_kgsbeq=None if mix_adpe is None else energy_kwh * mix_adpe,
    )


def use_and_manufacture(c: Mapping[str, float], energy_kwh: float, gpus: int, life_share: float) -> Impacts:
    """Electricity, and the share of the life of the GPUs and their part of a server that the request takes up."""
    servers = gpus / c["server_gpus"]
    embodied_kgco2e = life_share * (servers * c["server_embodied_kgco2e"] + gpus * c["gpu_embodied_kgco2e"])
    embodied_kgsbeq = life_share * (servers * c["server_embodied_kgsbeq"] + gpus * c["gpu_embodied_kgsbeq"])
    use = electricity(c, energy_kwh)
    return use._replace(
        carbon_gco2e=use.carbon_gco2e + embodied_kgco2e * 1000,
        embodied_gco2e=embodied_kgco2e * 1000,
        adpe_kgsbeq=None if use.adpe_kgsbeq is None else use.adpe_kgsbeq + embodied_kgsbeq,
    )


Chain = Callable[[TokenCounts, float], Impacts]
"""The chain of formulas at one end: from the tokens of a request and its latency [s], infinite where unknown."""


def prepared(
    method: Method, boundary: Boundary, at_min: Chain, at_max: Chain, *, is_range: bool, reasons: Mapping[str, str]
) -> Prepared:
    """The footprint between the two ends of a chain."""
    between = Quantity.range if is_range else _published_value

    def known(low: float | None, high: float | None) -> Quantity | None:
        return None if low is None or high is None else between(low, high)

    def footprint(n: Mapping[str, float]) -> Footprint:
        tokens, latency_s = TokenCounts.of(n), n.get("latency_s", inf)
        low = at_min(tokens, latency_s)
        high = at_max(tokens, latency_s)
        energy_wh = between(low.energy_wh, high.energy_wh)
        carbon_gco2e = between(low.carbon_gco2e, high.carbon_gco2e)
        return Footprint(
            method_id=method.id,
            interval=method.interval if is_range else "none",
            tier=method.tier,
            boundary=boundary,
            energy_wh=energy_wh,
            carbon_gco2e=carbon_gco2e,
            carbon_embodied_gco2e=known(low.embodied_gco2e, high.embodied_gco2e),
            adpe_kgsbeq=known(low.adpe_kgsbeq, high.adpe_kgsbeq),
            water_ml=known(low.water_ml, high.water_ml),
            water_onsite_ml=known(low.water_onsite_ml, high.water_onsite_ml),
            water_offsite_ml=known(low.water_offsite_ml, high.water_offsite_ml),
            reasons=reasons,
            energy_terms=(Term("request", energy_wh.median),),
            carbon_terms=(Term("request", carbon_gco2e.median),),
        )

    return footprint


def _published_value(low: float, high: float) -> Quantity:
    """The one value that both ends have, without a width."""
    return Quantity((low + high) / 2)
