"""A recommended window in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wattproof.tools.figures import significant
from wattproof.tools.provenance import sentence

if TYPE_CHECKING:
    from wattproof.tools.recommend_window import WindowResult

__all__ = ["brief"]

_RANGES_IN_TEXT = 2
_ZONES_IN_TEXT = 3
_REASONS = {
    "no_forecast": "no forecast",
    "forecast_too_short": "forecast too short",
    "another_kind": "another kind of forecast",
}


def brief(result: WindowResult) -> str:
    """What to do in a few sentences, what could not be compared, the four named fields last."""
    words = _no_forecast_words(result) if result.chosen is None else _chosen_words(result)
    return " ".join([*words, sentence(result.provenance)])


def _chosen_words(result: WindowResult) -> list[str]:
    chosen, best, forecast = result.chosen or {}, result.best or {}, result.forecast or {}
    where = f"{result.duration_minutes} min in {chosen['zone']}"
    value = f"{significant(chosen['intensity_gco2e_per_kwh'])} gCO2e/kWh"
    words = [
        f"Run {where} now: {value}."
        if result.verdict == "now"
        else f"Wait {_span(chosen['wait_minutes'])}: run {where} from {chosen['start']}, {value}."
    ]
    if result.verdict == "wait":
        words += [_now_words(result), _range_words(result)]
    elif best != chosen:
        least = significant(best["intensity_gco2e_per_kwh"])
        words.append(f"Least: {least} in {best['zone']} from {_minute(best['start'], result)}, within the tolerance.")
    basis = " ".join(forecast[name] for name in ("basis", "factor_scope", "accounting"))
    words.append(f"Forecast {forecast['source']}: {basis}.")
    return words + _left_words(result)


def _now_words(result: WindowResult) -> str:
    if not result.now:
        return "No forecast for a start now."
    least = result.now[0]
    times = "" if result.gain_ratio is None else f", {significant(result.gain_ratio)} times the best slot"
    return f"Now at least {significant(least['intensity_gco2e_per_kwh'])} ({least['zone']}){times}."


def _range_words(result: WindowResult) -> str:
    told = [
        f"{each['zone']} {_minute(each['first_start'], result)}–{_minute(each['last_start'], result)}"
        for each in result.equally_good
    ]
    shown = ", ".join(told[:_RANGES_IN_TEXT])
    more = " and others" if len(told) > _RANGES_IN_TEXT else ""
    return f"Equally good (within {result.tolerance_bps / 100:g} %): starts {shown}{more}."


def _left_words(result: WindowResult) -> list[str]:
    if not result.not_compared:
        return []
    told = [f"{zone} ({_REASONS[why]})" for zone, why in result.not_compared.items()]
    hidden = len(told) - _ZONES_IN_TEXT
    more = f", {hidden} more" if hidden > 0 else ""
    words = [f"Not compared: {', '.join(told[:_ZONES_IN_TEXT])}{more}; annual: {_annual_words(result)}."]
    return words + [_alone_words(window, result) for window in (result.alone or ())[:1]]


def _alone_words(window: dict[str, Any], result: WindowResult) -> str:
    """A zone by itself: now or later there, and what kind of figure tells it."""
    best, now, forecast = window["best"], window["now"], window["forecast"]
    at_once = "now unknown" if now is None else f"now {significant(now['intensity_gco2e_per_kwh'])}"
    later = f"least {significant(best['intensity_gco2e_per_kwh'])} from {_minute(best['start'], result)}"
    return f"{window['zone']} by itself: {at_once}, {later} ({forecast['source']}, {forecast['basis']})."


def _no_forecast_words(result: WindowResult) -> list[str]:
    why = result.reasons.get("forecast", "no source offers one that covers the run")
    return [f"No forecast ({why}): now or later cannot be told. Annual gCO2e/kWh: {_annual_words(result)}."]


def _annual_words(result: WindowResult) -> str:
    ordered = sorted(result.annual_gco2e_per_kwh.items(), key=lambda item: (item[1], item[0]))
    hidden = len(ordered) - _ZONES_IN_TEXT
    shown = ", ".join(f"{zone} {significant(value)}" for zone, value in ordered[:_ZONES_IN_TEXT])
    return shown + (f", {hidden} more" if hidden > 0 else "")


def _minute(moment: str, result: WindowResult) -> str:
    """`15:00Z`; with the month and day where it is not the day of the chosen start."""
    chosen = result.chosen or {}
    day = "" if moment[:10] == str(chosen.get("start"))[:10] else f"{moment[5:10]} "
    return f"{day}{moment[11:16]}Z"


def _span(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    return " ".join(
        part for part in (f"{hours} h" if hours else "", f"{rest} min" if rest or not hours else "") if part
    )
