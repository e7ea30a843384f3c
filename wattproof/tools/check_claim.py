"""Check the wording of an environmental claim, and its figures against a receipt or an estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from wattproof.methodology.errors import InvalidInput
from wattproof.tools.claim_figures import Held, held_figures, held_receipt, judged_amounts, stated_text
from wattproof.tools.claim_text import brief
from wattproof.tools.provenance import StatedProvenance
from wattproof.tools.result import JSON_TEXT, Arguments, Detail, Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wattproof.methodology.claims import Figures, Finding, Use, Wording
    from wattproof.tools.deps import Deps

__all__ = ["ClaimArgs", "ClaimResult", "brief", "check_claim"]

_LONGEST = 20_000
_FINDINGS_IN_BRIEF = 5
_EXCERPT = 160

Verdict = Literal["nothing_found", "unsupported", "revise"]

_UNITS = {"energy_wh": "Wh", "carbon_gco2e": "g CO2e"}
_NOT_CHECKED = ("its truth", "languages but English", "any law: this is not legal advice")


class ClaimArgs(Arguments):
    """Arguments of `check_claim`."""

    text: Annotated[str, Field(min_length=1, max_length=_LONGEST, description="The claim or page, English")]
    receipt_id: Annotated[
        str | None, Field(max_length=100, description="Receipt of this ledger that the figures must agree with")
    ] = None
    figures: Annotated[
        Annotated[dict[str, Any], JSON_TEXT] | None,
        Field(description="Instead: {energy_wh?, carbon_gco2e?}, each {median, low, high}, as results give them"),
    ] = None
    use: Annotated[Literal["internal", "b2b", "b2c"] | None, Field(description="Who reads it; default b2c")] = None
    detail: Annotated[Detail | None, Field(description="full: every finding with its reason")] = None


class ClaimResult(Result):
    """What `check_claim` returns.

    `nothing_found` says that no rule spoke, not that the text is right; `unsupported`: the words can stand once what is
    in `missing` is stated; `revise`: words or figures must change. `at` counts characters of the text.
    """

    omitted_when_null: ClassVar[frozenset[str]] = frozenset({"held_against", "needs"})
    unlisted: ClassVar[frozenset[str]] = frozenset({"not_checked", "use"})
    told_last: ClassVar[tuple[str, ...]] = ("not_checked", "reasons", "provenance")

    verdict: Verdict
    finding_count: int
    findings: tuple[dict[str, Any], ...]
    missing: tuple[str, ...]
    needs: dict[str, str] | None = None
    figures: tuple[dict[str, Any], ...]
    suggested: str | None
    held_against: dict[str, Any] | None = None
    use: Literal["internal", "b2b", "b2c"]
    not_checked: tuple[str, ...]
    reasons: dict[str, str]
    provenance: StatedProvenance


async def check_claim(args: ClaimArgs, deps: Deps) -> ClaimResult:
    """Hold a text against the rules for claims, and its figures against a receipt or figures of the caller.

    Raises:
        InvalidInput: no such receipt, receipt and figures together, or figures that are none.
        LedgerError: the ledger cannot be read.
    """
    from wattproof.methodology.claims import check_wording, figures_of

    if args.receipt_id is not None and args.figures is not None:
        raise InvalidInput("figures", "are given together with receipt_id", "give one of them")
    held = held_figures(args.figures) if args.figures is not None else None
    if args.receipt_id is not None:
        held = await held_receipt(args.receipt_id, deps)
    use = args.use or "b2c"
    figures = figures_of(args.text)
    wording = check_wording(args.text, figures_of=None if held is None else held.words)
    amounts = judged_amounts(figures.amounts, held)
    findings = [*_wording_rows(wording, use), *_precision_rows(figures), *_outside_rows(amounts)]
    full = args.detail == "full"
    return ClaimResult(
        verdict=_verdict(findings, figures),
        finding_count=len(findings),
        findings=tuple(_shown(row, full=full) for row in findings[: None if full else _FINDINGS_IN_BRIEF]),
        missing=tuple(figures.missing),
        needs=dict(figures.missing) if full else None,
        figures=tuple(amounts[: None if full else _FINDINGS_IN_BRIEF]),
        suggested=stated_text(figures, held) if findings or figures.missing else None,
        held_against=None if held is None else held.named,
        use=use,
        not_checked=_not_checked(wording, held),
        reasons=_reasons(findings, figures, held),
        provenance=_provenance(held),
    )


def _verdict(findings: Sequence[dict[str, Any]], figures: Figures) -> Verdict:
    if any(row["level"] == "revise" for row in findings):
        return "revise"
    return "unsupported" if findings or figures.missing else "nothing_found"


def _wording_rows(wording: Wording, use: Use) -> list[dict[str, Any]]:
    return [_wording_row(finding, use) for finding in wording.findings]


def _wording_row(finding: Finding, use: Use) -> dict[str, Any]:
    rule = finding.rule
    applies = use in rule.regime.uses
    regime = {"name": rule.regime.name, "since": rule.regime.since, "about": rule.regime.about}
    return {
        "rule": rule.id,
        "level": rule.level,
        "at": finding.start,
        "words": _cut(finding.words),
        "sentence": _cut(finding.sentence),
        "why": rule.why if applies else f"{rule.why}; binding once consumers get to see it",
        "instead": finding.instead,
        "regime": regime,
    }


def _precision_rows(figures: Figures) -> list[dict[str, Any]]:
    return [
        {
            "rule": "precision",
            "level": "support",
            "at": amount.start,
            "words": _cut(amount.text),
            "sentence": _cut(amount.text),
            "why": "an estimate whose interval spans a factor does not carry four significant figures",
            "instead": f"About {float(f'{amount.value or 0:.1e}'):g} {_UNITS[amount.quantity]}, with the interval.",
            "regime": {"name": "evidence", "since": "always", "about": "the figure says more than it can show"},
        }
        for amount in figures.too_precise
    ]


def _outside_rows(amounts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "rule": "figure_differs",
            "level": "revise",
            "at": row["at"],
            "words": _cut(row["text"]),
            "sentence": _cut(row["text"]),
            "why": row["reason"],
            "instead": f"{row['stated_as']}.",
            "regime": {"name": "evidence", "since": "always", "about": "the text and its receipt differ"},
        }
        for row in amounts
        if row["verdict"] == "differs"
    ]


def _shown(row: dict[str, Any], *, full: bool) -> dict[str, Any]:
    if full:
        return row
    return {name: row[name] for name in ("rule", "level", "at", "words", "why", "instead")} | {
        "regime": row["regime"]["name"]
    }


def _cut(text: str) -> str:
    """Words of the caller as data: capped, no control characters."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown if len(shown) <= _EXCERPT else shown[: _EXCERPT - 1] + "…"


def _not_checked(wording: Wording, held: Held | None) -> tuple[str, ...]:
    told: list[str] = list(_NOT_CHECKED)
    if wording.quoted:
        told.append("quoted words; rules that would speak: " + ", ".join(wording.quoted))
    if held is None:
        told.append("its figures: no receipt_id or figures given")
    return tuple(told)


def _reasons(findings: Sequence[dict[str, Any]], figures: Figures, held: Held | None) -> dict[str, str]:
    reasons: dict[str, str] = {}
    if not findings and not figures.missing:
        reasons["suggested"] = "nothing to change was found"
    if held is None or held.provenance.renewable_ratio_bps is None:
        reasons["renewable_ratio_bps"] = "about words, not electricity" if held is None else "not stated"
    return reasons


def _provenance(held: Held | None) -> StatedProvenance:
    """The receipt's own four fields; the rules alone where no figures were given."""
    if held is not None:
        return held.provenance
    from wattproof.methodology.claims import rule_set

    return StatedProvenance(
        region_scope="none",
        energy_source="none",
        methodology=rule_set().id,
        renewable_ratio_bps=None,
        as_stated=False,
    )
