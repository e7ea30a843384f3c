"""What `estimate_request` returns for one model by one method, as data and in words."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, ClassVar

from wattproof.methodology.calibration import calibration_of
from wattproof.tools.compared import Compared
from wattproof.tools.figures import Figure, energy_text, figure, mass_text, rounded, significant
from wattproof.tools.levers import Lever, find_levers
from wattproof.tools.provenance import Grounded, grounds, sentence
from wattproof.tools.sensitive import dominant_factor, sensitivity_fields

if TYPE_CHECKING:
    from wattproof.resources.footprints import Estimate
    from wattproof.tools.estimate_cases import Asked

__all__ = [
    "BESIDE",
    "TELLING_ZONES",
    "EstimateResult",
    "brief_of_one",
    "full_fields",
    "interval_words",
    "prior_words",
    "result_of_one",
    "usage_fields",
    "why_null",
]

TELLING_ZONES = ("US", "FR")
"""Shown where the location is unknown: a large mixed grid, and one that is mostly nuclear and hydro."""

BESIDE = (
    "carbon_market_gco2e",
    "carbon_embodied_gco2e",
    "water_ml",
    "water_onsite_ml",
    "water_offsite_ml",
    "adpe_kgsbeq",
)
"""Indicators that a brief result leaves out, bar a market-based figure whose instrument the caller named."""


class EstimateResult(Grounded):
    """One request, one model, one method.

    `carbon_gco2e` is location-based; `carbon_embodied_gco2e` lies beside it or, where the method's page says so, in it.
    """

    omitted_when_null: ClassVar[frozenset[str]] = frozenset(
        {"provider_id", "carbon_gco2e_if", "baseline", "output_tokens_prior", "caveats", "full", *BESIDE}
    )
    unlisted: ClassVar[frozenset[str]] = Grounded.unlisted | {
        "dominated_by",
        "calibration",
        "carbon_gco2e_per_1k_tokens",
        "grid",
        "levers",
        "assumed",
        "interval",
        "reasons",
        "usage",
    }

    in_full_only: ClassVar[frozenset[str]] = Grounded.in_full_only | {
        "calibration",
        "carbon_gco2e_per_1k_tokens",
        "location_evidence",
    }

    model: str
    provider_id: str | None = None
    usage: dict[str, int]
    interval: str
    energy_wh: Figure | None
    carbon_gco2e: Figure | None
    carbon_gco2e_per_1k_tokens: float | None
    carbon_gco2e_if: dict[str, Figure | None] | None = None
    carbon_market_gco2e: Figure | None = None
    carbon_embodied_gco2e: Figure | None = None
    water_ml: Figure | None = None
    water_onsite_ml: Figure | None = None
    water_offsite_ml: Figure | None = None
    adpe_kgsbeq: Figure | None = None
    baseline: Compared | None = None
    output_tokens_prior: dict[str, Any] | None = None
    caveats: tuple[str, ...] | None = None
    assumed: tuple[str, ...]
    dominated_by: str | None
    calibration: str
    levers: tuple[Lever, ...]
    reasons: dict[str, str]
    full: dict[str, Any] | None = None

    def shortened(self, fields: dict[str, Any]) -> dict[str, Any]:
        # Where the zone is unknown, what the request would come to elsewhere says more than the mixture does.
        hidden = {"grid"} if self.carbon_gco2e_if is not None else set[str]()
        if self.provenance.region_scope == f"unknown:{self.provider_id}":
            hidden.add("provider_id")
        kept = {name: value for name, value in super().shortened(fields).items() if name not in hidden}
        if self.output_tokens_prior is not None:
            # Half of a guess is no advice; `assumed` says that the length was guessed.
            kept["levers"] = [lever for lever in kept["levers"] if "output_tokens" not in lever["set"]]
        return kept


def result_of_one(
    found: Estimate, asked: Asked, *, provider_id: str | None, baseline: Compared | None, full: bool
) -> EstimateResult:
    """The result for one estimate."""
    digits = None if full else 3
    footprint = found.footprint
    shown = BESIDE if full else ("carbon_market_gco2e",) if found.activity.instrument_id else ()
    return EstimateResult(
        model=found.activity.model.id,
        provider_id=provider_id,
        usage=usage_fields(found),
        interval=footprint.interval,
        energy_wh=figure(footprint.energy_wh, digits),
        carbon_gco2e=figure(footprint.carbon_gco2e, digits),
        carbon_gco2e_per_1k_tokens=_per_1k_tokens(found, digits),
        carbon_gco2e_if=_elsewhere(found, asked),
        **{name: figure(getattr(footprint, name), digits) for name in shown},
        baseline=baseline,
        output_tokens_prior=_prior_fields(asked, full=full),
        caveats=found.method.caveats(found.activity) or None,
        assumed=found.assumed,
        dominated_by=dominant_factor(footprint),
        calibration=calibration_of(found.activity.model, found.method.id).status,
        levers=find_levers(found),
        reasons=why_null(found, shown=shown, prior=asked.prior is not None),
        full=full_fields(found) if full else None,
        **grounds(found, full=full),
    )


def brief_of_one(result: EstimateResult) -> str:
    """The estimate in two or three sentences, the four named fields last."""
    tokens = f"{result.usage['input_tokens']:,} in / {result.usage['output_tokens']:,} out"
    energy = "energy unknown" if result.energy_wh is None else energy_text(result.energy_wh)
    words = [f"{result.model}, {tokens}: {energy}. {_climate_words(result)}"]
    if result.carbon_market_gco2e is not None:
        source = result.provenance.energy_source
        words.append(f"Market-based {mass_text(result.carbon_market_gco2e)} by {source}, as declared.")
    if result.baseline is not None:
        words.append(result.baseline.words())
    words.append(interval_words(result.interval, result.dominated_by, result.assumed, result.output_tokens_prior))
    words += [f"{caveat[:1].upper()}{caveat[1:].rstrip('.')}." for caveat in result.caveats or ()]
    words += [lever.words() for lever in result.levers if "model" in lever.set]
    return " ".join([*words, sentence(result.provenance)])


def interval_words(
    interval: str, dominated_by: str | None, assumed: tuple[str, ...], prior: dict[str, Any] | None = None
) -> str:
    """What kind of interval it is, what widens it most, and what nobody supplied."""
    kinds = {
        "credible90": "Estimate, 90 % interval",
        "range": "Estimate, min–max range",
        "none": "Estimate, no interval",
    }
    dominated = f"; {dominated_by} dominates" if dominated_by else ""
    beside = {"input_tokens": " (counted)"}
    if prior is not None:
        beside["output_tokens"] = f" (90 % of answers: {prior['low']:,}–{prior['high']:,})"
    told = [f"{name}{beside.get(name, '')}" for name in assumed]
    listed = f"; assumed: {', '.join(told)}" if assumed else ""
    return f"{kinds[interval]}{dominated}{listed}."


def prior_words(prior: dict[str, Any]) -> str:
    """That the length of the answer is a guess, and that the interval holds it."""
    return f"90 % of answers have {prior['low']:,}–{prior['high']:,} tokens: give output_tokens."


def usage_fields(found: Estimate) -> dict[str, int]:
    """Token counts; parts only where there are any."""
    usage = found.activity.usage
    counts = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    parts = {"cached_input_tokens": usage.cached_input_tokens, "reasoning_tokens": usage.reasoning_tokens}
    return counts | {name: count for name, count in parts.items() if count}


def why_null(found: Estimate, *, shown: tuple[str, ...], prior: bool = False) -> dict[str, str]:
    """The reason for every null among energy, climate, the `shown` indicators and the renewable share."""
    named = {"energy_wh", "carbon_gco2e", *shown}
    reasons = {name: reason for name, reason in found.footprint.reasons.items() if name in named}
    if found.renewable_ratio_bps is None:
        reasons["renewable_ratio_bps"] = "not published" if found.reading.zone_known else "location unknown"
    if prior and found.footprint.interval != "credible90":
        reasons["interval"] = "as published; does not hold the assumed output_tokens"
    return reasons


def full_fields(found: Estimate) -> dict[str, Any]:
    """What a reviewer asks for: every operand, what is not covered, what would tighten it, what it is fit for."""
    return {
        "operands": [
            {"name": operand.name, "value": operand.number, "unit": operand.unit, "source_id": operand.source_id}
            for operand in found.operands
        ],
        "formula": found.method.formula,
        "sources": list(found.method.sources),
        "not_covered": list(found.method.not_covered),
        **sensitivity_fields(found),
        "edition_sha256": found.edition_sha256,
        "embodied_included": found.method.embodied_included,
        "calibration": asdict(calibration_of(found.activity.model, found.method.id)),
        "fit_for": "comparing options and orders of magnitude; not for offsetting or for a product claim",
    }


def _per_1k_tokens(found: Estimate, digits: int | None) -> float | None:
    carbon, tokens = found.footprint.carbon_gco2e, found.activity.usage.total_tokens
    return None if carbon is None or not tokens else rounded(1000 * carbon.median / tokens, digits)


def _prior_fields(asked: Asked, *, full: bool) -> dict[str, Any] | None:
    prior = asked.prior
    if prior is None:
        return None
    fields: dict[str, Any] = {"low": prior.low_tokens, "high": prior.high_tokens}
    return fields | ({"source": prior.source, "source_id": prior.source_id} if full else {})


def _elsewhere(found: Estimate, asked: Asked) -> dict[str, Figure | None] | None:
    """Climate of the same request in the telling zones, where its own zone is unknown."""
    if found.reading.zone_known:
        return None
    from wattproof.methodology.methods import Intensity
    from wattproof.resources.grid import annual_reading
    from wattproof.tools.output_prior import widened

    shown: dict[str, Figure | None] = {}
    for zone in TELLING_ZONES:
        reading = annual_reading(zone, asked.now)
        intensity = Intensity(reading.value_gco2e_per_kwh, reading.sigma_ln, reading.source)
        activity = replace(found.activity, intensity=intensity)
        footprint = found.method.footprint(activity, found.footprint.boundary)
        there = replace(found, activity=activity, footprint=footprint)
        there = there if asked.prior is None else widened(there, asked.prior)
        shown[zone] = figure(there.footprint.carbon_gco2e)
    return shown


def _climate_words(result: EstimateResult) -> str:
    if result.carbon_gco2e is None:
        return "CO2e unknown."
    grid = result.grid
    climate = f"{mass_text(result.carbon_gco2e)}"
    if result.carbon_gco2e_if is not None:
        guesses = ", ".join(
            f"{mass_text(Figure(median=other.median, low=None, high=None), '')} if in {zone}"
            for zone, other in result.carbon_gco2e_if.items()
            if other is not None
        )
        low, high = grid.get("low_gco2e_per_kwh"), grid.get("high_gco2e_per_kwh")
        span = f"; zone= narrows {significant(low)}–{significant(high)} g/kWh to one" if low and high else ""
        return f"{climate}: zone unknown; {guesses}{span}."
    intensity = significant(rounded(grid["intensity_gco2e_per_kwh"]))
    return f"{climate} in {grid['zone']} at {intensity} gCO2e/kWh ({grid['evidence']})."
