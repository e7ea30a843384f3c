"""`melious/measured-token@1.0.0`: a provider's energy per token, its PUE, the grid and its water per kWh.

Melious publishes the formula and the fields of a record, but no coefficient: the default profile is our interpretation
and says so. Source: Melious' documentation of `environment_impact`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods.activity import Activity, Intensity
from wattproof.methodology.methods.method import Constants, Method, Prepared, token_operands
from wattproof.methodology.methods.profile import Declared, assumed_profile, declared_profile, profile_operands
from wattproof.methodology.methods.tokens import TokenCounts
from wattproof.methodology.quantity import Boundary, Footprint, Operand, Quantity, Term, Workload

__all__ = ["MELIOUS"]

_FORMULA = """\
it     = kwh_per_input_token input_tokens + kwh_per_output_token output_tokens                    [kWh]
energy = it pue (comprehensive)  or  it (narrow)                                                  [kWh]
carbon = energy intensity_gco2e_per_kwh                                                           [gCO2e]
water  = energy wue_l_per_kwh     where wue_base_it = 0: per kWh at the wall                      [L, on-site]
       = it wue_l_per_kwh         where wue_base_it = 1: per kWh of IT energy
cached_input_tokens count as input. Water is outside the narrow boundary."""

_PROFILE_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "kwh_per_input_token": "kWh/token",
        "kwh_per_output_token": "kWh/token",
        "pue": "1",
        "wue_base_it": "1",
        "wue_l_per_kwh": "L/kWh",
    }
)
_DEFAULTS: Mapping[str, float] = MappingProxyType({"wue_base_it": 0.0})

_OPERAND_UNITS: Mapping[str, str] = MappingProxyType(
    {
        **_PROFILE_UNITS,
        "cached_input_tokens": "token",
        "input_tokens": "token",
        "intensity_gco2e_per_kwh": "gCO2e/kWh",
        "output_tokens": "token",
    }
)


def _prepare(c: Mapping[str, float], boundary: Boundary) -> Prepared:
    """The formula for one profile and zone: `c` holds their constants, `n` the token counts of one request."""
    _require_sane(c)
    pue = c["pue"] if boundary == "comprehensive" else 1.0
    wue_l_per_it_kwh = c["wue_l_per_kwh"] if c["wue_base_it"] else c["wue_l_per_kwh"] * pue

    def footprint(n: Mapping[str, float]) -> Footprint:
        tokens = TokenCounts.of(n)
        it_kwh = c["kwh_per_input_token"] * tokens.input + c["kwh_per_output_token"] * tokens.output
        energy_kwh = it_kwh * pue
        carbon_gco2e = energy_kwh * c["intensity_gco2e_per_kwh"]
        water_ml = Quantity(it_kwh * wue_l_per_it_kwh * 1000) if boundary == "comprehensive" else None
        return Footprint(
            method_id=MELIOUS.id,
            interval="none",
            tier="proxy",
            boundary=boundary,
            energy_wh=Quantity(energy_kwh * 1000),
            carbon_gco2e=Quantity(carbon_gco2e),
            water_ml=water_ml,
            water_onsite_ml=water_ml,
            reasons=_REASONS[boundary],
            energy_terms=(Term("tokens", energy_kwh * 1000),),
            carbon_terms=(Term("tokens", carbon_gco2e),),
        )

    return footprint


def _require_sane(c: Mapping[str, float]) -> None:
    if min(c[name] for name in _PROFILE_UNITS) < 0:
        raise InvalidInput("profile", "has a negative value", "check each coefficient")
    if c["pue"] < 1:
        raise InvalidInput("profile.pue", f"is {c['pue']!r}", "give a number >= 1")
    if c["wue_base_it"] not in (0, 1):
        raise InvalidInput("profile.wue_base_it", f"is {c['wue_base_it']!r}", "give 0 (facility) or 1 (IT)")


def _constants(activity: Activity) -> Constants:
    return _profile_constants(activity.intensity, declared_profile(activity))


@lru_cache(maxsize=1024)
def _profile_constants(intensity: Intensity, declared: Declared) -> Constants:
    return Constants.of(
        (
            *profile_operands(declared, _PROFILE_UNITS, "wattproof/melious_profile.json", _DEFAULTS),
            Operand.of("intensity_gco2e_per_kwh", intensity.gco2e_per_kwh, "gCO2e/kWh", intensity.source_id),
        )
    )


MELIOUS = Method(
    id="melious/measured-token@1.0.0",
    aliases=("melious/measured-token@1", "melious/measured-token", "melious"),
    title="Melious energy per token",
    summary="Energy per token as a provider states it x PUE; water per kWh. Melious publishes no interval.",
    formula=_FORMULA,
    interval="none",
    tier="proxy",
    indicators=("energy_wh", "carbon_gco2e", "water_ml"),
    workloads=(Workload.CHAT, Workload.EMBEDDING, Workload.RERANK),
    sources=(
        "Melious documentation of environment_impact: formula and fields",
        "our interpretation: energy per token; PUE and water of the published sample",
    ),
    not_covered=(
        "the width of the error: none is published",
        "a discount for cached input",
        "water of electricity, manufacture of the hardware, resource depletion",
        "training, network and the user's device",
    ),
    operand_units=_OPERAND_UNITS,
    factor_scopes=MappingProxyType({}),
    assumed=assumed_profile,
    constants=_constants,
    variables=token_operands,
    prepare=_prepare,
)

_UNDEFINED = ("carbon_market_gco2e", "carbon_embodied_gco2e", "adpe_kgsbeq", "water_offsite_ml")
_OUTSIDE_NARROW = dict.fromkeys(("water_ml", "water_onsite_ml"), "outside the narrow boundary")
_REASONS: Mapping[Boundary, Mapping[str, str]] = MappingProxyType(
    {
        "comprehensive": MappingProxyType(MELIOUS.undefined(*_UNDEFINED)),
        "narrow": MappingProxyType(MELIOUS.undefined(*_UNDEFINED) | _OUTSIDE_NARROW),
    }
)
