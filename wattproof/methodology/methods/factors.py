"""`factors/tokens@2026-11`: dated factors per token by tier of model, with uncertainty; tokens -> energy -> carbon.

A row is never edited: a correction is a row of a higher version that supersedes it, and the old one stays, so that a
request is counted with the factor that was valid on its day. Models map to tiers by their active parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from types import MappingProxyType

from wattproof.methodology.data import read_edition
from wattproof.methodology.errors import InvalidInput, NotDefined
from wattproof.methodology.methods.activity import Activity, Intensity
from wattproof.methodology.methods.method import Constants, Method, Prepared, token_operands
from wattproof.methodology.methods.tokens import TokenCounts
from wattproof.methodology.models import Model
from wattproof.methodology.propagate import combine
from wattproof.methodology.quantity import Boundary, Footprint, Operand, Term, Workload

__all__ = ["FACTORS", "TokenFactor", "factor_for", "model_tier", "token_factors"]

_FORMULA = """\
energy = (wh_per_1k_input (input_tokens - cached_input_tokens) + wh_per_1k_cached_input cached_input_tokens
          + wh_per_1k_output output_tokens) / 1000                                                [Wh]
carbon = energy intensity_gco2e_per_kwh / 1000                                                    [gCO2e]
The row of the model's tier that is valid on the day of the request; without a day, the row in force.
Log-normal: sigma_ln_factor on energy, sigma_ln_intensity also on carbon; independent, so the variances add up.
The same for both boundaries: the rows include host, idle and PUE."""

_OPERAND_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "cached_input_tokens": "token",
        "input_tokens": "token",
        "intensity_gco2e_per_kwh": "gCO2e/kWh",
        "output_tokens": "token",
        "sigma_ln_factor": "sd of ln",
        "sigma_ln_intensity": "sd of ln",
        "wh_per_1k_cached_input": "Wh/1e3 token",
        "wh_per_1k_input": "Wh/1e3 token",
        "wh_per_1k_output": "Wh/1e3 token",
    }
)


@dataclass(frozen=True, slots=True)
class TokenFactor:
    """Energy per 1,000 tokens at the wall for one tier of models, valid from one day until before another [Wh].

    Days are ISO dates; `valid_to` is None while the row is in force. `supersedes` names the row that it replaces.
    """

    factor_id: str
    version: int
    valid_from: str
    valid_to: str | None
    model_tier: str
    wh_per_1k_in: float
    wh_per_1k_out: float
    wh_per_1k_cached: float
    sigma_ln: float
    source: str
    supersedes: str | None

    @property
    def source_id(self) -> str:
        return f"{self.factor_id}@{self.version}"

    def valid_on(self, day: str | None) -> bool:
        """Whether the row counts on this day; without a day, whether it is in force."""
        if day is None:
            return self.valid_to is None
        return self.valid_from <= day and (self.valid_to is None or day < self.valid_to)


@cache
def token_factors() -> tuple[TokenFactor, ...]:
    """Every row of the edition, superseded ones included."""
    return tuple(TokenFactor(**row) for row in read_edition("wattproof/token_factors.json")["rows"])


def model_tier(model: Model) -> str:
    """The tier of a model: the first whose upper limit of active parameters it is below."""
    tiers = read_edition("wattproof/token_factors.json")["tiers"]
    limits = ((tier["model_tier"], tier["below_active_params_b"]) for tier in tiers)
    return next(name for name, limit_b in limits if limit_b is None or model.active_b.median < limit_b)


def factor_for(rows: Iterable[TokenFactor], tier: str, day: str | None) -> TokenFactor:
    """The row of a tier that is valid on an ISO date; of several, the highest version.

    Raises:
        NotDefined: no row of this tier was valid then.
    """
    valid = [row for row in rows if row.model_tier == tier and row.valid_on(day)]
    if not valid:
        raise NotDefined(f"{FACTORS.id} has no factor for tier {tier!r} on {day}.")
    return max(valid, key=lambda row: row.version)


def _prepare(c: Mapping[str, float], boundary: Boundary) -> Prepared:
    """The formula for one row and zone: `c` holds their constants, `n` the token counts of one request."""
    if min(c.values()) < 0:
        raise InvalidInput("operands", "have a negative value", "check each value")
    tier = _spread("model_tier", c["sigma_ln_factor"])
    grid = _spread("grid", c["sigma_ln_intensity"])

    def footprint(n: Mapping[str, float]) -> Footprint:
        tokens = TokenCounts.of(n)
        energy_wh = (
            c["wh_per_1k_input"] * tokens.fresh_input
            + c["wh_per_1k_cached_input"] * tokens.cached_input
            + c["wh_per_1k_output"] * tokens.output
        ) / 1000
        energy_terms = (Term("tokens", energy_wh, tier),)
        carbon_terms = (Term("tokens", energy_wh * c["intensity_gco2e_per_kwh"] / 1000, grid + tier),)
        return Footprint(
            method_id=FACTORS.id,
            interval="credible90",
            tier="proxy",
            boundary=boundary,
            energy_wh=combine(energy_terms),
            carbon_gco2e=combine(carbon_terms),
            reasons=_REASONS,
            energy_terms=energy_terms,
            carbon_terms=carbon_terms,
        )

    return footprint


def _spread(factor: str, sigma_ln: float) -> tuple[tuple[str, float], ...]:
    return ((factor, sigma_ln),) if sigma_ln else ()


def _constants(activity: Activity) -> Constants:
    row = factor_for(token_factors(), model_tier(activity.model), activity.requested_on)
    return _row_constants(row, activity.intensity)


@lru_cache(maxsize=1024)
def _row_constants(row: TokenFactor, intensity: Intensity) -> Constants:
    return Constants.of(
        (
            _operand("wh_per_1k_input", row.wh_per_1k_in, row.source_id),
            _operand("wh_per_1k_output", row.wh_per_1k_out, row.source_id),
            _operand("wh_per_1k_cached_input", row.wh_per_1k_cached, row.source_id),
            _operand("sigma_ln_factor", row.sigma_ln, row.source_id),
            _operand("intensity_gco2e_per_kwh", intensity.gco2e_per_kwh, intensity.source_id),
            _operand("sigma_ln_intensity", intensity.sigma_ln, intensity.source_id),
        )
    )


def _operand(name: str, number: float, source_id: str) -> Operand:
    return Operand.of(name, number, _OPERAND_UNITS[name], source_id)


def _assumed(activity: Activity) -> tuple[str, ...]:
    missing = {"model_tier": True, "batch": True, "pue": True, "requested_on": activity.requested_on is None}
    return tuple(name for name, is_missing in missing.items() if is_missing)


FACTORS = Method(
    id="factors/tokens@2026-11",
    aliases=("factors/tokens", "factors"),
    title="Dated factors per token",
    summary="Wh per 1,000 tokens of a small, medium or large model, valid on the day of the request.",
    formula=_FORMULA,
    interval="credible90",
    tier="proxy",
    indicators=("energy_wh", "carbon_gco2e"),
    workloads=(Workload.CHAT, Workload.EMBEDDING, Workload.RERANK),
    sources=("our own fit: wattproof/param@1.0.0 over the models of each tier; rows in token_factors.json",),
    not_covered=(
        "anything of a model but its tier",
        "the provider's batch, hardware and PUE",
        "long prompts: energy is proportional to tokens",
        "water, resource depletion, manufacture, training",
    ),
    operand_units=_OPERAND_UNITS,
    factor_scopes=MappingProxyType({"grid": "zone", "model_tier": "model"}),
    assumed=_assumed,
    constants=_constants,
    variables=token_operands,
    prepare=_prepare,
)

_REASONS = MappingProxyType(
    FACTORS.undefined("carbon_market_gco2e", "carbon_embodied_gco2e", "water_ml", "adpe_kgsbeq")
)
