"""What follows from the energy of the accelerators: energy at the wall, climate, water, resources, manufacture.

Every indicator is the accelerator energy of a request times one log-normal multiplier that the deployment fixes. The
factors of the multiplier and of the energy are disjoint, so the product is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from wattproof.methodology.propagate import LogNormal, match
from wattproof.methodology.quantity import Boundary, Term

__all__ = ["IMPACT_FORMULA", "Multipliers", "multipliers", "wall_factors", "why_null"]

IMPACT_FORMULA = """\
wall    = 1                      (narrow)
        = overhead_ratio pue     (comprehensive)
energy  = wall accelerator                                                                            [Wh]
carbon  = energy intensity_gco2e_per_kwh / 1000                                                       [gCO2e, location]
carbon_market = energy market_gco2e_per_kwh / 1000                                                    [gCO2e, market]
water_onsite  = overhead_ratio accelerator wue_onsite_l_per_kwh     (comprehensive)                   [mL]
water_offsite = energy wue_offsite_l_per_kwh                        (comprehensive)                   [mL]
water   = water_onsite + water_offsite                                                                [mL]
machine = accelerator / (rated_w accelerator_load_ratio lifetime_h)        (narrow), times
          provisioned_ratio                                                (comprehensive)            [share of a life]
carbon_embodied = 1000 machine accelerator_gwp_kgco2e                                        (narrow)
                = 1000 machine (accelerator_gwp_kgco2e + server_gwp_kgco2e / accelerators_per_server) (comprehensive)
                                                                       [gCO2e, beside carbon, not in it]
adpe    = machine accelerator_adpe_kgsbeq                                                    (narrow)
        = machine (accelerator_adpe_kgsbeq + server_adpe_kgsbeq / accelerators_per_server)   (comprehensive),
          plus energy mix_adpe_kgsbeq_per_kwh / 1000 where it is given                                [kg Sb eq]
More independent log-normal factors, by indicator: wall sigma_ln_overhead and sigma_ln_pue (comprehensive);
carbon sigma_ln_intensity; water sigma_ln_wue_onsite, sigma_ln_wue_offsite; machine sigma_ln_accelerator_load,
sigma_ln_lifetime, and sigma_ln_provisioned (comprehensive); manufacture sigma_ln_accelerator_gwp, sigma_ln_server_gwp,
sigma_ln_accelerator_adpe, sigma_ln_server_adpe; electricity sigma_ln_mix_adpe.
Factors of the same name are shared. Each sum is matched by one log-normal (Fenton-Wilkinson): median and 5 to 95 %."""

_NARROW_WATER = "not within the narrow boundary: cooling serves the whole data centre"


class Multipliers(NamedTuple):
    """Each indicator per Wh of accelerator energy, in the unit of the footprint's field; None where it is unknown."""

    energy: LogNormal
    carbon: LogNormal
    carbon_market: LogNormal | None
    carbon_embodied: LogNormal | None
    water: LogNormal | None
    water_onsite: LogNormal | None
    water_offsite: LogNormal | None
    adpe: LogNormal | None


def wall_factors(n: Mapping[str, float], boundary: Boundary) -> dict[str, float]:
    """The uncertain factors between accelerator and wall: none within the narrow boundary."""
    return {"overhead": n["sigma_ln_overhead"], "pue": n["sigma_ln_pue"]} if boundary == "comprehensive" else {}


def multipliers(n: Mapping[str, float], boundary: Boundary) -> Multipliers:
    """The multipliers at the numbers `n` of a deployment's operands."""
    factors = wall_factors(n, boundary)
    wall = n["overhead_ratio"] * n["pue"] if boundary == "comprehensive" else 1.0
    market = n.get("market_gco2e_per_kwh")
    onsite, offsite = _water(n, boundary)
    return Multipliers(
        energy=_matched([_term(wall, **factors)]),
        carbon=_matched([_term(wall * n["intensity_gco2e_per_kwh"] / 1000, grid=n["sigma_ln_intensity"], **factors)]),
        carbon_market=None if market is None else _matched([_term(wall * market / 1000, **factors)]),
        carbon_embodied=_matched(_manufacture(n, boundary, "gwp_kgco2e", 1000.0)) if "rated_w" in n else None,
        water=_matched([onsite, offsite]) if onsite and offsite else None,
        water_onsite=_matched([onsite]) if onsite else None,
        water_offsite=_matched([offsite]) if offsite else None,
        adpe=_adpe(n, boundary, wall),
    )


def why_null(found: Multipliers, boundary: Boundary) -> Mapping[str, str]:
    """The reason for every indicator that is null."""
    unknown_hardware = "no published manufacture figure for this hardware"
    narrow = boundary == "narrow"
    reasons = {
        "carbon_market_gco2e": (found.carbon_market, "no instrument"),
        "carbon_embodied_gco2e": (found.carbon_embodied, unknown_hardware),
        "water_ml": (found.water, _NARROW_WATER if narrow else "no WUE"),
        "water_onsite_ml": (found.water_onsite, _NARROW_WATER if narrow else "no on-site WUE"),
        "water_offsite_ml": (found.water_offsite, _NARROW_WATER if narrow else "no off-site WUE"),
        "adpe_kgsbeq": (found.adpe, unknown_hardware),
    }
    return MappingProxyType({name: reason for name, (value, reason) in reasons.items() if value is None})


def _water(n: Mapping[str, float], boundary: Boundary) -> tuple[Term | None, Term | None]:
    """On-site water per kWh of IT energy, off-site water per kWh at the wall [mL/Wh]."""
    if boundary == "narrow":
        return None, None
    onsite, offsite = n.get("wue_onsite_l_per_kwh"), n.get("wue_offsite_l_per_kwh")
    it, pue = n["overhead_ratio"], n["pue"]
    overhead = n["sigma_ln_overhead"]
    return (
        None if onsite is None else _term(it * onsite, overhead=overhead, wue_onsite=n["sigma_ln_wue_onsite"]),
        None
        if offsite is None
        else _term(it * pue * offsite, overhead=overhead, pue=n["sigma_ln_pue"], wue_offsite=n["sigma_ln_wue_offsite"]),
    )


def _adpe(n: Mapping[str, float], boundary: Boundary, wall: float) -> LogNormal | None:
    """Manufacture, and the electricity where its factor is known; None where the hardware is not listed."""
    if "rated_w" not in n:
        return None
    parts = _manufacture(n, boundary, "adpe_kgsbeq", 1.0)
    mix = n.get("mix_adpe_kgsbeq_per_kwh")
    if mix is not None:
        factors = wall_factors(n, boundary)
        parts.append(_term(wall * mix / 1000, mix_adpe=n["sigma_ln_mix_adpe"], **factors))
    return _matched(parts)


def _manufacture(n: Mapping[str, float], boundary: Boundary, impact: str, unit: float) -> list[Term]:
    """The share of making accelerator and server per Wh of accelerator energy.

    Machine time follows from energy over the mean power of a serving accelerator, and is a share of the machine's life.
    """
    machine = unit / (n["rated_w"] * n["accelerator_load_ratio"] * n["lifetime_h"])
    kind = impact.partition("_")[0]
    factors = {"accelerator_load": n["sigma_ln_accelerator_load"], "lifetime": n["sigma_ln_lifetime"]}
    accelerator_factors = {f"accelerator_{kind}": n[f"sigma_ln_accelerator_{kind}"]}
    if boundary == "narrow":
        return [_term(machine * n[f"accelerator_{impact}"], **factors, **accelerator_factors)]
    machine *= n["provisioned_ratio"]
    factors["provisioned"] = n["sigma_ln_provisioned"]
    server_factors = {f"server_{kind}": n[f"sigma_ln_server_{kind}"]}
    server = n[f"server_{impact}"] / n["accelerators_per_server"]
    return [
        _term(machine * n[f"accelerator_{impact}"], **factors, **accelerator_factors),
        _term(machine * server, **factors, **server_factors),
    ]


def _term(median: float, **factors: float) -> Term:
    return Term("", median, tuple(sorted((factor, sigma) for factor, sigma in factors.items() if sigma)))


def _matched(terms: Iterable[Term]) -> LogNormal:
    return match(tuple(terms))
