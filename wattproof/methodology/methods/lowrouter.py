"""`lowrouter/ecologits@0.4-2026-01`: LowRouter's energy per token, the single-GPU term of EcoLogits 0.4.

LowRouter's pages contradict each other: the coefficients are per output token on one, multiplied by total tokens on
three others. Records of theirs follow the latter, which is the default; the profile `{"token_basis_output": 1}` gives
the former. Source: LowRouter methodology v0.4-2026-01.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from wattproof.methodology.data import read_edition
from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods.activity import Activity, Intensity
from wattproof.methodology.methods.ecologits_registry import registered, registry_caveats
from wattproof.methodology.methods.method import Constants, Method, Prepared, token_operands
from wattproof.methodology.methods.tokens import TokenCounts
from wattproof.methodology.models import Model
from wattproof.methodology.quantity import Boundary, Footprint, Operand, Quantity, Term, Workload

__all__ = ["LOWROUTER"]

_REGISTRY = "ecologits/models_0.4.0.json"

_FORMULA = """\
tokens = input_tokens + output_tokens     where token_basis_output = 0
       = output_tokens                    where token_basis_output = 1
energy = tokens (alpha active_params_b + beta)                                                    [Wh]
carbon = energy intensity_gco2e_per_kwh / 1000                                                    [gCO2e]
active_params_b is the arithmetic middle of the range that EcoLogits 0.4.0 lists, else this edition's median.
cached_input_tokens count as input. The same for both boundaries: one GPU, without server, other GPUs and PUE."""

_OPERAND_UNITS: Mapping[str, str] = MappingProxyType(
    {
        "active_params_b": "1e9 parameters",
        "alpha": "Wh/token/1e9 active parameters",
        "beta": "Wh/token",
        "cached_input_tokens": "token",
        "input_tokens": "token",
        "intensity_gco2e_per_kwh": "gCO2e/kWh",
        "output_tokens": "token",
        "token_basis_output": "1",
    }
)


def _prepare(c: Mapping[str, float], boundary: Boundary) -> Prepared:
    """The formula for one model and zone: `c` holds their constants, `n` the token counts of one request."""
    if min(c.values()) < 0:
        raise InvalidInput("operands", "have a negative value", "check each value")
    if c["token_basis_output"] not in (0, 1):
        raise InvalidInput("profile.token_basis_output", f"is {c['token_basis_output']!r}", "give 0 or 1")
    wh_per_token = c["alpha"] * c["active_params_b"] + c["beta"]

    def footprint(n: Mapping[str, float]) -> Footprint:
        tokens = TokenCounts.of(n)
        energy_wh = (tokens.output if c["token_basis_output"] else tokens.total) * wh_per_token
        carbon_gco2e = energy_wh * c["intensity_gco2e_per_kwh"] / 1000
        return Footprint(
            method_id=LOWROUTER.id,
            interval="none",
            tier="proxy",
            boundary=boundary,
            energy_wh=Quantity(energy_wh),
            carbon_gco2e=Quantity(carbon_gco2e),
            reasons=_REASONS,
            energy_terms=(Term("tokens", energy_wh),),
            carbon_terms=(Term("tokens", carbon_gco2e),),
        )

    return footprint


def _constants(activity: Activity) -> Constants:
    profile = activity.profile or {}
    if profile.keys() - {"token_basis_output"}:
        raise InvalidInput("profile", f"has the fields {', '.join(sorted(profile))}", "give token_basis_output")
    return _model_constants(activity.model, activity.intensity, profile.get("token_basis_output", 0.0))


@lru_cache(maxsize=1024)
def _model_constants(model: Model, intensity: Intensity, token_basis_output: float) -> Constants:
    row, edition = registered(_REGISTRY, model), read_edition("wattproof/lowrouter.json")
    active_b = sum(row.active_b) / 2 if row.listed else model.active_b.median
    basis_source = "caller" if token_basis_output else edition["source_id"]
    return Constants.of(
        (
            *(_operand(name, edition["constants"][name]["value"], edition["source_id"]) for name in ("alpha", "beta")),
            _operand("active_params_b", active_b, row.source_id),
            _operand("intensity_gco2e_per_kwh", intensity.gco2e_per_kwh, intensity.source_id),
            _operand("token_basis_output", token_basis_output, basis_source),
        )
    )


def _operand(name: str, number: float, source_id: str) -> Operand:
    return Operand.of(name, number, _OPERAND_UNITS[name], source_id)


def _assumed(activity: Activity) -> tuple[str, ...]:
    missing = {
        "weights": not activity.model.open_weights,
        "token_basis": "token_basis_output" not in (activity.profile or {}),
    }
    return tuple(name for name, is_missing in missing.items() if is_missing)


def _caveats(activity: Activity) -> tuple[str, ...]:
    gross = ("LowRouter states gross parameters to within a factor of two",) if activity.model.band == "gross" else ()
    return (
        "about an order of magnitude above the energy per token of metered servers, which batch requests",
        *gross,
        *registry_caveats(registered(_REGISTRY, activity.model), activity.model),
    )


LOWROUTER = Method(
    id="lowrouter/ecologits@0.4-2026-01",
    aliases=("lowrouter/ecologits@0.4", "lowrouter/ecologits", "lowrouter"),
    title="LowRouter v0.4-2026-01",
    summary="Tokens x a line in active parameters; far above metered servers. LowRouter publishes no interval.",
    formula=_FORMULA,
    interval="none",
    tier="proxy",
    indicators=("energy_wh", "carbon_gco2e"),
    workloads=(Workload.CHAT,),
    sources=(
        "LowRouter methodology v0.4-2026-01: coefficients, token basis",
        "EcoLogits 0.4.0 (https://github.com/mlco2/ecologits): model registry",
    ),
    not_covered=(
        "batching: figures are about an order of magnitude above the energy per token of metered servers",
        "server, further GPUs of a large model, PUE",
        "LowRouter's licensed grid averages: carbon intensity is this edition's",
        "embeddings, and models whose parameters nobody states",
        "water, resource depletion, manufacture, training",
    ),
    operand_units=_OPERAND_UNITS,
    factor_scopes=MappingProxyType({}),
    assumed=_assumed,
    constants=_constants,
    variables=token_operands,
    prepare=_prepare,
    caveats=_caveats,
)

_REASONS = MappingProxyType(
    LOWROUTER.undefined("carbon_market_gco2e", "carbon_embodied_gco2e", "water_ml", "adpe_kgsbeq")
)
