"""Payloads that were changed before they were signed, by what was done to them."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

__all__ = ["TAMPERED"]

Change = Callable[[dict[str, Any]], None]


def _set(*path: Any, to: Any) -> Change:
    def change_payload(payload: dict[str, Any]) -> None:
        place: Any = payload
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = to

    return change_payload


def _reading(**changes: Any) -> Change:
    return lambda payload: payload["grid"]["accounting"].update(changes)


def _operand(which: str, /, **changes: Any) -> Change:
    def change_payload(payload: dict[str, Any]) -> None:
        next(operand for operand in payload["operands"] if operand["name"] == which).update(changes)
        payload["operands"].sort(key=itemgetter("name"))

    return change_payload


def _zone(zone: str) -> Change:
    def change_payload(payload: dict[str, Any]) -> None:
        payload["zone"] = payload["grid"]["accounting"]["zone"] = zone

    return change_payload


def _point(name: str, median: int) -> Change:
    return _set("outputs", name, to={"median": median, "low": None, "high": None, "interval": "none"})


def _without_carbon(payload: dict[str, Any]) -> None:
    payload["outputs"]["carbon_location_ng"] = None
    payload["reasons"]["carbon_location_ng"] = "not stated"


def _without_figures(payload: dict[str, Any]) -> None:
    payload["operands"] = []
    for name in payload["outputs"]:
        payload["outputs"][name] = None
        payload["reasons"][name] = "unknown model"


_BATCH: dict[str, Any] = {
    "source": "litellm",
    "count": 2,
    "root_hex": "00" * 32,
    "first_occurred_at": "2026-11-05T11:00:00Z",
    "last_occurred_at": "2026-11-05T12:00:00Z",
    "requests": None,
    "usage": dict.fromkeys(("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens"), 7),
    "energy_nwh": None,
    "carbon_location_ng": {"median": 1, "low": None, "high": None, "interval": "none"},
    "energy_known": 0,
    "carbon_known": 2,
    "common": {},
    "groups": [{}],
}

TAMPERED: dict[str, tuple[Change, str]] = {
    "one unit off": (lambda p: p["outputs"]["energy_nwh"].update(median=p["outputs"]["energy_nwh"]["median"] + 1), ""),
    "median changed": (_set("outputs", "energy_nwh", "median", to=80_000_000), "outputs_differ"),
    "interval changed": (_set("outputs", "energy_nwh", "interval", to="range"), "outputs_differ"),
    "a figure where none is": (_set("outputs", "carbon_market_ng", to=None), ""),
    "no carbon": (_without_carbon, "no_intensity"),
    "no figures": (_without_figures, "no_estimate"),
    "no reason for a null": (lambda p: p["reasons"].clear(), "bad_payload"),
    "operand changed": (_operand("active_params_b", value=1, exp10=0), "outputs_differ"),
    "operand negative": (_operand("active_params_b", value=-5), "not_computable"),
    "operand zero": (_operand("batch", value=0, exp10=0), "not_computable"),
    "operand huge": (_operand("fit_const", value=10**15, exp10=0), "not_computable"),
    "operand renamed": (_operand("batch", name="batches"), "not_computable"),
    "operand called constructor": (_operand("batch", name="constructor"), "not_computable"),
    "operand in another unit": (_operand("active_params_b", unit="parameters"), "unit_differs"),
    "operand missing": (lambda p: p["operands"].pop(), "not_computable"),
    "operands not sorted": (lambda p: p["operands"].reverse(), "bad_payload"),
    "operand tokens changed": (_operand("output_tokens", value=401), "usage_differs"),
    "usage changed": (_set("usage", "output_tokens", to=401), "usage_differs"),
    "usage impossible": (_set("usage", "cached_input_tokens", to=1001), "bad_payload"),
    "method unknown": (_set("method_id", to="wattproof/param@9.0.0"), "unknown_method"),
    "method an alias": (_set("method_id", to="wattproof/param"), "unknown_method"),
    "method called toString": (_set("method_id", to="toString"), "unknown_method"),
    "method of another definition": (_set("method_sha256", to="0" * 64), "method_differs"),
    "schema unknown": (_set("schema", to="wattproof-receipt/2"), "unknown_schema"),
    "schema no text": (_set("schema", to=1), "bad_payload"),
    "key unknown": (_set("extra", to=1), "bad_payload"),
    "key called __proto__": (_set("__proto__", to=1), "bad_payload"),
    "key missing": (lambda p: p.pop("tier"), "bad_payload"),
    "text too long": (_set("model", to="x" * 201), "bad_payload"),
    "text of 200 astral letters": (_set("model", to="\N{GRINNING FACE}" * 200), ""),
    "text of 201 astral letters": (_set("model", to="\N{GRINNING FACE}" * 201), "bad_payload"),
    "time no time": (_set("issued_at", to="2026-02-30T00:00:00Z"), "bad_payload"),
    "time with an offset": (_set("issued_at", to="2026-11-05T12:00:04+00:00"), "bad_payload"),
    "time with a fraction": (_set("issued_at", to="2026-11-05T12:00:04.25Z"), ""),
    "time of a leap second": (_set("issued_at", to="2026-11-05T12:00:60Z"), "bad_payload"),
    "a year before all": (_set("issued_at", to="0000-11-05T12:00:04Z"), "bad_payload"),
    "issued before it occurred": (_set("occurred_at", to="2026-11-05T13:00:00Z"), "issued_before_it_occurred"),
    "zone differs": (_set("zone", to="DE"), "zone_differs"),
    "zone unknown": (_zone("XX"), "unknown_zone"),
    "zone called constructor": (_zone("constructor"), "unknown_zone"),
    "zone in lower case": (_zone("fr"), ""),
    "zone of another grid": (_zone("PL"), "far_from_average"),
    "zone nowhere known": (_zone("unknown:groq"), "far_from_average"),
    "several zones": (_zone("multi:FR,PL"), ""),
    "ratio differs": (_set("renewable_ratio_bps", to=9999), "renewable_ratio_differs"),
    "ratio not the zone's": (
        lambda p: (_set("renewable_ratio_bps", to=8500)(p), _reading(renewable_ratio_bps=8500)(p))[0],
        "renewable_share",
    ),
    "reading doubled": (_reading(value_mgco2e_per_kwh=62_000), "implied_intensity"),
    "reading zero": (_reading(value_mgco2e_per_kwh=0), "implied_intensity"),
    "annual and live": (_reading(temporal_match="live"), "match_overstated"),
    "a live forecast": (
        _reading(evidence="forecast", temporal_match="live", observed_at="2026-11-05T12:00:00Z", age_minutes=0),
        "match_overstated",
    ),
    "live and old": (
        _reading(evidence="measured", temporal_match="live", observed_at="2026-11-05T10:00:00Z", age_minutes=120),
        "match_overstated",
    ),
    "fresh": (
        _reading(evidence="measured", temporal_match="fresh", observed_at="2026-11-05T08:00:00Z", age_minutes=240),
        "",
    ),
    "age not that of its times": (_reading(age_minutes=5), "age_differs"),
    "energy absurd": (_point("energy_nwh", 10**14), "implied_intensity"),
    "a batch": (_set("batch", to=_BATCH), "batch_of_records"),
    "a batch of nothing": (_set("batch", to=_BATCH | {"count": 0}), "bad_payload"),
    "no batch": (_set("batch", to=None), "bad_payload"),
    "answer at once": (_set("latency_ms", to=0), ""),
    "answer cancelled": (_set("status", to="cancelled"), ""),
}
