"""What a method is: a named, versioned, hashed way to turn an activity into a footprint.

Every figure goes the same way, in an estimate and in a receipt: activity -> operands (integers) -> numbers -> compute.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Any, Literal

from wattproof.methodology.data import read_edition
from wattproof.methodology.errors import InvalidInput, NotDefined
from wattproof.methodology.methods.activity import Activity
from wattproof.methodology.quantity import Boundary, Footprint, IntervalKind, Operand, Quantity, Tier, Workload

__all__ = ["Constants", "FactorScope", "Method", "Prepared", "PreparedEnergy", "factor_operand", "token_operands"]

FactorScope = Literal["model", "zone", "provider", "global"]


Prepared = Callable[[Mapping[str, float]], Footprint]
"""A method made ready for one deployment: from the numbers of a request's variables to its footprint."""

PreparedEnergy = Callable[[Mapping[str, float]], "Quantity | None"]
"""The same, to the energy alone [Wh at the wall]."""


@dataclass(frozen=True, eq=False, slots=True)
class Constants:
    """The operands that do not change between two requests to the same deployment, and their numbers."""

    operands: tuple[Operand, ...]
    numbers: dict[str, float]

    @classmethod
    def of(cls, operands: Iterable[Operand]) -> Constants:
        kept = tuple(operands)
        return cls(kept, {operand.name: operand.number for operand in kept})


@dataclass(frozen=True, eq=False)
class Method:
    """One named method.

    `formula` is what the code computes, as text. `operand_units` names every operand and its unit. `factor_scopes` says
    over what each uncertain factor is shared. `assumed` lists the inputs of an activity that nobody supplied.
    `constants` and `variables` make the operands; `prepare` is the only place where the formula is code, and
    `prepare_energy` a shorter way through it to the energy, where there is one.
    `embodied_included` is true where `carbon_gco2e` holds the share of manufacturing the hardware. `optional_operands`
    are groups of operands that are absent together where nobody knows them. `caveats` says what a reader must know of
    this method's figure for an activity, e.g. an error in the registry that it rests on.
    """

    id: str
    aliases: tuple[str, ...]
    title: str
    summary: str
    formula: str
    interval: IntervalKind
    tier: Tier
    indicators: tuple[str, ...]
    workloads: tuple[Workload, ...]
    sources: tuple[str, ...]
    not_covered: tuple[str, ...]
    operand_units: Mapping[str, str]
    factor_scopes: Mapping[str, FactorScope]
    assumed: Callable[[Activity], tuple[str, ...]]
    constants: Callable[[Activity], Constants]
    variables: Callable[[Activity], tuple[Operand, ...]]
    prepare: Callable[[Mapping[str, float], Boundary], Prepared]
    prepare_energy: Callable[[Mapping[str, float], Boundary], PreparedEnergy] | None = None
    embodied_included: bool = False
    optional_operands: tuple[frozenset[str], ...] = ()
    caveats: Callable[[Activity], tuple[str, ...]] = lambda _: ()

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the canonical JSON of the definition, in hex."""
        definition: dict[str, Any] = {
            "formula": self.formula,
            "id": self.id,
            "indicators": sorted(self.indicators),
            "interval": self.interval,
            "operands": dict(self.operand_units),
        }
        if self.optional_operands:
            definition["optional_operands"] = sorted(sorted(group) for group in self.optional_operands)
        canonical = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode("ascii")).hexdigest()

    def operands(self, activity: Activity) -> tuple[Operand, ...]:
        """Every numeric input of the formula for this activity, quantised, sorted by name.

        Raises:
            NotDefined: the method does not cover the workload.
            InvalidInput: an input is not a finite number of a sane size.
        """
        self._require_covered(activity.workload)
        return tuple(sorted((*self.constants(activity).operands, *self.variables(activity)), key=attrgetter("name")))

    def footprint(self, activity: Activity, boundary: Boundary = "comprehensive") -> Footprint:
        """What `compute` gives for the operands of `activity`; the part that its deployment fixes is worked out once.

        Raises as `operands` does.
        """
        self._require_covered(activity.workload)
        varying = {operand.name: operand.number for operand in self.variables(activity)}
        return _prepared(self, self.constants(activity), boundary)(varying)

    def energy_wh(self, activity: Activity, boundary: Boundary = "comprehensive", **other: float) -> Quantity | None:
        """The energy of `footprint` [Wh at the wall], worked out without the rest where the method knows how.

        `other` are values of variables instead of those of the activity, e.g. `output_tokens`; a method without such a
        variable does not depend on it.

        Raises as `operands` does.
        """
        self._require_covered(activity.workload)
        varying = {operand.name: operand.number for operand in self.variables(activity)}
        for name in varying.keys() & other.keys():
            varying[name] = other[name]
        constants = self.constants(activity)
        if self.prepare_energy is None:
            return _prepared(self, constants, boundary)(varying).energy_wh
        return _prepared_energy(self.prepare_energy, constants, boundary)(varying)

    def compute(self, numbers: Mapping[str, float], boundary: Boundary = "comprehensive") -> Footprint:
        """The footprint of one request from the numbers of its operands. Pure.

        Raises:
            InvalidInput: an operand is missing, unknown, or outside the domain of the formula.
        """
        wrong = self._wrong_operands(frozenset(numbers))
        if wrong:
            named = ", ".join(sorted(wrong))
            raise InvalidInput("operands", f"differ from those of {self.id}: {named[:200]}", "give each once")
        try:
            return self.prepare(numbers, boundary)(numbers)
        except (ValueError, OverflowError, ZeroDivisionError) as error:
            problem = f"are outside the domain of {self.id} ({error})"
            raise InvalidInput("operands", problem, "check each value") from error

    def _wrong_operands(self, names: frozenset[str]) -> frozenset[str]:
        """The operands that are missing or unknown; those of an optional group may be missing all together."""
        left_out = [group for group in self.optional_operands if not group & names]
        return (names ^ frozenset(self.operand_units)) - frozenset().union(*left_out)

    def undefined(self, *indicators: str) -> dict[str, str]:
        """The reasons for indicators that this method leaves null."""
        return dict.fromkeys(indicators, f"not defined by {self.id}")

    def _require_covered(self, workload: Workload) -> None:
        if workload not in self.workloads:
            covered = ", ".join(self.workloads)
            raise NotDefined(f"{self.id} does not cover the workload {workload.value!r}; it covers {covered}.")


@lru_cache(maxsize=4096)
def _prepared(method: Method, constants: Constants, boundary: Boundary) -> Prepared:
    return method.prepare(constants.numbers, boundary)


@lru_cache(maxsize=4096)
def _prepared_energy(
    prepare: Callable[[Mapping[str, float], Boundary], PreparedEnergy], constants: Constants, boundary: Boundary
) -> PreparedEnergy:
    return prepare(constants.numbers, boundary)


def factor_operand(name: str, unit: str, factor: str | None = None) -> Operand:
    """The operand `name` from the edition's table of factors, where it is called `factor` (by default the same)."""
    table = read_edition("wattproof/factors.json")
    return Operand.of(name, table["factors"][factor or name]["value"], unit, table["source_id"])


def token_operands(activity: Activity) -> tuple[Operand, ...]:
    """The token counts of the activity, exact."""
    usage = activity.usage
    return (
        Operand("cached_input_tokens", usage.cached_input_tokens, 0, "token", "usage"),
        Operand("input_tokens", usage.input_tokens, 0, "token", "usage"),
        Operand("output_tokens", usage.output_tokens, 0, "token", "usage"),
    )
