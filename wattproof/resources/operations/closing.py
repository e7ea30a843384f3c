"""The receipt of an operation: one statement over the receipts of its steps.

Its block ``operation`` says which steps those are:

    operation_id          the operation; `parent_id` of the payload is the one above it
    count                 how many entries it sums up: its steps, those of the operations below it, and adjustments
    root_hex              RFC 6962 root over the leaves of those entries, in the order of the log
    steps                 for each its place in the log and the SHA-256 of its receipt; null beyond MAX_LISTED
    first_occurred_at, last_occurred_at

`outputs` are the totals of `ledger/operation_total.py`. Whoever has the receipts of the steps can check that they are
those steps and no others, compute each again, and add them up.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from wattproof.methodology.data import EDITION, edition_sha256
from wattproof.methodology.errors import VerificationFailed
from wattproof.methodology.quantity import MAX_TOKENS, Usage
from wattproof.resources.grid import reading_for
from wattproof.resources.ledger.operation_total import total_of_steps
from wattproof.resources.ledger.operation_view import OperationView
from wattproof.resources.ledger.records import EntryDraft, Settled
from wattproof.resources.ledger.times import rfc3339
from wattproof.resources.providers.records import EVIDENCE_RANK
from wattproof.resources.receipts import Frontier, build_payload, leaf_hash, parse, validate_payload
from wattproof.resources.receipts.schema import USAGE_COUNTS
from wattproof.resources.receipts.statement import Statement

__all__ = ["MAX_LISTED", "TOTAL_METHOD", "Closing", "closing_of", "ran_locally"]

MAX_LISTED = 256
"""More steps than this are not listed, so that the receipt stays within 64 KiB; their root stands for them."""

TOTAL_METHOD = "wattproof/operation-total@1.0.0"
_DEFINITION = {
    "id": TOTAL_METHOD,
    "formula": (
        "energy, climate: total() of the steps' terms by means and shared factors; usage: sums; other amounts, and all "
        "where a step has no 90 % interval: sum of median exp(s^2/2) with s = ln(high/median)/1.6448536, else of points"
    ),
}
TOTAL_METHOD_SHA256 = sha256(json.dumps(_DEFINITION, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

_TIERS = ("proxy", "parametric", "modelled", "telemetry", "audited")
_MATCHES = ("fallback", "fresh", "live")
_SOURCES = ("caller", "local_count", "provider")
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Closing:
    """The entry that closes an operation, what its receipt states, and the entries that it sums up."""

    draft: EntryDraft
    statement: Statement
    seqs: tuple[int, ...]
    outputs: dict[str, dict[str, Any] | None]


def closing_of(view: OperationView, steps: Sequence[Settled], *, local: bool, now_s: float, nonce: bytes) -> Closing:
    """The receipt over `steps`, which are all there are, at `now_s` (Unix seconds); `nonce` is 16 random bytes.

    `local` says that every step ran on machines of the operator (GHG scope 2).
    """
    now, drafts = rfc3339(now_s), [step.draft for step in steps]
    outputs, reasons = total_of_steps(drafts)
    draft = _draft(view, drafts, now)
    payload = build_payload(
        issued_at=now,
        nonce=nonce,
        outputs=outputs,
        reasons=reasons,
        operands=(),
        usage=_usage(drafts),
        region_scope=draft.zone,
        ghg_scope="scope2" if local else "scope3.cat1",
        method_sha256=TOTAL_METHOD_SHA256,
        edition_sha256=edition_sha256(),
        accounting=_accounting(view, drafts, draft, now_s),
        **{name: getattr(draft, name) for name in _STATED},
    )
    payload["operation"] = _block(view.operation_id, steps, now)
    validate_payload(payload)
    return Closing(draft, Statement(payload), tuple(step.seq for step in steps), outputs)


def ran_locally(steps: Sequence[Settled]) -> bool:
    """Whether the receipts of all steps say that they ran on machines of the operator."""
    return bool(steps) and all(_ghg_scope(step) == "scope2" for step in steps)


def _ghg_scope(step: Settled) -> object:
    if step.jws is None:
        return None
    try:
        return parse(step.jws).payload.get("ghg_scope")
    except VerificationFailed:
        return None  # a record of a batch has no receipt of its own


_STATED = (
    "log_id",
    "occurred_at",
    "kind",
    "status",
    "request_id",
    "attempts",
    "workload",
    "provider",
    "model",
    "resolved_model",
    "deployment",
    "zone",
    "location_evidence",
    "energy_source",
    "renewable_ratio_bps",
    "usage_source",
    "method_id",
    "edition",
    "tier",
    "boundary",
    "operation_id",
    "parent_id",
)


def _draft(view: OperationView, drafts: Sequence[EntryDraft], now: str) -> EntryDraft:
    """The operation's own entry has no figures, so that no total counts the steps twice; its receipt states them."""
    return EntryDraft(
        log_id=view.log_id,
        kind="operation",
        status="completed",
        request_id=None,
        request_digest=None,
        occurred_at=now,
        workload="chat",
        provider=_several(draft.provider for draft in drafts),
        model=_several(draft.model for draft in drafts),
        resolved_model=None,
        deployment=_several(draft.deployment for draft in drafts),
        zone=_several(draft.zone for draft in drafts),
        location_evidence=min((draft.location_evidence for draft in drafts), key=_evidence_rank, default="unknown"),
        energy_source=_several(draft.energy_source for draft in drafts),
        renewable_ratio_bps=view.total.renewable_ratio_bps,
        temporal_match=_least(_MATCHES, (draft.temporal_match for draft in drafts)),
        grid_source=_several(draft.grid_source for draft in drafts),
        usage=Usage(0, 0),
        usage_source=_least(_SOURCES, (draft.usage_source for draft in drafts)),
        method_id=TOTAL_METHOD,
        edition=EDITION,
        tier=_least(_TIERS, (draft.tier for draft in drafts)),
        boundary="comprehensive" if all(draft.boundary == "comprehensive" for draft in drafts) else "narrow",
        energy_nwh=None,
        carbon_location_ng=None,
        carbon_market_ng=None,
        water_nl=None,
        adpe_pgsbeq=None,
        reasons={},
        terms=(),
        attempts=0,
        operation_id=view.operation_id,
        parent_id=view.parent_id,
    )


def _block(operation_id: str, steps: Sequence[Settled], now: str) -> dict[str, Any]:
    times = [step.draft.occurred_at for step in steps]
    listed = [{"seq": step.seq, "entry_hex": step.entry_hash.hex()} for step in steps]
    return {
        "operation_id": operation_id,
        "count": len(steps),
        "root_hex": Frontier().extend([leaf_hash(step.entry_hash) for step in steps]).root().hex(),
        "steps": listed if len(steps) <= MAX_LISTED else None,
        "first_occurred_at": min(times, default=now),
        "last_occurred_at": max(times, default=now),
    }


def _usage(drafts: Sequence[EntryDraft]) -> Usage:
    sums = {name: sum(getattr(draft.usage, name) for draft in drafts) for name in USAGE_COUNTS}
    return Usage(**{name: min(count, MAX_TOKENS) for name, count in sums.items()})


def _accounting(view: OperationView, drafts: Sequence[EntryDraft], draft: EntryDraft, now_s: float) -> dict[str, Any]:
    """The intensity that the totals imply; without one, the mixture of all zones, which is what nobody knows."""
    energy, carbon = view.total.energy_wh, view.total.carbon_gco2e
    fallback = reading_for(None, "operation", now_s).as_dict()
    if energy is None or carbon is None or not energy[0]:
        return fallback
    unknown = dict.fromkeys(("low_gco2e_per_kwh", "high_gco2e_per_kwh", "carbon_free_ratio_bps"))
    return {
        **fallback,
        **unknown,
        "value_gco2e_per_kwh": 1000.0 * carbon[0] / energy[0],
        "zone": draft.zone,
        "observed_at": min(each.occurred_at for each in drafts),
        "age_minutes": 0,
        "temporal_match": draft.temporal_match,
        "evidence": "mixture",
        "source": "operation steps",
        "licence": "as for each step",
        "sigma_ln": 0.0,
        "renewable_ratio_bps": draft.renewable_ratio_bps,
    }


def _several(names: Iterable[str]) -> str:
    """One name as it is, several as `multi:A,B`, cut to what a receipt holds."""
    different = sorted(set(names))
    if len(different) <= 1:
        return different[0] if different else "none"
    text = "multi:" + ",".join(different)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1].rpartition(",")[0] + ",+"


def _least(order: Sequence[Any], found: Iterable[Any]) -> Any:
    """The least of the values by `order`; the least of all where there is none."""
    return min(found, key=order.index, default=order[0])


def _evidence_rank(evidence: Any) -> int:
    return EVIDENCE_RANK[evidence]
