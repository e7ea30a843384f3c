"""Figures of a text beside the figures of a receipt or of the caller, and the sentence that states the latter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from wattproof.methodology.errors import InvalidInput
from wattproof.tools.figures import Figure, energy_text, mass_text, significant
from wattproof.tools.provenance import StatedProvenance

if TYPE_CHECKING:
    from wattproof.methodology.claims import Amount, Figures
    from wattproof.tools.deps import Deps

__all__ = ["Held", "held_figures", "held_receipt", "judged_amounts", "stated_text"]

_NANO = 1e-9
_ROUNDING = 0.06
"""Two significant figures are within this of the number that they round."""

_QUANTITIES = ("energy_wh", "carbon_gco2e")
# The same quantity under the names of summaries: (name there, what one of its unit is here).
_SUMMARY_NAMES = {"estimated_energy_kwh": ("energy_wh", 1e3), "estimated_carbon_kg": ("carbon_gco2e", 1e3)}
_FORM = "give {energy_wh: {median, low, high}, carbon_gco2e: {…}} as a result states them"


@dataclass(frozen=True, slots=True)
class Held:
    """What a text is held against. `stated` has a figure by quantity, in Wh and g; `words` tells them in one line.

    `named` says where they come from. `request` describes the receipt's request, None for figures of the caller.
    """

    stated: Mapping[str, Figure]
    words: str
    named: dict[str, Any]
    provenance: StatedProvenance
    request: str | None = None
    intensity_gco2e_per_kwh: float | None = None


def held_figures(given: Mapping[str, Any]) -> Held:
    """Figures that the caller gives, in the form of any result.

    Raises:
        InvalidInput: none of the known names, or no {median, low, high} under one.
    """
    stated: dict[str, Figure] = {}
    for name, value in given.items():
        quantity, factor = _SUMMARY_NAMES.get(name, (name, 1.0))
        if quantity in _QUANTITIES and value is not None:
            stated[quantity] = _scaled(_figure(name, value), factor)
    if not stated:
        raise InvalidInput("figures", f"name none of {', '.join((*_QUANTITIES, *_SUMMARY_NAMES))}", _FORM)
    provenance = StatedProvenance(
        region_scope="unstated", energy_source="unstated", methodology="unstated", renewable_ratio_bps=None
    )
    return Held(stated, _words(stated), {"source": "caller"}, provenance)


def _figure(name: str, value: object) -> Figure:
    from pydantic import ValidationError

    if isinstance(value, int | float) and not isinstance(value, bool):
        value = {"median": value, "low": None, "high": None}
    try:
        return Figure.model_validate(value)
    except ValidationError as error:
        raise InvalidInput(f"figures.{name}"[:60], "is no {median, low, high}", _FORM) from error


async def held_receipt(receipt_id: str, deps: Deps) -> Held:
    """What a receipt of this ledger states, and whether it stands.

    Raises:
        InvalidInput: no receipt of this ledger has the id, or it states no figures.
        LedgerError: the ledger cannot be read.
    """
    from wattproof.tools.verify_receipt import VerifyArgs, verify_receipt

    if not receipt_id.startswith("r_"):
        raise InvalidInput(
            "receipt_id", "is not the id of a receipt", "give r_ and 26 characters, as a run returned it"
        )
    checked = await verify_receipt(VerifyArgs(receipt=receipt_id, detail="full"), deps)
    statement = checked.statement or {}
    outputs = cast("dict[str, Any]", statement.get("outputs") or {})
    pairs = (("energy_wh", "energy_nwh"), ("carbon_gco2e", "carbon_location_ng"))
    stated = {name: _from_receipt(outputs[kept]) for name, kept in pairs if isinstance(outputs.get(kept), dict)}
    if not stated:
        raise InvalidInput("receipt_id", "names a receipt without figures", "give the receipt of a request")
    grid = checked.grid
    return Held(
        stated,
        _words(stated),
        {"receipt_id": receipt_id, "receipt": checked.outcome},
        checked.provenance,
        _request(statement),
        None if grid is None else grid["intensity_gco2e_per_kwh"],
    )


def _from_receipt(amount: Mapping[str, Any]) -> Figure:
    median, low, high = (amount.get(name) for name in ("median", "low", "high"))
    return _scaled(Figure(median=median or 0, low=low, high=high), _NANO)


def _scaled(figure: Figure, factor: float) -> Figure:
    low, high = (None if bound is None else bound * factor for bound in (figure.low, figure.high))
    return Figure(median=figure.median * factor, low=low, high=high)


def _request(statement: Mapping[str, Any]) -> str:
    if statement.get("kind") == "operation":
        return "one workflow"
    usage = cast("dict[str, Any]", statement.get("usage") or {})
    tokens = f"{usage.get('input_tokens', 0):,} input and {usage.get('output_tokens', 0):,} output tokens"
    return f"one request to {statement.get('model')} ({tokens}) on {str(statement.get('occurred_at'))[:10]}"


def _words(stated: Mapping[str, Figure]) -> str:
    return " and ".join(_text(name, figure) for name, figure in stated.items())


def _text(quantity: str, figure: Figure) -> str:
    return energy_text(figure) if quantity == "energy_wh" else mass_text(figure)


def judged_amounts(amounts: Sequence[Amount], held: Held | None) -> list[dict[str, Any]]:
    """Each amount of energy or carbon of a text: within, differs or not_compared; the intensity too where known."""
    if held is None:
        return []
    judged = (_judged(amount, held) for amount in amounts if amount.quantity != "percent")
    return [row for row in judged if row is not None]


def _judged(amount: Amount, held: Held) -> dict[str, Any] | None:
    row: dict[str, Any] = {"text": amount.text[:80], "at": amount.start, "quantity": amount.quantity}
    if amount.quantity == "intensity_gco2e_per_kwh":
        known = held.intensity_gco2e_per_kwh
        if known is None or amount.value is None:
            return {**row, "verdict": "not_compared"}
        told = f"{significant(known)} gCO2e/kWh"
        return _row(row, _near(amount.value, known), told, f"the receipt's grid reading is {told}")
    figure = held.stated.get(amount.quantity)
    if figure is None:
        return {**row, "verdict": "not_compared"}
    told = _text(amount.quantity, figure)
    problem = _problem(amount, figure)
    return _row(row, problem is None, told, f"{problem}; stated is {told}")


def _row(row: dict[str, Any], agrees: bool, told: str, reason: str) -> dict[str, Any]:
    if agrees:
        return {**row, "verdict": "within"}
    return {**row, "verdict": "differs", "reason": reason, "stated_as": told}


def _problem(amount: Amount, figure: Figure) -> str | None:
    """Why an amount does not say what the figure says; None where it does, to two significant figures."""
    if amount.low is not None and amount.high is not None:
        if figure.low is None or figure.high is None:
            return "an interval where none is stated"
        if not (_near(amount.low, figure.low) and _near(amount.high, figure.high)):
            return "another interval"
    if amount.value is None or _near(amount.value, figure.median):
        return None
    if figure.low is None or figure.high is None:
        return "another value"
    if figure.low * (1 - _ROUNDING) <= amount.value <= figure.high * (1 + _ROUNDING):
        return None
    times = amount.value / figure.median if figure.median else None
    return "outside the interval" + ("" if times is None else f", {significant(times)} times the median")


def _near(stated: float, known: float) -> bool:
    return abs(stated - known) <= _ROUNDING * abs(known)


def stated_text(figures: Figures, held: Held | None) -> str | None:
    """A sentence with everything that a figure needs: filled in from what is held, else from the text's own numbers."""
    if held is None:
        own = [" ".join(a.text.split()) for a in figures.amounts if a.quantity != "percent"][:2]
        if not own:
            return None
        return (
            f"Estimated {' and '.join(own)} ([low–high]) for [unit of work, tokens, period], location-based in "
            "[zone at g/kWh, source, year], method [id@version]; [boundary]; training and network not covered."
        )
    named = held.provenance
    where = f"location-based, {named.region_scope}"
    if held.intensity_gco2e_per_kwh is not None:
        where += f" at {significant(held.intensity_gco2e_per_kwh)} gCO2e/kWh"
    of = held.request or "[unit of work, tokens, period]"
    return (
        f"Estimated {held.words} for {of}; {where}; method {named.methodology}, 90 % interval; server operation, "
        "training and network not covered; inputs not independently audited."
    )
