"""Does a receipt agree with itself, and with what is known of grids, models and time?

| check | fails | is left open |
|---|---|---|
| zone and renewable ratio | they are not those of the reading that it names | |
| carbon / energy | not the intensity of the reading, within 2 % and rounding | energy or carbon is not stated |
| intensity | over 10 times from the zone's annual average | over 3 times; the zone is not in the edition; 0 |
| energy per token | outside 1e-8 to 10 Wh | no energy or no tokens; a request that was cut short |
| energy / latency | over 1 MW | over 20 kW, a rack |
| renewable ratio of a year | over 20 points from the zone's | |
| renewable ratio of a moment | | over 50 points from the zone's year |
| times | issued before it occurred, or in the future | no clock; over 400 days ago |
| temporal_match | live at over 75 minutes, fresh at over 240; an annual average or a mixture; a live forecast | |
| age of the reading | not requested_at less observed_at | |

The first three rows hold a receipt against its own words, the others against bounds. Intensities, shares and times are
facts of the edition; the other bounds are judgement: wide enough for every request of every method that is known here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from wattproof.methodology.errors import UnknownMethod, UnknownZone
from wattproof.methodology.methods import get_method
from wattproof.methodology.zones import mixture, zone_average
from wattproof.resources.receipts.schema import instant
from wattproof.resources.receipts.verdict import Check, Verdict, failed, passed, unknown

__all__ = ["judge_age", "judge_freshness", "judge_plausibility"]

# But for rounding, and manufacture where the method counts it in, carbon over energy is the intensity used.
_INTENSITY_TOLERANCE = 0.02
# An hour of a grid strays from its year's average; ten times away it is another grid. Beyond three times, say so.
_FAR_FROM_AVERAGE = 10.0
_UNUSUAL = 3.0
# From the prefill of a model of 0.02e9 parameters (8e-7 Wh per token and 1e9) to ten times the most ever published.
_WH_PER_TOKEN = (1e-8, 10.0)
# A rack of accelerators on one request, and fifty of them: the highest published method gives a fifth of that for the
# largest model. What answers faster than a tenth of a second was not timed.
_RACK_W = 20_000.0
_BEYOND_ANY_POWER_W = 1_000_000.0
_SHORTEST_TIMED_S = 0.1
# An hour may lie this far from its year (DK-DK1 without wind); a year only as far as two editions of it.
_SHARE_OF_A_MOMENT_BPS = 5000
_SHARE_OF_A_YEAR_BPS = 2000
_CLOCK_SKEW_S = 300.0
# Where an operation's steps have no intensity, its receipt holds the reading of this zone, which nothing rests on.
_STAND_IN = "unknown:operation"
_LONG_AGO_S = 400 * 86_400.0
_NOT_A_MOMENT = ("annual", "mixture")
# The age counts from the start of what was observed: an hour, and 15 minutes (live) or 3 hours (fresh) after its end.
_OLDEST_MINUTES = {"live": 75, "fresh": 240}
_AGE_ROUNDING_MINUTES = 1.0


def judge_plausibility(payload: Mapping[str, Any], checks: list[Check]) -> Verdict:
    """Judge a valid payload: its zone, its intensity against reading and zone average, its energy per token."""
    # An adjustment states differences, which have no intensity and no tokens of their own. What an operation states as
    # its reading is what its steps come to.
    is_difference, is_total = payload["kind"] == "adjustment", payload["kind"] == "operation"
    verdicts = [
        _same_place(payload),
        None if is_difference else _implied_intensity(payload, checks),
        _intensity_of_zone(payload["grid"]["accounting"], checks),
        None if is_difference else _energy_per_token(payload, checks),
        None if is_difference else _implied_power(payload, checks),
        None if is_total else _renewable_ratio_of_zone(payload["grid"]["accounting"], checks),
    ]
    for kind in ("fail", "unknown"):
        for verdict in verdicts:
            if verdict is not None and verdict.verdict == kind:
                return verdict
    if is_difference:
        return passed("The reading that it corrects to is ordinary for its zone.")
    return passed(
        "Carbon over energy is the intensity of its reading; the reading and the energy per token are ordinary."
    )


def judge_freshness(payload: Mapping[str, Any], now: float | None) -> Verdict:
    """Judge the times of a valid payload at `now` (Unix time; None: no clock was given)."""
    occurred_at, issued_at = instant(payload["occurred_at"]), instant(payload["issued_at"])
    if issued_at < occurred_at - _CLOCK_SKEW_S:
        return failed("issued_before_it_occurred", "It was issued before the request that it describes.")
    overstated = None if payload["kind"] == "operation" else _reading_problem(payload["grid"]["accounting"])
    if overstated is not None:
        return overstated
    return judge_age(issued_at, now)


def judge_age(issued_at: float, now: float | None) -> Verdict:
    """Judge when something was issued, both in Unix time; `now` None: no clock was given."""
    if now is None:
        return unknown("no_clock", "No time was given to judge the age by.")
    if issued_at > now + _CLOCK_SKEW_S:
        return failed("in_the_future", "It was issued at a time that is still to come.")
    age_s = max(0.0, now - issued_at)
    if age_s > _LONG_AGO_S:
        return unknown("long_ago", f"It was issued {age_s / 86_400:.0f} days ago, before the years of its data.")
    return passed(f"Issued {_ago(age_s)} ago.")


def _reading_problem(accounting: Mapping[str, Any]) -> Verdict | None:
    """Whether the reading is as old as its own times say, and as timely as it is called."""
    match, evidence, age = accounting["temporal_match"], accounting["evidence"], accounting["age_minutes"]
    elapsed_s = instant(accounting["requested_at"]) - instant(accounting["observed_at"])
    if abs(age - max(0.0, elapsed_s) / 60) > _AGE_ROUNDING_MINUTES:
        return failed("age_differs", f"The reading is called {age:,} minutes old; its times are not that far apart.")
    if match != "fallback" and evidence in _NOT_A_MOMENT:
        return failed("match_overstated", f"A reading of evidence {evidence} can only be a fallback.")
    if match == "live" and evidence == "forecast":
        return failed("match_overstated", "A forecast is never live.")
    if match != "fallback" and age > _OLDEST_MINUTES[match]:
        return failed("match_overstated", f"A reading that is {age:,} minutes old is not {match}.")
    return None


def _same_place(payload: Mapping[str, Any]) -> Verdict | None:
    accounting = payload["grid"]["accounting"]
    if _has_no_reading(payload):
        return None
    if payload["zone"] != accounting["zone"]:
        return failed("zone_differs", f"The zone is {payload['zone']}, the reading is of {accounting['zone']}.")
    if payload["renewable_ratio_bps"] != accounting["renewable_ratio_bps"]:
        return failed("renewable_ratio_differs", "The renewable ratio is not the one of the reading.")
    return None


def _has_no_reading(payload: Mapping[str, Any]) -> bool:
    """Whether it is an operation whose steps come to no intensity: without steps, or without figures."""
    energy, carbon = payload["outputs"]["energy_nwh"], payload["outputs"]["carbon_location_ng"]
    nothing = energy is None or carbon is None or energy["median"] == 0
    return nothing and payload["kind"] == "operation" and payload["grid"]["accounting"]["zone"] == _STAND_IN


def _implied_intensity(payload: Mapping[str, Any], checks: list[Check]) -> Verdict | None:
    energy, carbon = payload["outputs"]["energy_nwh"], payload["outputs"]["carbon_location_ng"]
    if energy is None or carbon is None:
        return unknown("no_intensity", "Energy or carbon is not stated, so no intensity follows.")
    expected = payload["grid"]["accounting"]["value_mgco2e_per_kwh"] / 1000
    # 1 g/kWh is 1e9 ng over 1e12 nWh.
    expected_ng = energy["median"] * expected * 1e-3
    rounding_ng = 1 + expected * 1e-3
    if energy["median"] > 0:
        implied = carbon["median"] / energy["median"] * 1e3
        checks.append(Check("intensity_gco2e_per_kwh", implied, expected, "grid.accounting"))
    excess_ng = carbon["median"] - expected_ng
    if _counts_manufacture(payload["method_id"]):
        excess_ng = min(0.0, excess_ng)
    if abs(excess_ng) > rounding_ng + _INTENSITY_TOLERANCE * expected_ng:
        return failed(
            "implied_intensity",
            f"{carbon['median']} ng over {energy['median']} nWh is not {expected:g} gCO2e/kWh, the reading it names.",
        )
    return None


def _counts_manufacture(method_id: str) -> bool:
    try:
        return get_method(method_id).embodied_included
    except UnknownMethod:
        return False


def _intensity_of_zone(accounting: Mapping[str, Any], checks: list[Check]) -> Verdict | None:
    """Against the zone's annual average; of several zones (`multi:FI,FR`) against the lowest and the highest."""
    stated = accounting["value_mgco2e_per_kwh"] / 1000
    zone: str = accounting["zone"]
    try:
        averages = [_average(name) for name in zone.removeprefix("multi:").split(",")]
    except UnknownZone as error:
        return unknown("unknown_zone", str(error))
    (least, _), (most, source) = min(averages), max(averages)
    expected = min(max(stated, least), most)
    checks.append(Check("grid.accounting.value_gco2e_per_kwh", stated, expected, source))
    if stated <= 0:
        return unknown("far_from_average", f"The reading is 0 gCO2e/kWh; {zone} averages {expected:g}.")
    ratio = math.exp(abs(math.log(stated / expected)))
    if ratio > _UNUSUAL:
        verdict = failed if ratio > _FAR_FROM_AVERAGE else unknown
        return verdict(
            "far_from_average", f"The reading is {stated:g} gCO2e/kWh; {zone} averages {expected:g} ({source})."
        )
    return None


def _average(zone: str) -> tuple[float, str]:
    """The zone's annual average [gCO2e/kWh] and its source; of nowhere known, the mixture of all zones."""
    if zone.startswith("unknown:"):
        return mixture().median, "the mixture of all bundled zones"
    average = zone_average(zone)
    return average.value_gco2e_per_kwh, average.source_id


def _energy_per_token(payload: Mapping[str, Any], checks: list[Check]) -> Verdict | None:
    energy, usage = payload["outputs"]["energy_nwh"], payload["usage"]
    tokens = usage["input_tokens"] + usage["output_tokens"]
    # Cached input may cost next to nothing, and some methods count output alone: the least is asked of the output, or
    # where there is none of the uncached input.
    worked_tokens = usage["output_tokens"] or tokens - usage["cached_input_tokens"]
    counts_output_alone = energy is not None and energy["median"] == 0 and usage["output_tokens"] == 0
    if energy is None or worked_tokens == 0 or counts_output_alone:
        return unknown("no_energy_per_token", "Without energy or counted tokens there is no energy per token.")
    low_wh, high_wh = _WH_PER_TOKEN
    energy_wh = energy["median"] * 1e-9
    checks.append(Check("energy_wh_per_token", energy_wh / tokens, None, f"{low_wh:g} to {high_wh:g} Wh"))
    if low_wh * worked_tokens <= energy_wh <= high_wh * tokens:
        return None
    # A request that was cut short may have been charged tokens without their work.
    verdict = failed if payload["status"] == "completed" else unknown
    message = f"{energy_wh:.2g} Wh for {tokens} tokens is outside {low_wh:g} to {high_wh:g} Wh per token."
    return verdict("energy_per_token", message)


def _implied_power(payload: Mapping[str, Any], checks: list[Check]) -> Verdict | None:
    """The mean power at the wall while the answer was made; there is no least, because a request may wait."""
    energy, latency_ms = payload["outputs"]["energy_nwh"], payload["latency_ms"]
    if energy is None or latency_ms is None:
        return None
    power_w = energy["median"] * 3.6e-6 / max(latency_ms / 1000, _SHORTEST_TIMED_S)
    checks.append(Check("implied_power_w", power_w, None, f"at most {_RACK_W:g} W"))
    if power_w <= _RACK_W:
        return None
    verdict = failed if power_w > _BEYOND_ANY_POWER_W else unknown
    return verdict("implied_power", f"{power_w / 1000:,.0f} kW implied by energy and latency; a rack draws 20 kW.")


def _renewable_ratio_of_zone(accounting: Mapping[str, Any], checks: list[Check]) -> Verdict | None:
    zone, stated = accounting["zone"], accounting["renewable_ratio_bps"]
    if stated is None or zone.startswith("unknown:"):
        return None
    try:
        average = zone_average(zone)
    except UnknownZone:
        return None  # the intensity's verdict says so
    checks.append(Check("grid.accounting.renewable_ratio_bps", stated, average.renewable_ratio_bps, average.source_id))
    apart_bps = abs(stated - average.renewable_ratio_bps)
    of_a_year = accounting["evidence"] in _NOT_A_MOMENT
    if apart_bps <= (_SHARE_OF_A_YEAR_BPS if of_a_year else _SHARE_OF_A_MOMENT_BPS):
        return None
    message = f"{stated / 100:g} % renewable stated; {zone} had {average.renewable_ratio_bps / 100:g} % in its year."
    return (failed if of_a_year else unknown)("renewable_share", message)


def _ago(age_s: float) -> str:
    for size_s, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if age_s >= 2 * size_s:
            return f"{age_s / size_s:.0f} {name}"
    return f"{age_s:.0f} seconds"
