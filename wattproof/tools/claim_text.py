"""A checked claim in a few sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wattproof.tools.provenance import sentence

if TYPE_CHECKING:
    from wattproof.tools.check_claim import ClaimResult

__all__ = ["brief"]

_NAMED = 6
_WORDS = 60
_VERDICTS = {
    "nothing_found": "no rule spoke, which does not make it true",
    "unsupported": "can stand once supported",
    "revise": "revise",
}


def brief(result: ClaimResult) -> str:
    """The verdict, what was found, what is missing, and what to write; the four named fields last.

    What to write is the sentence with everything in it where figures were held against the text, else the rewording of
    the first finding.
    """
    count = result.finding_count
    words = [f"Claim: {_VERDICTS[result.verdict]}; {count} finding{'' if count == 1 else 's'}{_named(result)}."]
    if result.missing:
        words.append(f"Missing beside the figures: {', '.join(result.missing)}.")
    if result.held_against is not None:
        within = sum(row["verdict"] == "within" for row in result.figures)
        name = result.held_against.get("receipt_id", "those given")
        words.append(f"{within} of {len(result.figures)} figures agree with {name}.")
    words += _instead(result)
    words.append("English wording only; not its truth, not legal advice.")
    return " ".join([*words, sentence(result.provenance)])


def _named(result: ClaimResult) -> str:
    told = [f"“{_short(row['words'])}” ({row['rule']})" for row in result.findings[:_NAMED]]
    return f": {', '.join(told)}" if told else ""


def _short(text: str) -> str:
    return text if len(text) <= _WORDS else text[: _WORDS - 1] + "…"


def _instead(result: ClaimResult) -> list[str]:
    first: dict[str, Any] | None = next(iter(result.findings), None)
    if first is not None and (result.held_against is None or first["rule"] == "figure_differs"):
        told = f"{first['rule']}: {first['why']}."
        if result.held_against is None:
            return [told, f"Write instead: {first['instead']}"]
        return [told, f"Write: {result.suggested}"]
    return [] if result.suggested is None else [f"Write: {result.suggested}"]
