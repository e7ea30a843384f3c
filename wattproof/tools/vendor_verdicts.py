"""The five verdicts on another vendor's footprint block, in the order in which they can be reached.

- signature, inclusion: a block is not signed and in no log.
- arithmetic: does it follow from the formula that its vendor publishes? Only where one is published with coefficients.
- plausibility: its intensity against the zone that it names, its energy per token, its power, its PUE, its renewable
  share, its units, and whether it contradicts itself. Which doubts fail and which leave it open is `_DOUBTS`.
- freshness: the time beside it, and whether what it calls live is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from wattproof.methodology.published import check_published, published_samples
from wattproof.methodology.zones import zone_average
from wattproof.resources.receipts.plausibility import judge_age
from wattproof.resources.receipts.verdict import Check, Verdict, failed, passed, unknown
from wattproof.tools.vendor_formulas import judge_formula

if TYPE_CHECKING:
    from wattproof.methodology.quantity import Quantity
    from wattproof.methodology.zones import ZoneAverage
    from wattproof.resources.providers.reported import Flag, ReportedFootprint
    from wattproof.tools.vendor_block import VendorBlock

__all__ = ["VendorReport", "judge_vendor_block"]

# As for a receipt of a moment: an hour of a grid may lie that far from its year.
_SHARE_DIFFERS_BPS = 5000

_MOST_TOLD = 3

Kind = Callable[[str, str], Verdict]

_DOUBTS: Mapping[str, tuple[Kind, str]] = MappingProxyType(
    {
        "contradicts_grid": (failed, "implied_intensity"),
        "beyond_any_grid": (failed, "implied_intensity"),
        "energy_per_token": (failed, "energy_per_token"),
        "implausible_power": (failed, "implied_power"),
        "implausible_pue": (failed, "implausible_pue"),
        "self_contradiction": (failed, "self_contradiction"),
        "out_of_range": (failed, "out_of_range"),
        "renewable_share": (failed, "renewable_share"),
        "energy_far_from_estimate": (unknown, "energy_far_from_estimate"),
        "unknown_unit": (unknown, "unknown_unit"),
        "not_a_number": (unknown, "not_a_number"),
        "incomplete": (unknown, "incomplete"),
        "zero": (unknown, "zero"),
        "not_a_zone": (unknown, "not_a_zone"),
    }
)
"""Flags of `read_reported` and `cross_check`, what each makes of the plausibility, the weightiest first."""


@dataclass(frozen=True, slots=True)
class VendorReport:
    """What was found."""

    verdicts: Mapping[str, Verdict]
    checks: tuple[Check, ...]


def judge_vendor_block(block: VendorBlock, now: float | None) -> VendorReport:
    """Judge a vendor's block; `now` is Unix time, None: its age is not judged."""
    from wattproof.methodology.quantity import Usage
    from wattproof.resources.providers.reported import cross_check

    reported, checks = block.reported, list[Check]()
    usage = block.usage or Usage(0, 0)
    flags = (*reported.flags, *cross_check(reported, usage=usage, energy=_estimate(block)))
    plausibility = _plausibility(block, flags, checks)
    unsigned = unknown("unsigned", f"A block of {reported.vendor} is not signed, and it is in no log.")
    verdicts = {
        "signature": unsigned,
        "inclusion": unsigned,
        "arithmetic": judge_formula(block, checks),
        "plausibility": plausibility,
        "freshness": _freshness(block, flags, now),
    }
    return VendorReport(verdicts, tuple(checks))


def _plausibility(block: VendorBlock, flags: Iterable[Flag], checks: list[Check]) -> Verdict:
    """The weightiest doubt decides; the message tells all doubts of its kind."""
    reported, zone = block.reported, _zone(block.reported)
    rows = list(_rows(block, zone))
    checks += rows
    found = [_doubt(flag, reported, zone) for flag in flags if flag.code in _DOUBTS]
    weights = [reason for _, reason in _DOUBTS.values()]
    found.sort(key=lambda verdict: (verdict.verdict != "fail", weights.index(verdict.reason or "")))
    if found:
        told = [verdict.message for verdict in found if verdict.verdict == found[0].verdict]
        return replace(found[0], message=" ".join(told[:_MOST_TOLD]))
    if not rows:
        return unknown("nothing_to_compare", "It states nothing that can be held against anything.")
    notes = "".join(f" {flag.detail}." for flag in flags if flag.code == "ambiguous_unit")
    return passed(f"Ordinary: {', '.join(row.field for row in rows)}.{notes}")


def _doubt(flag: Flag, reported: ReportedFootprint, zone: ZoneAverage | None) -> Verdict:
    kind, reason = _DOUBTS[flag.code]
    if flag.code == "contradicts_grid" and zone is not None:
        return (failed if _is_of_another_grid(reported) else unknown)(reason, _intensity_words(reported, zone))
    if flag.code == "renewable_share" and zone is not None and reported.renewable_ratio_bps is not None:
        apart_bps = abs(reported.renewable_ratio_bps - zone.renewable_ratio_bps)
        message = (
            f"It states {reported.renewable_ratio_bps / 100:g} % renewable; "
            f"{zone.zone} had {zone.renewable_ratio_bps / 100:g} %."
        )
        return (failed if apart_bps > _SHARE_DIFFERS_BPS else unknown)(reason, message)
    if flag.code == "beyond_any_grid":
        return kind(reason, f"{flag.detail[:1].upper()}{flag.detail[1:]}.")
    return kind(reason, f"{flag.field}: {flag.detail}.")


def _is_of_another_grid(reported: ReportedFootprint) -> bool:
    """Whether the intensity is further from the zone's than the hours of a year are, by the rule for samples."""
    melious = next(sample for sample in published_samples() if "intensity_of_zone" in sample.checks)
    stated = {"zone": reported.zone, "carbon_gco2e": reported.carbon_gco2e, "energy_wh": reported.energy_wh}
    return check_published(replace(melious, stated=stated)).verdict == "does_not_follow"


def _intensity_words(reported: ReportedFootprint, zone: ZoneAverage) -> str:
    energy_wh, carbon_g = reported.energy_wh or 0.0, reported.carbon_gco2e or 0.0
    implied = reported.intensity_gco2e_per_kwh or 0.0
    return (
        f"{carbon_g:g} g over {energy_wh / 1000:g} kWh implies {implied:.3g} gCO2e/kWh; "
        f"{zone.zone} averaged {zone.value_gco2e_per_kwh:g} in {zone.year}."
    )


def _rows(block: VendorBlock, zone: ZoneAverage | None) -> Iterator[Check]:
    """What was compared with what; no expected figure where only bounds are known."""
    reported = block.reported
    implied = reported.intensity_gco2e_per_kwh
    if implied is not None:
        expected = None if zone is None else zone.value_gco2e_per_kwh
        source = "all bundled zones" if zone is None else zone.source_id
        yield Check("intensity_gco2e_per_kwh", float(f"{implied:.4g}"), expected, source)
    if reported.renewable_ratio_bps is not None and zone is not None:
        yield Check("renewable_ratio_bps", reported.renewable_ratio_bps, zone.renewable_ratio_bps, zone.source_id)
    tokens = 0 if block.usage is None else block.usage.total_tokens
    if reported.energy_wh is not None and tokens:
        yield Check("energy_wh_per_token", float(f"{reported.energy_wh / tokens:.4g}"), None, "published methods")
    if reported.energy_wh is not None and reported.duration_s is not None:
        power_w = reported.energy_wh * 3600 / reported.duration_s
        yield Check("implied_power_w", float(f"{power_w:.4g}"), None, "0.1 W to 20 kW")
    if reported.pue is not None:
        yield Check("pue", reported.pue, None, "1 to 3")


def _zone(reported: ReportedFootprint) -> ZoneAverage | None:
    from wattproof.methodology.errors import UnknownZone

    try:
        return None if reported.zone is None else zone_average(reported.zone)
    except UnknownZone:
        return None


def _estimate(block: VendorBlock) -> Quantity | None:
    """Our own energy for the same tokens [Wh], where the model is known."""
    from wattproof.methodology.errors import UnknownModel
    from wattproof.methodology.methods import Activity, Intensity, get_method
    from wattproof.methodology.models import find_model
    from wattproof.methodology.quantity import Workload

    if block.usage is None or block.model is None:
        return None
    try:
        model = find_model(block.model)
    except UnknownModel:
        return None
    activity = Activity(Workload.CHAT, block.usage, model, Intensity(1.0, 0.0, "none"))
    return get_method("wattproof/param").footprint(activity).energy_wh


def _freshness(block: VendorBlock, flags: Iterable[Flag], now: float | None) -> Verdict:
    overstated = next((flag for flag in flags if flag.code == "live_overstated"), None)
    if overstated is not None:
        return failed("match_overstated", f"The grid value is {overstated.detail}.")
    if block.created_s is None:
        return unknown("no_time", "No time stands beside the block.")
    return judge_age(block.created_s, now)
