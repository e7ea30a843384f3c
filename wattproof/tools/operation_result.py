"""An operation as a result and in words: what it came to, what dominates it, what its budget leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from wattproof.methodology.foreign import as_name
from wattproof.tools.budget_left import brief_budget, budget_fields, budget_words, tightest_fields
from wattproof.tools.figures import Figure, energy_text, mass_text, rounded, significant
from wattproof.tools.provenance import Provenance, sentence
from wattproof.tools.result import Result, first_of

if TYPE_CHECKING:
    from wattproof.resources.ledger.operation_view import OperationView, StepRow
    from wattproof.resources.operations import Sci

__all__ = ["OperationResult", "brief", "result_of"]

_SCOPES_NAMED = 10


class OperationResult(Result):
    """What `track_operation` returns: the operation with everything below it, after the action."""

    omitted_when_null: ClassVar[frozenset[str]] = frozenset(
        {"parent_id", "receipt_id", "recorded", "below", "late_count", "budgets"}
    )
    told_last: ClassVar[tuple[str, ...]] = ("provenance",)
    unlisted: ClassVar[frozenset[str]] = frozenset(
        {"action", "step_count", "token_count", "zone_known_count", "usage_sources", "unsettled_count", "retry_count"}
        | {"interval", "steps", "sci", "reasons", "status", "budget"}
    )

    in_full_only: ClassVar[frozenset[str]] = frozenset({"action"})
    usual: ClassVar[Mapping[str, object]] = {"unsettled_count": 0, "retry_count": 0}

    action: str
    operation_id: str
    status: str
    parent_id: str | None = None
    receipt_id: str | None = None
    recorded: dict[str, int] | None = None
    step_count: int
    token_count: int
    interval: str
    energy_wh: Figure | None
    carbon_gco2e: Figure | None
    zone_known_count: int
    usage_sources: dict[str, int]
    unsettled_count: int
    retry_count: int
    late_count: int | None = None
    below: tuple[str, ...] | None = None
    steps: tuple[dict[str, Any], ...]
    sci: dict[str, Any]
    budget: dict[str, Any] | None
    budgets: tuple[dict[str, Any], ...] | None = None
    reasons: dict[str, str]
    provenance: Provenance

    def shortened(self, fields: dict[str, Any]) -> dict[str, Any]:
        fields = super().shortened(fields)
        fields["sci"] = {name: fields["sci"][name] for name in ("sci_gco2e", "R")}
        if fields["budget"] is not None:
            fields["budget"] = brief_budget(fields["budget"])
        hidden = self.step_count - len(self.steps)
        if hidden > 0:
            fields["steps_more"] = hidden
        if fields.get("below"):
            first_of(fields, "below", _SCOPES_NAMED)
        return fields


def result_of(
    view: OperationView, sci: Sci, action: str, recorded: dict[str, int] | None, *, full: bool
) -> OperationResult:
    """The result of an action on the operation in `view`; `recorded` counts the steps that were new and known."""
    total, digits = view.total, None if full else 3
    zones = total.counts.get("zone", {})
    known = sum(count for zone, count in zones.items() if not zone.startswith("unknown:"))
    figures = _figure(total.energy_wh, digits), _figure(total.carbon_gco2e, digits)
    whole = all(figure is None or figure.low is not None for figure in figures)
    return OperationResult(
        action=action,
        operation_id=view.operation_id,
        status=view.state,
        parent_id=view.parent_id,
        receipt_id=view.receipt_id,
        recorded=recorded,
        step_count=total.request_count,
        token_count=total.input_tokens + total.output_tokens,
        interval="credible90" if whole and total.request_count else "none",
        energy_wh=figures[0],
        carbon_gco2e=figures[1],
        zone_known_count=known,
        usage_sources=dict(total.counts.get("usage_source", {})),
        unsettled_count=view.unsettled_count,
        retry_count=view.retry_count,
        late_count=view.late_count or None,
        below=view.below or None,
        steps=tuple(_step(step, full=full) for step in view.steps),
        sci=_sci_fields(sci, digits),
        budget=tightest_fields(view.budgets, full=full),
        budgets=tuple(budget_fields(left, full=True) for left in view.budgets) if full and view.budgets else None,
        reasons=_reasons(view, sci),
        provenance=Provenance(
            region_scope=_several(zones),
            energy_source=_several(total.counts.get("energy_source", {})),
            methodology=_methodology(total.counts.get("method", {})),
            renewable_ratio_bps=total.renewable_ratio_bps,
        ),
    )


def brief(result: OperationResult) -> str:
    """The operation in a few sentences, the four named fields last."""
    plural = "" if result.step_count == 1 else "s"
    words = [f"{as_name(result.operation_id, 200)}, {result.status}, {result.step_count:,} step{plural}"]
    if result.step_count:
        words[0] += f": {_amount_words(result)}"
        words.append(f"{result.zone_known_count:,} of {result.step_count:,} zones known.")
    words[0] += "."
    if result.budget is not None:
        words.append(budget_words(result.budget))
    told = result.usage_sources.get("caller", 0)
    if told:
        words.append(f"Usage of {told:,} stated by the caller.")
    if result.unsettled_count:
        words.append(f"{result.unsettled_count:,} run(s) begun and not settled.")
    if result.late_count:
        words.append(f"{result.late_count:,} came after the end; its receipt lacks them.")
    if result.step_count:
        words.append(_sci_words(result))
    if result.receipt_id is not None:
        words.append(f"Receipt {result.receipt_id}.")
    else:
        words.append("It takes no more steps; end it." if result.status == "left" else "No receipt until end.")
    return " ".join([*(word for word in words if word), sentence(result.provenance)])


def _step(step: StepRow, *, full: bool) -> dict[str, Any]:
    energy = step.energy_nwh
    shown: dict[str, Any] = {
        "step_id": step.step_id,
        "energy_wh": None if energy is None else rounded(energy.median / 1e9, None if full else 3),
        "share": None if step.share is None else round(step.share, 4 if full else 2),
    }
    if not full:
        return shown
    ends = None if energy is None or energy.low is None else [energy.low / 1e9, (energy.high or 0) / 1e9]
    carbon = None if step.carbon_ng is None else step.carbon_ng.median / 1e9
    return shown | {
        "energy_wh_interval": ends,
        "carbon_gco2e": carbon,
        "entry": step.seq,
        "kind": step.kind,
        "step_kind": step.step_kind,
        "operation_id": step.operation_id,
        "model": step.model,
        "zone": step.zone,
        "usage_source": step.usage_source,
        "retry_of": step.retry_of,
    }


def _sci_fields(sci: Sci, digits: int | None) -> dict[str, Any]:
    amounts = {
        "E_kwh": sci.energy_kwh,
        "I_gco2e_per_kwh": sci.intensity_gco2e_per_kwh,
        "M_gco2e": sci.embodied_gco2e,
        "sci_gco2e": sci.sci_gco2e,
    }
    shown = {name: None if amount is None else rounded(amount, digits) for name, amount in amounts.items()}
    return {**shown, "R": "operation"}


def _reasons(view: OperationView, sci: Sci) -> dict[str, str]:
    total, reasons = view.total, dict[str, str]()
    if not total.request_count:
        reasons["energy_wh"] = reasons["carbon_gco2e"] = reasons["sci"] = "no steps yet"
    else:
        for name, count in (("energy_wh", total.energy_known_count), ("carbon_gco2e", total.carbon_known_count)):
            if count < total.request_count:
                reasons[name] = f"known for {count} of {total.request_count} steps"
        if sci.reason is not None:
            reasons["sci"] = sci.reason
    if total.renewable_ratio_bps is None:
        reasons["renewable_ratio_bps"] = "unknown for a part" if total.request_count else "no steps yet"
    return reasons


def _figure(amount: tuple[float, float | None, float | None] | None, digits: int | None) -> Figure | None:
    if amount is None:
        return None
    median, low, high = (None if part is None else rounded(part, digits) for part in amount)
    return Figure(median=median or 0.0, low=low, high=high)


def _amount_words(result: OperationResult) -> str:
    energy, carbon = result.energy_wh, result.carbon_gco2e
    told = ["energy unknown" if energy is None else energy_text(energy)]
    first = result.steps[0] if result.steps else None
    if first is not None and first["share"] is not None and result.step_count > 1:
        told[0] += f"; {as_name(first['step_id'], 40)} is {100 * first['share']:.0f} %"
    told.append("CO2e unknown" if carbon is None else mass_text(carbon))
    return ". ".join(told)


def _sci_words(result: OperationResult) -> str:
    sci = result.sci["sci_gco2e"]
    if sci is not None:
        # A score without the embodied part M would not be one; E, I and M apart are in the data.
        return f"SCI with M {significant(sci)} g per operation."
    return "SCI null (M unknown)." if result.sci["E_kwh"] is not None else ""


def _several(counts: Mapping[str, int]) -> str:
    """One value as it is, several as `multi:A,B`; beyond ten, the first ten and how many more."""
    names = sorted(counts)
    if len(names) <= 1:
        return names[0] if names else "none"
    hidden = len(names) - _SCOPES_NAMED
    return "multi:" + ",".join(names[:_SCOPES_NAMED]) + (f",+{hidden}" if hidden > 0 else "")


def _methodology(counts: Mapping[str, int]) -> str:
    return "none" if not counts else next(iter(counts)) if len(counts) == 1 else "multi"
