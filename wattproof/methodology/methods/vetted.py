"""`vetted/ladder@0.2.0`: the four tiers of Vetted Inference, from a proxy to `telemetry` and `audited`.

The tier follows from what is known: supplied meter samples, or the batch and the hardware, or neither. `audited` is
telemetry with an assurance opinion that the caller names; nothing computes it. Vetted publishes tiers, boundaries,
pedigree scores and intervals, but no coefficients: accelerator energy below telemetry and the share of manufacture are
ours, as in `wattproof/param`, and the width of a tier is that of its published interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from wattproof.methodology.data import read_edition
from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods.accelerator import AcceleratorRates, accelerator_rates
from wattproof.methodology.methods.activity import Activity, Telemetry
from wattproof.methodology.methods.impact_operands import (
    grid_operands,
    manufacture_operands,
    market_operands,
    mix_operands,
    pue_operands,
    water_operands,
)
from wattproof.methodology.methods.method import Constants, FactorScope, Method, Prepared, token_operands
from wattproof.methodology.methods.param_operands import Deployed, accelerator_operands, assumed, deployed
from wattproof.methodology.methods.vetted_definition import (
    ACCELERATOR_GROUP,
    FORMULA,
    OPERAND_UNITS,
    OPTIONAL_OPERANDS,
    TELEMETRY_UNITS,
)
from wattproof.methodology.pedigree import INDICATORS, variances
from wattproof.methodology.propagate import LogNormal
from wattproof.methodology.quantity import Boundary, Footprint, Operand, Quantity, Term, Tier, Workload

__all__ = ["VETTED"]

_TIERS: tuple[Tier, ...] = ("proxy", "parametric", "telemetry", "audited")
_FACTOR_SCOPES: Mapping[str, FactorScope] = MappingProxyType(
    {"proxy": "model", "parametric": "model", "telemetry": "provider", "audited": "provider"}
)
_NARROW = "not within the narrow boundary"


class _Energy(NamedTuple):
    """Accelerator energy, energy of the IT equipment, and energy at the wall within the boundary [Wh]."""

    gpu: float
    it: float
    wall: float


def _with(embodied_g: float | None, wall_wh: float, gco2e_per_kwh: float | None) -> float | None:
    """Electricity and manufacture together [gCO2e]; None where either is unknown."""
    return None if embodied_g is None or gco2e_per_kwh is None else wall_wh * gco2e_per_kwh / 1000 + embodied_g


class _Rates(NamedTuple):
    """The formula for one deployment and boundary."""

    c: Mapping[str, float]
    boundary: Boundary
    accelerator: AcceleratorRates | None
    sigma_ln: float

    def footprint(self, n: Mapping[str, float]) -> Footprint:
        """The footprint of the request with the token counts and samples `n`."""
        c, tier = self.c, _TIERS[int(self.c["tier_code"]) - 1]
        energy = self._energy(n)
        embodied_g = self._manufacture(energy.gpu, "gwp_kgco2e", 1000.0)
        made_kgsbeq = self._manufacture(energy.gpu, "adpe_kgsbeq", 1.0)
        carbon_g = _with(embodied_g, energy.wall, c["intensity_gco2e_per_kwh"])
        onsite, offsite = self._water(energy)
        quantity = self._quantity
        found = {
            "carbon_gco2e": quantity(carbon_g),
            "carbon_market_gco2e": quantity(_with(embodied_g, energy.wall, c.get("market_gco2e_per_kwh"))),
            "carbon_embodied_gco2e": quantity(embodied_g),
            "water_onsite_ml": quantity(onsite),
            "water_offsite_ml": quantity(offsite),
            "water_ml": quantity(None if onsite is None or offsite is None else onsite + offsite),
            "adpe_kgsbeq": quantity(
                None
                if made_kgsbeq is None
                else made_kgsbeq + energy.wall * c.get("mix_adpe_kgsbeq_per_kwh", 0.0) / 1000
            ),
        }
        loadings = ((tier, self.sigma_ln),)
        return Footprint(
            method_id=VETTED.id,
            interval="credible90",
            tier=tier,
            boundary=self.boundary,
            energy_wh=quantity(energy.wall),
            reasons=MappingProxyType({name: self._why(name) for name, amount in found.items() if amount is None}),
            energy_terms=(Term("request", energy.wall, loadings),) if energy.wall else (),
            carbon_terms=(Term("request", carbon_g, loadings),) if energy.wall and carbon_g is not None else (),
            **found,
        )

    def _energy(self, n: Mapping[str, float]) -> _Energy:
        tokens = n["input_tokens"], n["cached_input_tokens"], n["output_tokens"]
        if self.accelerator is None:
            if "gpu_wh" not in n or ("opinions" in n) != (self.c["tier_code"] == 4):
                raise InvalidInput("tier_code", "does not fit the other operands", "give those of its tier")
            if not (tokens[0] >= tokens[1] >= 0 <= tokens[2]) or min(n["gpu_wh"], n["host_wh"], n["idle_wh"]) < 0:
                raise InvalidInput("input_tokens", "or a sample is negative", "cached input is a part of input")
            gpu, it = n["gpu_wh"], n["gpu_wh"] + n["host_wh"] + n["idle_wh"]
        else:
            gpu = sum(self.accelerator.terms_wh(*tokens))
            it = gpu * (1.0 + self.c["host_ratio"] + self.c["idle_ratio"])
        return _Energy(gpu, it, gpu if self.boundary == "narrow" else it * self.c["pue"])

    def _manufacture(self, gpu_wh: float, impact: str, unit: float) -> float | None:
        c = self.c
        if "rated_w" not in c:
            return None
        machine = unit * gpu_wh / (c["rated_w"] * c["accelerator_load_ratio"] * c["lifetime_h"])
        if self.boundary == "narrow":
            return machine * c[f"accelerator_{impact}"]
        server = c[f"server_{impact}"] / c["accelerators_per_server"]
        return machine * c["provisioned_ratio"] * (c[f"accelerator_{impact}"] + server)

    def _water(self, energy: _Energy) -> tuple[float | None, float | None]:
        if self.boundary == "narrow":
            return None, None
        onsite, offsite = self.c.get("wue_onsite_l_per_kwh"), self.c.get("wue_offsite_l_per_kwh")
        return (
            None if onsite is None else energy.it * onsite,
            None if offsite is None else energy.wall * offsite,
        )

    def _quantity(self, median: float | None) -> Quantity | None:
        return None if median is None else LogNormal(median, self.sigma_ln).quantity()

    def _why(self, indicator: str) -> str:
        if indicator.startswith("water"):
            return _NARROW if self.boundary == "narrow" else "no WUE"
        if indicator == "carbon_market_gco2e" and "market_gco2e_per_kwh" not in self.c:
            return "no instrument"
        return "no published manufacture figure for this hardware"


def _prepare(c: Mapping[str, float], boundary: Boundary) -> Prepared:
    """The formula for one deployment: `c` holds its constants, `n` the token counts and samples of one request."""
    if c["tier_code"] not in (1, 2, 3, 4):
        raise InvalidInput("tier_code", f"is {c['tier_code']}", "give 1, 2, 3 or 4")
    metered = c["tier_code"] >= 3
    if metered == ("fit_const" in c):
        raise InvalidInput("tier_code", "does not fit the other operands", "give those of its tier")
    pedigree = math.fsum(c[f"variance_{name}"] for name in INDICATORS)
    sigma_ln = math.sqrt(c["sigma_ln_basic"] ** 2 + pedigree)
    return _Rates(c, boundary, None if metered else accelerator_rates(c), sigma_ln).footprint


def _tier(activity: Activity) -> Tier:
    if activity.samples is None:
        if activity.opinion_ref is not None:
            fix = "give the metered samples that the opinion is about"
            raise InvalidInput("opinion_ref", "is given without samples", fix)
        known = activity.batch is not None and activity.hardware is not None
        return "parametric" if known else "proxy"
    return "telemetry" if activity.opinion_ref is None else "audited"


def _constants(activity: Activity) -> Constants:
    return _deployment_constants(deployed(activity), _tier(activity))


@lru_cache(maxsize=1024)
def _deployment_constants(d: Deployed, tier: Tier) -> Constants:
    metered = tier in ("telemetry", "audited")
    return Constants.of(
        (
            *_tier_operands(tier),
            *(() if metered else (*_modelled_operands(d), *_share_operands())),
            *(operand for operand in pue_operands(d.pue, d.pue_source) if operand.name == "pue"),
            *(operand for operand in grid_operands(d.intensity) if operand.name in OPERAND_UNITS),
            *market_operands(d.market_gco2e_per_kwh, d.instrument_id),
            *(operand for operand in mix_operands(d.mix_adpe_kgsbeq_per_kwh) if operand.name in OPERAND_UNITS),
            *(
                operand
                for operand in water_operands(d.wue_onsite_l_per_kwh, d.wue_offsite_l_per_kwh, d.wue_source)
                if operand.name in OPERAND_UNITS
            ),
            *(operand for operand in manufacture_operands(d.hardware) if operand.name in OPERAND_UNITS),
        )
    )


def _modelled_operands(d: Deployed) -> tuple[Operand, ...]:
    """The operands of accelerator energy without their spreads: the tier has one of its own."""
    return tuple(operand for operand in accelerator_operands(d) if operand.name in ACCELERATOR_GROUP)


def _tier_operands(tier: Tier) -> tuple[Operand, ...]:
    ladder = read_edition("wattproof/ladder.json")
    row, source_id = ladder["tiers"]["telemetry" if tier == "audited" else tier], ladder["source_id"]
    table = variances(row["pedigree"], ladder["pedigree_table"])
    pedigree_id = read_edition("wattproof/pedigree.json")["source_id"]
    return (
        _operand("tier_code", _TIERS.index(tier) + 1, source_id),
        _operand("sigma_ln_basic", row["sigma_ln_basic"], source_id),
        *(_operand(f"variance_{name}", variance, pedigree_id) for name, variance in table.items()),
    )


def _share_operands() -> tuple[Operand, ...]:
    ladder = read_edition("wattproof/ladder.json")
    return tuple(_operand(name, row["value"], ladder["source_id"]) for name, row in ladder["shares"].items())


def _variables(activity: Activity) -> tuple[Operand, ...]:
    tokens, samples = token_operands(activity), activity.samples
    if samples is None:
        return tokens
    opinion = () if activity.opinion_ref is None else (_operand("opinions", 1, activity.opinion_ref),)
    return (*tokens, *_telemetry_operands(samples), *opinion)


def _telemetry_operands(samples: Telemetry) -> tuple[Operand, ...]:
    return tuple(_operand(name, getattr(samples, name), "meter samples") for name in TELEMETRY_UNITS)


def _operand(name: str, number: float, source_id: str) -> Operand:
    return Operand.of(name, number, OPERAND_UNITS[name], source_id)


def _assumed(activity: Activity) -> tuple[str, ...]:
    names = assumed(activity)
    return names if activity.samples is None else tuple(name for name in names if name == "pue")


VETTED = Method(
    id="vetted/ladder@0.2.0",
    aliases=("vetted/ladder@0.2", "vetted/ladder", "vetted"),
    title="Vetted Inference's ladder of evidence",
    summary="Proxy, parametric, telemetry and audited tiers with pedigree scores; carbon includes the share of making "
    "the hardware. Our interpretation: no coefficient is published.",
    formula=FORMULA,
    interval="credible90",
    tier="parametric",
    indicators=(
        "energy_wh",
        "carbon_gco2e",
        "carbon_market_gco2e",
        "carbon_embodied_gco2e",
        "water_ml",
        "water_onsite_ml",
        "water_offsite_ml",
        "adpe_kgsbeq",
    ),
    workloads=(Workload.CHAT, Workload.EMBEDDING, Workload.RERANK),
    sources=(
        "Vetted Inference, methodology 0.2.0: tiers, boundaries, pedigree scores, published intervals",
        "pedigree table ecoinvent-v3 (Weidema et al. 2013), with an explicit basic uncertainty",
        "our interpretation: accelerator energy below telemetry and the share of manufacture, as in wattproof/param",
    ),
    not_covered=(
        "training and fine-tuning",
        "scarcity of water: the published ladder weights litres by region",
        "recalibration of a tier against meters",
        "the published ratio of the boundaries, 0.40 to 0.45: ours follows from host, idle and PUE",
    ),
    operand_units=OPERAND_UNITS,
    factor_scopes=_FACTOR_SCOPES,
    assumed=_assumed,
    constants=_constants,
    variables=_variables,
    prepare=_prepare,
    embodied_included=True,
    optional_operands=OPTIONAL_OPERANDS,
)
