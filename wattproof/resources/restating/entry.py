"""One entry under another method: its figures, and how much of the difference is activity, factor and method.

The difference is taken apart one step after the other, for energy [nWh] and location-based carbon [ng] alike:

    activity        usage as it is known now, by the method and at the reading of the receipt
    factor          then the grid reading: corrected since, or the annual average where that was asked for
    method          then the method: its energy at the PUE and the reading as they were (method_energy), its PUE
                    (method_pue), and what is left (method_other: manufacture that one of the two counts in, rounding)

Each step starts where the one before ended, so that the parts add up to the difference to the unit. Which step comes
first decides who gets what two of them cause together; activity comes first because it is what was done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

from wattproof.methodology.errors import InvalidInput, NotDefined, UnknownMethod, UnknownName
from wattproof.methodology.integers import outputs
from wattproof.methodology.methods import Activity, Intensity, Method, get_method
from wattproof.methodology.models import find_model
from wattproof.methodology.propagate import Loadings, mean, scoped
from wattproof.methodology.quantity import Footprint, Operand, Term, Usage, Workload
from wattproof.resources.grid import reading_for
from wattproof.resources.receipts.batch import SCALED_COUNTS
from wattproof.resources.receipts.schema import USAGE_COUNTS, instant
from wattproof.resources.restating.facts import known_of_deployment

__all__ = ["EXPLAINED", "PARTS", "Basis", "GridBasis", "MeanTerm", "Restated", "Unrestatable", "restated_entry"]

GridBasis = Literal["stated", "annual"]
Outputs = Mapping[str, Mapping[str, Any] | None]

EXPLAINED = ("energy_nwh", "carbon_location_ng")
PARTS = ("activity", "factor", "method_energy", "method_pue", "method_other")
"""The parts of a difference; the last three are the method's."""

MeanTerm = tuple[float, float, Loadings, Loadings]
"""Mean energy [Wh], mean carbon [g], and the loadings of each with factors named by scope."""

_INTENSITY, _SIGMA = "intensity_gco2e_per_kwh", "sigma_ln_intensity"
# 1 g/kWh is 1e9 ng over 1e12 nWh.
_NG_PER_NWH = 1e-3

_ROW = ("name", "value", "exp10", "unit", "source_id")

_Numbers = Mapping[str, float]
_Pair = tuple[int, int]


class Unrestatable(Exception):
    """An entry that cannot be restated; `reason` is a code that is counted."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Basis:
    """Under what a period is restated: a method, and the readings of the receipts or the annual averages."""

    method: Method
    grid: GridBasis = "stated"


@dataclass(frozen=True, slots=True)
class Restated:
    """One entry under another basis. `outputs` and `interval` are as in a receipt, of all its requests together.

    `parts` explain the difference for each of `EXPLAINED`: their sum over PARTS is the restated median less the
    original one.
    """

    outputs: Outputs
    interval: str
    terms: tuple[MeanTerm, ...]
    parts: Mapping[str, tuple[int, ...]]
    tier: str
    zone: str
    energy_source: str
    renewable_ratio_bps: int | None


@dataclass(frozen=True, slots=True)
class _Factor:
    """The electricity that an entry is accounted at."""

    gco2e_per_kwh: float
    sigma_ln: float
    source: str
    zone: str
    renewable_ratio_bps: int | None

    @property
    def energy_source(self) -> str:
        return "unknown-mix" if self.zone.startswith("unknown:") else "grid-mix"


def restated_entry(
    stated: Mapping[str, Any], now: Mapping[str, Any], usage: Usage, basis: Basis, *, requests: int | None = 1
) -> Restated:
    """Restate an entry whose receipt states `stated`, and of which `now` and `usage` say how it stands.

    `requests` is how many the entry stands for: its outputs are those of the average one, as often. Where that is
    unknown (None), only the method that it was recorded under can say what it takes.

    Raises:
        Unrestatable: its model or its method is not known here, the method does not define energy and carbon for it or
            takes an input that nobody recorded, or it states no figures.
    """
    try:
        case = _Case(stated, now, usage, basis, requests or 1)
        if requests is None and not case.is_same_method:
            raise Unrestatable("requests_unknown")
        return case.restated()
    except UnknownMethod as error:
        raise Unrestatable("original_method_unknown") from error
    except UnknownName as error:
        raise Unrestatable("model_unknown") from error
    except NotDefined as error:
        raise Unrestatable("not_defined") from error
    except InvalidInput as error:
        raise Unrestatable("input_missing") from error


class _Case:
    """One entry on its way from the original to the restated figures."""

    def __init__(
        self, stated: Mapping[str, Any], now: Mapping[str, Any], usage: Usage, basis: Basis, requests: int
    ) -> None:
        self.stated = stated
        self.now = now
        self.usage = usage
        self.basis = basis
        self.requests = requests
        operands = [_operand(*map(row.__getitem__, _ROW)) for row in stated["operands"]]
        self.held = {operand.name: operand for operand, _ in operands}
        self._held_numbers = {operand.name: number for operand, number in operands}

    def restated(self) -> Restated:
        original = _explained(self.stated["outputs"])
        base = self._counted(self._held_numbers, Usage(**{name: self.stated["usage"][name] for name in USAGE_COUNTS}))
        active = self._counted(self._held_numbers, self.usage)
        read = {**active, **{name: number for name, number in self._factor_numbers.items() if name in active}}
        after_activity = original if active == base else _explained(self._outputs(self._original_method, active))
        after_factor = after_activity if read == active else _explained(self._outputs(self._original_method, read))
        same = self.is_same_method
        footprint = self._computed(self.basis.method, read) if same else self._asked()
        pue_then = read.get("pue") if same else self.basis.method.constants(self.activity).numbers.get("pue")
        found = self.stated["outputs"] if same and read == base else outputs(footprint, self.requests)
        steps = (original, after_activity, after_factor, _explained(found))
        located = not self.factor.zone.startswith("unknown:")
        return Restated(
            outputs=found,
            interval=footprint.interval,
            terms=self._terms(footprint),
            parts=_parts(steps, self.factor.gco2e_per_kwh, read.get("pue"), pue_then),
            tier=footprint.tier if located else "proxy",
            zone=self.factor.zone,
            energy_source=self.stated["energy_source"] if self.basis.grid == "stated" else self.factor.energy_source,
            renewable_ratio_bps=self.factor.renewable_ratio_bps if located else None,
        )

    @cached_property
    def factor(self) -> _Factor:
        """The reading that accounts: of the receipt, corrected where it was since, or the annual average."""
        accounting = self.now["grid"]["accounting"]
        if self.basis.grid == "annual":
            zone: str = self.stated["zone"]
            known = None if zone.startswith("unknown:") else zone
            annual = reading_for(known, self.stated["provider"], instant(self.stated["occurred_at"]))
            return _Factor(
                annual.value_gco2e_per_kwh, annual.sigma_ln, annual.source, annual.zone, annual.renewable_ratio_bps
            )
        return _Factor(
            accounting["value_mgco2e_per_kwh"] / 1000,
            accounting["sigma_ln_millionths"] / 1_000_000,
            accounting["source"],
            self.stated["region_scope"],
            accounting["renewable_ratio_bps"],
        )

    @cached_property
    def _factor_numbers(self) -> _Numbers:
        """What the reading makes of the original method's operands. A correction changed the intensity alone."""
        if self.basis.grid == "annual":
            return {
                _INTENSITY: Operand.of(_INTENSITY, self.factor.gco2e_per_kwh, "gCO2e/kWh", self.factor.source).number,
                _SIGMA: Operand.of(_SIGMA, self.factor.sigma_ln, "sd of ln", self.factor.source).number,
            }
        return {row["name"]: Operand(**row).number for row in self.now["operands"] if row["name"] == _INTENSITY}

    @property
    def is_same_method(self) -> bool:
        """Whether it was recorded under the very method that is asked for."""
        method = self.basis.method
        return method.id == self.stated["method_id"] and method.sha256 == self.stated["method_sha256"]

    @property
    def _original_method(self) -> Method:
        method = get_method(self.stated["method_id"])
        if method.sha256 != self.stated["method_sha256"]:
            raise Unrestatable("original_method_unknown")
        return method

    def _counted(self, numbers: _Numbers, usage: Usage) -> dict[str, float]:
        """The numbers with these token counts, of one request on average."""
        counts = {name: getattr(usage, name) / self.requests for name in SCALED_COUNTS if name in numbers}
        return {**numbers, **counts}

    def _outputs(self, method: Method, numbers: _Numbers) -> Outputs:
        return outputs(self._computed(method, numbers), self.requests)

    def _computed(self, method: Method, numbers: _Numbers) -> Footprint:
        return method.compute(numbers, self.stated["boundary"])

    def _asked(self) -> Footprint:
        """What the method asked for gives, of one request on average."""
        method = self.basis.method
        if self.requests == 1:
            return method.footprint(self.activity, self.stated["boundary"])
        numbers = {operand.name: operand.number for operand in method.operands(self.activity)}
        return self._computed(method, self._counted(numbers, self.usage))

    @cached_property
    def activity(self) -> Activity:
        """What was done, and what the receipt tells of the deployment; the rest the method assumes."""
        stated, latency_ms = self.stated, self.stated["latency_ms"]
        return Activity(
            workload=Workload(stated["workload"]),
            usage=self.usage,
            model=find_model(stated["model"]),
            intensity=Intensity(self.factor.gco2e_per_kwh, self.factor.sigma_ln, self.factor.source),
            latency_s=latency_ms / 1000 if latency_ms and stated["status"] == "completed" else None,
            requested_on=stated["occurred_at"][:10],
            **known_of_deployment(self.stated["method_id"], self.held),
        )

    def _terms(self, footprint: Footprint) -> tuple[MeanTerm, ...]:
        """The terms of all requests together; where the method has none, the whole as one term of no width."""
        values = {"model": self.stated["model"], "zone": self.factor.zone, "provider": self.stated["provider"]}
        scopes = self.basis.method.factor_scopes
        energy = scoped(footprint.energy_terms, scopes, values)
        carbon = scoped(footprint.carbon_terms, scopes, values)
        if len(energy) != len(carbon) or not energy:
            assert footprint.energy_wh is not None
            assert footprint.carbon_gco2e is not None
            energy = (Term("(whole)", footprint.energy_wh.median),)
            carbon = (Term("(whole)", footprint.carbon_gco2e.median),)
        return tuple(
            (mean(e) * self.requests, mean(c) * self.requests, e.loadings, c.loadings)
            for e, c in zip(energy, carbon, strict=True)
        )


@lru_cache(maxsize=8192)
def _operand(name: str, value: int, exp10: int, unit: str, source_id: str) -> tuple[Operand, float]:
    """An operand and its number; most are the same from one request to the next."""
    operand = Operand(name, value, exp10, unit, source_id)
    return operand, operand.number


def _explained(found: Outputs) -> _Pair:
    """The medians of energy and carbon.

    Raises:
        Unrestatable: one of them is not known.
    """
    energy, carbon = (found[name] for name in EXPLAINED)
    if energy is None or carbon is None:
        raise Unrestatable("no_figures")
    return energy["median"], carbon["median"]


def _parts(
    steps: tuple[_Pair, _Pair, _Pair, _Pair], gco2e_per_kwh: float, pue: float | None, pue_then: float | None
) -> dict[str, tuple[int, ...]]:
    """What each step adds to energy and carbon, the last one split."""
    original, active, read, found = steps
    energy_nwh = found[0] - read[0]
    # Without a PUE on both sides, what it does is a part of the energy.
    pue_nwh = round(found[0] * (1 - pue / pue_then)) if pue and pue_then else 0
    ng_per_nwh = gco2e_per_kwh * _NG_PER_NWH
    energy_ng, pue_ng = round(energy_nwh * ng_per_nwh), round(pue_nwh * ng_per_nwh)
    carbon_ng = found[1] - read[1]
    by_method = (
        (energy_nwh - pue_nwh, pue_nwh, 0),
        (energy_ng - pue_ng, pue_ng, carbon_ng - energy_ng),
    )
    return {
        name: (active[at] - original[at], read[at] - active[at], *by_method[at]) for at, name in enumerate(EXPLAINED)
    }
