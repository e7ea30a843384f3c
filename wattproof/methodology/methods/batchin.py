"""`batchin/token-estimate@1.0.0`: a provider's declared coefficients per token, with no interval.

BatchIn publishes header names and a renewable ratio, but no coefficient: the default profile is our interpretation and
says so. `X-Green-Energy-MWh` is read as milliwatt-hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods.activity import Activity, Intensity
from wattproof.methodology.methods.method import Constants, Method, Prepared, token_operands
from wattproof.methodology.methods.profile import Declared, assumed_profile, declared_profile, profile_operands
from wattproof.methodology.quantity import Boundary, Footprint, Operand, Quantity, Term, Workload

__all__ = ["BATCHIN"]

_FORMULA = """\
energy        = wh_per_input_token input_tokens + wh_per_output_token output_tokens           [Wh]
carbon        = energy intensity_gco2e_per_kwh / 1000                                         [gCO2e, location-based]
carbon_market = energy residual_gco2e_per_kwh (1 - renewable_ratio_bps / 10000) / 1000        [gCO2e, market-based]
cached_input_tokens count as input. The same for both boundaries: the profile does not say what it includes."""

_PROFILE_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "renewable_ratio_bps": "1e-4",
        "residual_gco2e_per_kwh": "gCO2e/kWh",
        "wh_per_input_token": "Wh/token",
        "wh_per_output_token": "Wh/token",
    }
)

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
    if min(c[name] for name in _PROFILE_UNITS) < 0 or c["renewable_ratio_bps"] > 10_000:
        raise InvalidInput("profile", "has a negative value or a ratio above 10000", "check each coefficient")
    intensity_gco2e_per_wh = c["intensity_gco2e_per_kwh"] / 1000
    market_gco2e_per_wh = c["residual_gco2e_per_kwh"] * (1 - c["renewable_ratio_bps"] / 10_000) / 1000

    def footprint(n: Mapping[str, float]) -> Footprint:
        if min(n["input_tokens"], n["output_tokens"]) < 0:
            raise InvalidInput("input_tokens", "or output_tokens is negative", "give a count")
        energy_wh = c["wh_per_input_token"] * n["input_tokens"] + c["wh_per_output_token"] * n["output_tokens"]
        carbon_gco2e = energy_wh * intensity_gco2e_per_wh
        return Footprint(
            method_id=BATCHIN.id,
            interval="none",
            tier="proxy",
            boundary=boundary,
            energy_wh=Quantity(energy_wh),
            carbon_gco2e=Quantity(carbon_gco2e),
            carbon_market_gco2e=Quantity(energy_wh * market_gco2e_per_wh),
            reasons=_REASONS,
            energy_terms=(Term("tokens", energy_wh),),
            carbon_terms=(Term("tokens", carbon_gco2e),),
        )

    return footprint


def _constants(activity: Activity) -> Constants:
    return _profile_constants(activity.intensity, declared_profile(activity))


@lru_cache(maxsize=1024)
def _profile_constants(intensity: Intensity, declared: Declared) -> Constants:
    return Constants.of(
        (
            *profile_operands(declared, _PROFILE_UNITS, "wattproof/batchin_profile.json"),
            Operand.of("intensity_gco2e_per_kwh", intensity.gco2e_per_kwh, "gCO2e/kWh", intensity.source_id),
        )
    )


BATCHIN = Method(
    id="batchin/token-estimate@1.0.0",
    aliases=("batchin/token-estimate@1", "batchin/token-estimate", "token-estimate-v1"),
    title="BatchIn token estimate",
    summary="Declared Wh per token; location- and market-based carbon. No interval is published, so none is given.",
    formula=_FORMULA,
    interval="none",
    tier="proxy",
    indicators=("energy_wh", "carbon_gco2e", "carbon_market_gco2e"),
    workloads=(Workload.CHAT, Workload.EMBEDDING, Workload.RERANK),
    sources=(
        "BatchIn OpenAPI document (https://api.batchin.tech/openapi.json): names, renewable ratio",
        "our interpretation: coefficients per token, residual intensity",
    ),
    not_covered=(
        "what the coefficients include: BatchIn does not say",
        "a discount for cached input",
        "water and resource depletion",
    ),
    operand_units=_OPERAND_UNITS,
    factor_scopes=MappingProxyType({}),
    assumed=assumed_profile,
    constants=_constants,
    variables=token_operands,
    prepare=_prepare,
)

_REASONS = MappingProxyType(
    BATCHIN.undefined("carbon_embodied_gco2e", "water_ml", "water_onsite_ml", "water_offsite_ml", "adpe_kgsbeq")
)
