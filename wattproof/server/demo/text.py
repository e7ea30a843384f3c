"""The demo's text: one labelled paragraph per step, under 25 lines of at most 110 characters."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from wattproof.tools import estimate_request, summarize_ledger
from wattproof.tools.figures import energy_text, mass_text
from wattproof.tools.provenance import sentence

if TYPE_CHECKING:
    from wattproof.tools.estimate_request import EstimateResult
    from wattproof.tools.run_inference import RunResult
    from wattproof.tools.summarize_ledger import SummaryResult
    from wattproof.tools.verify_receipt import VerifyResult

__all__ = ["MAX_LINES", "real_text", "unreal_text"]

MAX_LINES = 24
_WIDTH = 110
_LABEL_WIDTH = 11
_ANSWER_LINES = 3


def real_text(
    question: str,
    estimate: EstimateResult,
    run: RunResult,
    verify: VerifyResult,
    summary: SummaryResult,
    *,
    note: str | None,
) -> str:
    """The whole job with a real answer."""
    return _page(
        ("note", note),
        ("question", question),
        ("estimate", estimate_request.brief(estimate)),
        ("route", _route(run)),
        ("answer", _cut(run.answer or f"none ({run.reasons.get('answer', 'the model returned no text')})")),
        ("footprint", _footprint(run)),
        ("verify", _verdicts(verify)),
        ("summary", summarize_ledger.brief(summary)),
        ("next", "wattproof install claude-desktop (or vscode, cursor, claude-code); wattproof --help"),
    )


def unreal_text(estimate: EstimateResult, run: RunResult, verify: VerifyResult, *, note: str | None) -> str:
    """What is possible without a model; it says that there was no real inference."""
    return _page(
        ("note", note),
        ("estimate", estimate_request.brief(estimate)),
        ("route", f"Dry run under 100 gCO2e/kWh, nothing was sent. {_route(run)}"),
        ("answer", "none: no real inference. No model runs here and an answer is never made up."),
        ("verify", f"A receipt that ships with wattproof: {_verdicts(verify)}"),
        ("next", "apply the fix above, or start Ollama, vLLM or llama.cpp; then: wattproof demo"),
    )


def _page(*paragraphs: tuple[str, str | None]) -> str:
    return "\n".join(_paragraph(label, text) for label, text in paragraphs if text)


def _paragraph(label: str, text: str) -> str:
    head, indent = label.ljust(_LABEL_WIDTH), " " * _LABEL_WIDTH
    return textwrap.fill(
        text, _WIDTH, initial_indent=head, subsequent_indent=indent, break_long_words=True, break_on_hyphens=False
    )


def _cut(answer: str) -> str:
    lines = _ANSWER_LINES * (_WIDTH - _LABEL_WIDTH)
    return textwrap.shorten(answer, lines, placeholder=" …")


def _route(run: RunResult) -> str:
    zone = run.grid["zone"]
    shown = "zone unknown (set WATTPROOF_ZONE)" if zone.startswith("unknown:") else zone
    where = " on this machine, no key needed" if run.provider_id == "embedded" else ""
    place, decision = f"{run.provider_id}{where}, {shown}", run.decision
    if decision is None:
        return f"{place}."
    excluded = ", ".join(f"{count} {code.replace('_', ' ')}" for code, count in decision["excluded"].items())
    decided = decision["decided_by"]
    why = "no other was left to choose" if decided == "only candidate" else f"{decided} decided"
    others = f" Excluded: {excluded}." if excluded else ""
    return f"{place}: {decision['allowed']} of {decision['candidates']} candidates allowed; {why}.{others}"


def _footprint(run: RunResult) -> str:
    energy = "energy unknown" if run.energy_wh is None else energy_text(run.energy_wh)
    climate = "CO2e unknown" if run.carbon_gco2e is None else mass_text(run.carbon_gco2e)
    usage = f"{run.usage['input_tokens']} in / {run.usage['output_tokens']} out ({run.usage['usage_source']})"
    basis = ", from observed CPU time and assumed watts" if run.provider_id == "embedded" else ""
    return f"{usage}: {energy}, {climate}{basis}. Receipt {run.receipt_id}. {sentence(run.provenance)}"


def _verdicts(verify: VerifyResult) -> str:
    verdicts = ", ".join(
        f"{name} {found['verdict']}" + ("" if found["verdict"] == "pass" else f" ({found['reason']})")
        for name, found in verify.verdicts.items()
    )
    return f"{verdicts}. The inputs themselves were not audited."
