"""Formula of `vetted/ladder@0.2.0`, the units of its operands, and which of them are absent together."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from wattproof.methodology.methods.impact_operands import IMPACT_UNITS
from wattproof.methodology.methods.impact_operands import OPTIONAL_OPERANDS as OPTIONAL_IMPACTS
from wattproof.methodology.methods.param_operands import ACCELERATOR_UNITS
from wattproof.methodology.pedigree import INDICATORS

__all__ = ["ACCELERATOR_GROUP", "FORMULA", "OPERAND_UNITS", "OPTIONAL_OPERANDS", "TELEMETRY_UNITS"]

FORMULA = """\
gpu     = gpu_wh      host = host_wh             idle = idle_wh                  (telemetry, audited)         [Wh]
gpu     = accelerator host = host_ratio gpu      idle = idle_ratio gpu           (proxy, parametric)          [Wh]
accelerator = generates output_tokens exp(fit_const + fit_ln_active_params ln(active_params_b)
              + fit_ln_weights ln(total_params_b bytes_per_param) + fit_ln_batch ln(batch) + fit_b200 is_b200
              + fit_long_reasoning is_long_reasoning)
            + prefill_wh_per_token_b active_params_b (input_tokens - (1 - cached_input_ratio) cached_input_tokens)
            + attention_wh_per_token2_b active_params_b^(2/3) (reach(input_tokens) - reach(cached_input_tokens))
reach(n) = max(1, n / longest_prompt_tokens) max(0, min(n, longest_prompt_tokens) - attention_free_tokens)^2
energy  = gpu                        (narrow)
        = (gpu + host + idle) pue    (comprehensive)                                                          [Wh]
machine = gpu / (rated_w accelerator_load_ratio lifetime_h), times provisioned_ratio (comprehensive)
embodied = 1000 machine accelerator_gwp_kgco2e                                        (narrow)
         = 1000 machine (accelerator_gwp_kgco2e + server_gwp_kgco2e / accelerators_per_server) (comprehensive)
carbon  = energy intensity_gco2e_per_kwh / 1000 + embodied                               [gCO2e, location-based]
carbon_market = energy market_gco2e_per_kwh / 1000 + embodied                            [gCO2e, market-based]
water   = energy wue_offsite_l_per_kwh + (gpu + host + idle) wue_onsite_l_per_kwh        (comprehensive)       [mL]
adpe    = as embodied with accelerator_adpe_kgsbeq and server_adpe_kgsbeq, without the factor 1000,
          plus energy mix_adpe_kgsbeq_per_kwh / 1000 where it is given                                  [kg Sb eq]
Every figure is log-normal around its value with the same standard deviation of the logarithm, by tier:
sigma^2 = sigma_ln_basic^2 + variance_reliability + variance_completeness + variance_temporal
          + variance_geographical + variance_technological
tier_code 1 proxy, 2 parametric, 3 telemetry, 4 audited (with opinions). samples and resolution_ms say how the energy
was metered."""

_TOKENS = ("cached_input_tokens", "input_tokens", "output_tokens")


def _without_spreads(units: Mapping[str, str]) -> dict[str, str]:
    """The tier has one spread for everything, so those of single operands are left out."""
    return {name: unit for name, unit in units.items() if not name.startswith("sigma_ln_")}


TELEMETRY_UNITS: Mapping[str, str] = MappingProxyType(
    {"gpu_wh": "Wh", "host_wh": "Wh", "idle_wh": "Wh", "resolution_ms": "ms", "samples": "1"}
)

ACCELERATOR_GROUP = frozenset(_without_spreads(ACCELERATOR_UNITS)) - set(_TOKENS)

_MODELLED = ACCELERATOR_GROUP | {"host_ratio", "idle_ratio"}

OPERAND_UNITS: Mapping[str, str] = MappingProxyType(
    {
        **_without_spreads(ACCELERATOR_UNITS),
        **{name: unit for name, unit in _without_spreads(IMPACT_UNITS).items() if name != "overhead_ratio"},
        **TELEMETRY_UNITS,
        **{f"variance_{name}": "variance of ln" for name in INDICATORS},
        "host_ratio": "1",
        "idle_ratio": "1",
        "opinions": "1",
        "sigma_ln_basic": "sd of ln",
        "tier_code": "1",
    }
)

OPTIONAL_OPERANDS = (
    _MODELLED,
    frozenset(TELEMETRY_UNITS),
    frozenset({"opinions"}),
    *(frozenset(name for name in group if name in OPERAND_UNITS) for group in OPTIONAL_IMPACTS),
)
"""Below telemetry the energy is modelled, from telemetry on it is metered; the rest is absent where it is unknown."""
