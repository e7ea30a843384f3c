"""Operands between the energy of the accelerators and each indicator, and where each comes from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from wattproof.methodology.hardware import ASSUMED_ACCELERATOR, find_accelerator, server
from wattproof.methodology.methods.activity import Intensity
from wattproof.methodology.methods.method import factor_operand
from wattproof.methodology.quantity import Operand

__all__ = [
    "IMPACT_UNITS",
    "OPTIONAL_OPERANDS",
    "grid_operands",
    "manufacture_operands",
    "market_operands",
    "mix_operands",
    "pue_operands",
    "water_operands",
]

_MANUFACTURE_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "accelerator_adpe_kgsbeq": "kg Sb eq",
        "accelerator_gwp_kgco2e": "kgCO2e",
        "accelerator_load_ratio": "1",
        "accelerators_per_server": "1",
        "lifetime_h": "h",
        "provisioned_ratio": "1",
        "rated_w": "W",
        "server_adpe_kgsbeq": "kg Sb eq",
        "server_gwp_kgco2e": "kgCO2e",
        "sigma_ln_accelerator_adpe": "sd of ln",
        "sigma_ln_accelerator_gwp": "sd of ln",
        "sigma_ln_accelerator_load": "sd of ln",
        "sigma_ln_lifetime": "sd of ln",
        "sigma_ln_provisioned": "sd of ln",
        "sigma_ln_server_adpe": "sd of ln",
        "sigma_ln_server_gwp": "sd of ln",
    }
)

IMPACT_UNITS: Mapping[str, str] = MappingProxyType(
    {
        **_MANUFACTURE_UNITS,
        "intensity_gco2e_per_kwh": "gCO2e/kWh",
        "market_gco2e_per_kwh": "gCO2e/kWh",
        "mix_adpe_kgsbeq_per_kwh": "kg Sb eq/kWh",
        "overhead_ratio": "1",
        "pue": "1",
        "sigma_ln_intensity": "sd of ln",
        "sigma_ln_mix_adpe": "sd of ln",
        "sigma_ln_overhead": "sd of ln",
        "sigma_ln_pue": "sd of ln",
        "sigma_ln_wue_offsite": "sd of ln",
        "sigma_ln_wue_onsite": "sd of ln",
        "wue_offsite_l_per_kwh": "L/kWh",
        "wue_onsite_l_per_kwh": "L/kWh",
    }
)

OPTIONAL_OPERANDS = (
    frozenset({"market_gco2e_per_kwh"}),
    frozenset({"mix_adpe_kgsbeq_per_kwh", "sigma_ln_mix_adpe"}),
    frozenset({"sigma_ln_wue_onsite", "wue_onsite_l_per_kwh"}),
    frozenset({"sigma_ln_wue_offsite", "wue_offsite_l_per_kwh"}),
    frozenset(_MANUFACTURE_UNITS),
)
"""Absent where nobody knows them: the instrument, the resources of the electricity, water, an unlisted accelerator."""


def grid_operands(intensity: Intensity) -> tuple[Operand, ...]:
    """The electricity's carbon intensity and its spread."""
    return (
        _operand("intensity_gco2e_per_kwh", intensity.gco2e_per_kwh, intensity.source_id),
        _operand("sigma_ln_intensity", intensity.sigma_ln, intensity.source_id),
    )


def pue_operands(pue: float | None, pue_source: str | None) -> tuple[Operand, ...]:
    """PUE as stated, or assumed with a wider spread."""
    if pue is None:
        return _assumption("pue"), _assumption("sigma_ln_pue", "sigma_ln_pue_assumed")
    return _operand("pue", pue, pue_source or "caller"), _assumption("sigma_ln_pue", "sigma_ln_pue_stated")


def market_operands(market_gco2e_per_kwh: float | None, instrument_id: str | None) -> tuple[Operand, ...]:
    """What a contractual instrument declares; its id is the source."""
    if market_gco2e_per_kwh is None or instrument_id is None:
        return ()
    return (_operand("market_gco2e_per_kwh", market_gco2e_per_kwh, instrument_id),)


def mix_operands(mix_adpe_kgsbeq_per_kwh: float | None) -> tuple[Operand, ...]:
    """Resource depletion of the electricity, where the caller knows it."""
    if mix_adpe_kgsbeq_per_kwh is None:
        return ()
    return _operand("mix_adpe_kgsbeq_per_kwh", mix_adpe_kgsbeq_per_kwh, "caller"), _assumption("sigma_ln_mix_adpe")


def water_operands(
    wue_onsite_l_per_kwh: float | None, wue_offsite_l_per_kwh: float | None, wue_source: str | None
) -> tuple[Operand, ...]:
    """On-site and off-site water per kWh, each where it is known."""
    known = {"wue_onsite": wue_onsite_l_per_kwh, "wue_offsite": wue_offsite_l_per_kwh}
    return tuple(
        operand
        for name, litres in known.items()
        if litres is not None
        for operand in (
            _operand(f"{name}_l_per_kwh", litres, wue_source or "caller"),
            _assumption(f"sigma_ln_{name}"),
        )
    )


@cache
def manufacture_operands(hardware: str | None) -> tuple[Operand, ...]:
    """What making the hardware took, and what share of it is used up; nothing for hardware without a row."""
    row = find_accelerator(hardware or ASSUMED_ACCELERATOR)
    if row is None:
        return ()
    box = server()
    figures = (
        ("rated_w", row.rated_w, row.rated_w_source_id),
        ("accelerator_gwp_kgco2e", row.made.gwp_kgco2e, row.made.source_id),
        ("sigma_ln_accelerator_gwp", row.made.sigma_ln_gwp, row.made.source_id),
        ("accelerator_adpe_kgsbeq", row.made.adpe_kgsbeq, row.made.source_id),
        ("sigma_ln_accelerator_adpe", row.made.sigma_ln_adpe, row.made.source_id),
        ("server_gwp_kgco2e", box.made.gwp_kgco2e, box.made.source_id),
        ("sigma_ln_server_gwp", box.made.sigma_ln_gwp, box.made.source_id),
        ("server_adpe_kgsbeq", box.made.adpe_kgsbeq, box.made.source_id),
        ("sigma_ln_server_adpe", box.made.sigma_ln_adpe, box.made.source_id),
        ("accelerators_per_server", box.accelerators_per_server, box.made.source_id),
    )
    assumptions = (
        "accelerator_load_ratio",
        "lifetime_h",
        "provisioned_ratio",
        "sigma_ln_accelerator_load",
        "sigma_ln_lifetime",
        "sigma_ln_provisioned",
    )
    return (*(_operand(*figure) for figure in figures), *(_assumption(name) for name in assumptions))


def _operand(name: str, number: float, source_id: str) -> Operand:
    return Operand.of(name, number, IMPACT_UNITS[name], source_id)


def _assumption(name: str, factor: str | None = None) -> Operand:
    return factor_operand(name, IMPACT_UNITS[name], factor)
