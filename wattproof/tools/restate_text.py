"""A restated period in a few sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wattproof.tools.figures import Figure, energy_text, mass_text
from wattproof.tools.provenance import sentence
from wattproof.tools.restate_result import WHY_LEFT_OUT, RestateResult

__all__ = ["brief"]

_GRIDS = {"stated": "readings as stated", "annual": "annual readings"}

Text = Callable[[Figure], str]


def brief(result: RestateResult) -> str:
    """Original and restated totals, what explains the difference, and where it is kept."""
    of = result.request_count
    words = [f"{result.period['name']} under {result.provenance.methodology} ({_GRIDS[result.grid]}):"]
    words += [f"{result.restated_count:,} of {of:,} request{'' if of == 1 else 's'} restated{_left_words(result)}."]
    for label, name, amount, text in (
        ("Energy", "estimated_energy_kwh", "energy_nwh", energy_text),
        ("CO2e", "estimated_carbon_kg", "carbon_location_ng", _grams_text),
    ):
        before, after = result.original[name], result.restated[name]
        if before is None or after is None:
            words.append(f"{label} unknown.")
            continue
        words.append(f"{label} {text(_thousandfold(before))} -> {text(_thousandfold(after))}.")
        words.append(f"{_explained(result.sums[amount], text)}.")
    words.append(f"Kept as {result.restatement_id}; no entry changed.")
    return " ".join([*words, sentence(result.provenance)])


def _left_words(result: RestateResult) -> str:
    return "".join(f"; {count:,} not: {WHY_LEFT_OUT[reason]}" for reason, count in result.left_out.items())


def _explained(sums: Mapping[str, int], text: Text) -> str:
    """`Difference of the entries' medians +12 g: activity 0 g, factor 0 g, method +12 g`."""
    method = sum(sums[name] for name in ("method_energy", "method_pue", "method_other"))
    parts = {"activity": sums["activity"], "factor": sums["factor"], "method": method}
    if sums["left_out"]:
        parts["left out"] = sums["left_out"]
    told = ", ".join(f"{name} {_signed(amount, text)}" for name, amount in parts.items())
    return f"Difference of the entries' medians {_signed(sums['restated'] - sums['original'], text)}: {told}"


def _signed(nanos: int, text: Text) -> str:
    return ("+" if nanos > 0 else "") + text(Figure(median=nanos * 1e-9, low=None, high=None))


def _grams_text(figure: Figure) -> str:
    return mass_text(figure, "")


def _thousandfold(figure: Figure) -> Figure:
    low, high = (None if part is None else part * 1000 for part in (figure.low, figure.high))
    return Figure(median=figure.median * 1000, low=low, high=high)
