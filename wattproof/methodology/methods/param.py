"""`wattproof/param@1.0.0`: energy from the size of the model, the tokens and what is known of the deployment.

Accelerator energy is in `accelerator.py`, everything that follows from it in `impacts.py`, operands and their sources
in `param_operands.py` and `impact_operands.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from wattproof.methodology.methods.accelerator import (
    ACCELERATOR_FORMULA,
    TERMS,
    AcceleratorRates,
    accelerator_loadings,
    accelerator_rates,
)
from wattproof.methodology.methods.impact_operands import OPTIONAL_OPERANDS
from wattproof.methodology.methods.impacts import IMPACT_FORMULA, Multipliers, multipliers, wall_factors, why_null
from wattproof.methodology.methods.method import FactorScope, Method, Prepared, PreparedEnergy, token_operands
from wattproof.methodology.methods.param_operands import OPERAND_UNITS, assumed, constants
from wattproof.methodology.propagate import Loadings, LogNormal, Mix, mix
from wattproof.methodology.quantity import Boundary, Footprint, Quantity, Term, Workload

__all__ = ["PARAM", "Figures", "Indicators", "ParamRates", "rates"]

_FACTOR_SCOPES: Mapping[str, FactorScope] = MappingProxyType(
    {
        "active_params": "model",
        "attention": "model",
        "batch": "provider",
        "cached_input": "provider",
        "fit": "model",
        "grid": "zone",
        "hardware": "provider",
        "overhead": "provider",
        "prefill": "global",
        "pue": "provider",
        "weights": "model",
    }
)


class Figures(NamedTuple):
    """Energy and location-based carbon of one request."""

    energy_wh: Quantity | None
    carbon_gco2e: Quantity | None


class Indicators(NamedTuple):
    """Every indicator of one request within one boundary."""

    energy_wh: Quantity | None
    carbon_gco2e: Quantity | None
    carbon_market_gco2e: Quantity | None
    carbon_embodied_gco2e: Quantity | None
    water_ml: Quantity | None
    water_onsite_ml: Quantity | None
    water_offsite_ml: Quantity | None
    adpe_kgsbeq: Quantity | None


@dataclass(frozen=True, slots=True)
class ParamRates:
    """The formula for one deployment, up to the token counts.

    `mixes[k]` matches the first k terms of accelerator energy and `multipliers` turn the match into indicators; the
    loadings are those of energy and carbon within the boundary, term by term.
    """

    boundary: Boundary
    accelerator: AcceleratorRates
    mixes: tuple[Mix, ...]
    multipliers: Multipliers
    reasons: Mapping[str, str]
    energy_loadings: tuple[Loadings, ...]
    carbon_loadings: tuple[Loadings, ...]

    def figures(self, input_tokens: float, cached_input_tokens: float, output_tokens: float) -> Figures:
        """Energy and location-based carbon of one request."""
        terms_wh = self.accelerator.terms_wh(input_tokens, cached_input_tokens, output_tokens)
        return Figures(*self._match(terms_wh).products(self.multipliers[:2]))

    def indicators(self, input_tokens: float, cached_input_tokens: float, output_tokens: float) -> Indicators:
        """Every indicator of one request."""
        terms_wh = self.accelerator.terms_wh(input_tokens, cached_input_tokens, output_tokens)
        return Indicators(*self._match(terms_wh).products(self.multipliers))

    def energy_wh(self, n: Mapping[str, float]) -> Quantity | None:
        """The energy of the request with the token counts `n`."""
        terms_wh = self.accelerator.terms_wh(n["input_tokens"], n["cached_input_tokens"], n["output_tokens"])
        return self._match(terms_wh).products(self.multipliers[:1])[0]

    def footprint(self, n: Mapping[str, float]) -> Footprint:
        """The footprint of the request with the token counts `n`."""
        terms_wh = self.accelerator.terms_wh(n["input_tokens"], n["cached_input_tokens"], n["output_tokens"])
        energy, carbon, market, embodied, water, onsite, offsite, adpe = self._match(terms_wh).products(
            self.multipliers
        )
        energy_terms, carbon_terms = self._terms(terms_wh)
        return Footprint(
            method_id=PARAM.id,
            interval="credible90",
            tier="parametric",
            boundary=self.boundary,
            energy_wh=energy,
            carbon_gco2e=carbon,
            carbon_market_gco2e=market,
            water_ml=water,
            adpe_kgsbeq=adpe,
            reasons=self.reasons,
            energy_terms=energy_terms,
            carbon_terms=carbon_terms,
            carbon_embodied_gco2e=embodied,
            water_onsite_ml=onsite,
            water_offsite_ml=offsite,
        )

    def _match(self, terms_wh: tuple[float, float, float, float]) -> LogNormal:
        """Accelerator energy. Most requests have no cached input and no long prompt: their terms are left out."""
        used = 4 if terms_wh[3] else 3 if terms_wh[2] else 2
        return self.mixes[used].match(terms_wh[:used])

    def _terms(self, terms_wh: tuple[float, ...]) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
        wall, grams = self.multipliers.energy.median, self.multipliers.carbon.median
        per_term = zip(TERMS, terms_wh, self.energy_loadings, self.carbon_loadings, strict=True)
        used = [term for term in per_term if term[1]]
        return (
            tuple([Term(name, wh * wall, energy) for name, wh, energy, _ in used]),
            tuple([Term(name, wh * grams, carbon) for name, wh, _, carbon in used]),
        )


def rates(n: Mapping[str, float], boundary: Boundary) -> ParamRates:
    """The formula at the numbers `n` of a deployment's operands; token counts in `n` are not read."""
    wall = wall_factors(n, boundary)
    loadings = accelerator_loadings(n)
    per_wh = multipliers(n, boundary)
    return ParamRates(
        boundary=boundary,
        accelerator=accelerator_rates(n),
        mixes=tuple(mix(loadings[:used]) for used in range(len(TERMS) + 1)),
        multipliers=per_wh,
        reasons=why_null(per_wh, boundary),
        energy_loadings=accelerator_loadings(n, **wall),
        carbon_loadings=accelerator_loadings(n, grid=n["sigma_ln_intensity"], **wall),
    )


def _prepare(n: Mapping[str, float], boundary: Boundary) -> Prepared:
    return rates(n, boundary).footprint


def _prepare_energy(n: Mapping[str, float], boundary: Boundary) -> PreparedEnergy:
    return rates(n, boundary).energy_wh


PARAM = Method(
    id="wattproof/param@1.0.0",
    aliases=("wattproof/param@1", "wattproof/param", "param"),
    title="Parametric model of served inference",
    summary="Energy per token from active parameters, weights and batch; prefill, host, idle and PUE on top.",
    formula=f"{ACCELERATOR_FORMULA}\n{IMPACT_FORMULA}",
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
        "ML.ENERGY leaderboard, snapshot 2026-02-27 (486 configurations, 19 model families), our regression",
        "Google, Measuring the environmental impact of delivering AI at Google scale (2025): host and idle shares",
        "EcoLogits 0.11.3: parameters of undisclosed models",
        "EcoLogits 0.4.0 and 0.11.3, BoaviztAPI 2.5.0: manufacture of accelerators and servers",
    ),
    not_covered=(
        "training and fine-tuning",
        "the data centre's building and cooling plant, network and the user's device",
        "storage and network equipment beside the servers",
        "water of manufacture",
        "resource depletion of the electricity where nobody supplies its factor",
        "growth of energy per output token with the length of the context",
        "the hour of the day: an annual grid average has a wider error than the one stated",
    ),
    operand_units=OPERAND_UNITS,
    factor_scopes=_FACTOR_SCOPES,
    assumed=assumed,
    constants=constants,
    variables=token_operands,
    prepare=_prepare,
    prepare_energy=_prepare_energy,
    optional_operands=OPTIONAL_OPERANDS,
)
