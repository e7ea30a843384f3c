"""A period under another basis: totals with intervals, parts that add up, and a digest of every entry's result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from wattproof.methodology.propagate import Loadings, total
from wattproof.methodology.quantity import Quantity
from wattproof.resources.ledger.records import EntryDraft
from wattproof.resources.restating.entry import EXPLAINED, PARTS, Restated

__all__ = ["PeriodTotals"]

_BOUNDED = ("carbon_market_ng", "water_nl", "adpe_pgsbeq")
_ENDS = ("median", "low", "high")


class PeriodTotals:
    """Adds up the entries of a period one after the other, in order of time and place in the log.

    Sums of medians are exact, and so are the parts: for each amount, `original` and the parts of `effects` add up to
    `restated`. Adjustments that the period holds leave with `moved` and come back with the requests that they adjust,
    in whatever period those occurred.
    """

    def __init__(self) -> None:
        self.entries = 0
        self.requests = 0
        self.restated_requests = 0
        self.adjustments = 0
        self.left_out: dict[str, int] = {}
        self._original = dict.fromkeys(EXPLAINED, 0)
        self._parts = {name: dict.fromkeys(("left_out", *PARTS), 0) for name in EXPLAINED}
        self._means: dict[str, dict[Loadings, float]] = {name: {} for name in EXPLAINED}
        self._ranges: dict[str, list[int]] = {name: [0, 0, 0] for name in EXPLAINED}
        self._bounded: dict[str, list[int]] = {}
        self._bounded_known = dict.fromkeys(_BOUNDED, 0)
        self._unbounded: set[str] = set()
        self._intervals: set[str] = set()
        self._counts: dict[str, dict[str, int]] = {"zone": {}, "energy_source": {}, "tier": {}}
        self._renewable = 0.0
        self._renewable_known = True
        self._digest = sha256()

    def add(self, seq: int, draft: EntryDraft, requests: int, found: Restated) -> None:
        """Add a request with its restated figures."""
        self._begin(draft, requests)
        self.restated_requests += requests
        for name in EXPLAINED:
            for part, amount in zip(PARTS, found.parts[name], strict=True):
                self._parts[name][part] += amount
        self._add_terms(found)
        self._add_bounds(found, requests)
        self._intervals.add(found.interval)
        for name, value in (("zone", found.zone), ("energy_source", found.energy_source), ("tier", found.tier)):
            self._counts[name][value] = self._counts[name].get(value, 0) + requests
        if found.renewable_ratio_bps is None:
            self._renewable_known = False
        else:
            self._renewable += found.renewable_ratio_bps * _median(found, "energy_nwh")
        self._note(seq, {name: _ends_of(output) for name, output in found.outputs.items()})

    def leave_out(self, seq: int, draft: EntryDraft, requests: int, reason: str) -> None:
        """Count a request that cannot be restated; its original figures leave the total."""
        self._begin(draft, requests)
        self.left_out[reason] = self.left_out.get(reason, 0) + requests
        for name in EXPLAINED:
            self._parts[name]["left_out"] -= _amount(draft, name)
        self._note(seq, reason)

    def adjustment(self, draft: EntryDraft) -> None:
        """Count an adjustment that the period holds: restated, it belongs to the request that it adjusts."""
        self.adjustments += 1
        usage = draft.usage
        changes_usage = any(
            (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, usage.reasoning_tokens)
        )
        for name in EXPLAINED:
            self._original[name] += _amount(draft, name)
            self._parts[name]["activity" if changes_usage else "factor"] -= _amount(draft, name)

    @property
    def interval(self) -> str:
        """What the bounds of the restated totals are: ``none`` where methods or entries differ in it."""
        return next(iter(self._intervals)) if len(self._intervals) == 1 else "none"

    @property
    def results_sha256(self) -> str:
        """SHA-256 over the result of each request, as one line of JSON each, in hex."""
        return self._digest.hexdigest()

    @property
    def renewable_ratio_bps(self) -> int | None:
        """The energy-weighted share; None where one of them is unknown."""
        energy = self.sums["energy_nwh"]["restated"]
        return round(self._renewable / energy) if self._renewable_known and energy > 0 else None

    @property
    def sums(self) -> dict[str, dict[str, int]]:
        """Of energy and carbon: the sum of original medians, each part of the difference, and the restated sum."""
        return {
            name: {
                "original": self._original[name],
                **self._parts[name],
                "restated": self._original[name] + sum(self._parts[name].values()),
            }
            for name in EXPLAINED
        }

    def document(self) -> dict[str, Any]:
        """Everything but the digest, as it is stored: totals in Wh, g, mL and kg Sb eq, sums in integers."""
        return {
            "entries": self.entries,
            "requests": self.requests,
            "restated_requests": self.restated_requests,
            "adjustments": self.adjustments,
            "left_out": dict(sorted(self.left_out.items())),
            "interval": self.interval,
            "energy_wh": self._total("energy_nwh"),
            "carbon_gco2e": self._total("carbon_location_ng"),
            "carbon_market_gco2e": self._bounded_total("carbon_market_ng", 1e-9),
            "water_ml": self._bounded_total("water_nl", 1e-6),
            "adpe_kgsbeq": self._bounded_total("adpe_pgsbeq", 1e-15),
            "known_requests": dict(self._bounded_known),
            "sums": self.sums,
            "counts": self._counts,
            "renewable_ratio_bps": self.renewable_ratio_bps,
        }

    def _begin(self, draft: EntryDraft, requests: int) -> None:
        self.entries += 1
        self.requests += requests
        for name in EXPLAINED:
            self._original[name] += _amount(draft, name)

    def _add_terms(self, found: Restated) -> None:
        energy, carbon = (self._means[name] for name in EXPLAINED)
        for energy_wh, carbon_g, energy_loadings, carbon_loadings in found.terms:
            energy[energy_loadings] = energy.get(energy_loadings, 0.0) + energy_wh
            carbon[carbon_loadings] = carbon.get(carbon_loadings, 0.0) + carbon_g
        for name in EXPLAINED:
            output = found.outputs[name]
            if output is not None and output["low"] is not None:
                self._ranges[name] = [held + output[end] for held, end in zip(self._ranges[name], _ENDS, strict=True)]

    def _add_bounds(self, found: Restated, requests: int) -> None:
        for name in _BOUNDED:
            output = found.outputs[name]
            if output is None:
                continue
            self._bounded_known[name] += requests
            if output["low"] is None:
                self._unbounded.add(name)
            ends = [output[end] if output[end] is not None else output["median"] for end in _ENDS]
            held = self._bounded.setdefault(name, [0, 0, 0])
            self._bounded[name] = [a + b for a, b in zip(held, ends, strict=True)]

    def _total(self, name: str) -> list[float | None] | None:
        """Median, low and high; of ranges the sums of their ends, of credible intervals with shared factors kept."""
        if not self._means[name]:
            return None
        if self.interval == "range":
            return [end * 1e-9 for end in self._ranges[name]]
        quantity: Quantity = total([((mean,), (loadings,), 0.0) for loadings, mean in self._means[name].items()])
        if self.interval == "none":
            return [quantity.median, None, None]
        return [quantity.median, quantity.low, quantity.high]

    def _bounded_total(self, name: str, unit: float) -> list[float | None] | None:
        """The sum, and the sums of the bounds: as if all were estimated alike."""
        if name not in self._bounded:
            return None
        median, low, high = (end * unit for end in self._bounded[name])
        return [median, None, None] if name in self._unbounded or self.interval == "none" else [median, low, high]

    def _note(self, seq: int, result: object) -> None:
        self._digest.update(json.dumps([seq, result], sort_keys=True, separators=(",", ":")).encode() + b"\n")


def _amount(draft: EntryDraft, name: str) -> int:
    amount = getattr(draft, name)
    return 0 if amount is None else amount.median


def _median(found: Restated, name: str) -> int:
    output = found.outputs[name]
    return 0 if output is None else output["median"]


def _ends_of(output: Mapping[str, Any] | None) -> list[int | None] | None:
    return None if output is None else [output[end] for end in _ENDS]
