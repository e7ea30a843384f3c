"""Entries put together to batches, each with the entry and the receipt of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from wattproof.methodology.quantity import Usage
from wattproof.resources.imports.grouping import Grouping, Key, Members
from wattproof.resources.ledger.batches import NONCE_BYTES, Batch, Group
from wattproof.resources.ledger.records import EntryDraft
from wattproof.resources.receipts import canonical
from wattproof.resources.receipts.batch import factored, grid_at
from wattproof.resources.receipts.schema import OUTPUTS, SCHEMA, validate_payload

__all__ = ["batches_of"]

_MAX_STATEMENT_BYTES = 36 * 1024
"""What the groups of a batch may take: a receipt is at most 64 KiB, in base64, with the rest of its payload."""
_MAX_GROUPS = 64
_STATED_PER_RECORD = "stated for each record"


def batches_of(members: Members, grouping: Grouping, random_bytes: Callable[[int], bytes]) -> list[Batch]:
    """Batches of the entries, as few as their receipts can state the groups of. `random_bytes` gives the nonces."""
    asked = tuple(members)
    parts = grouping.parts.get(asked)
    if parts is None:
        parts = grouping.parts[asked] = _parts(asked, grouping)
    return [_batch(keys, members, grouping, random_bytes) for keys in parts]


def _parts(keys: Sequence[Key], grouping: Grouping) -> list[list[Key]]:
    """The keys in runs whose groups fit into one receipt."""
    if len(keys) == 1:
        return [list(keys)]
    parts: list[list[Key]] = [[]]
    for key in keys:
        wanted = [*parts[-1], key]
        if len(wanted) > 1 and not _fits([grouping.group(each) for each in wanted]):
            parts.append([key])
        else:
            parts[-1] = wanted
    return parts


def _fits(groups: Sequence[Group]) -> bool:
    if len(groups) > _MAX_GROUPS:
        return False
    common, own = factored([group.statement for group in groups])
    return len(canonical.dumps([common, *own])) <= _MAX_STATEMENT_BYTES


def _batch(
    keys: Sequence[Key],
    members: Members,
    grouping: Grouping,
    random_bytes: Callable[[int], bytes],
) -> Batch:
    groups = [grouping.group(key) for key in keys]
    records = [members[key] for key in keys]
    draft = _draft(groups, max(record.occurred_at for of_group in records for record in of_group))
    return Batch(
        source=draft.source,
        groups=groups,
        records=records,
        nonces=random_bytes(NONCE_BYTES * sum(map(len, records))),
        draft=draft,
        payload=partial(_payload, draft, groups[0].statement, random_bytes(NONCE_BYTES)),
    )


def _draft(groups: Sequence[Group], occurred_at: str) -> EntryDraft:
    """The entry of the batch itself: it names what its records share, and has no figures."""
    first = groups[0].draft

    def shared(name: str) -> Any:
        values = {getattr(group.draft, name) for group in groups}
        return getattr(first, name) if len(values) == 1 else "multi"

    return EntryDraft(
        log_id=first.log_id,
        kind="operation",
        status="completed",
        request_id=None,
        request_digest=None,
        occurred_at=occurred_at,
        workload=first.workload,
        provider=shared("provider"),
        model=shared("model"),
        resolved_model=None,
        deployment=shared("deployment"),
        zone=shared("zone"),
        location_evidence="unknown" if shared("location_evidence") == "multi" else first.location_evidence,
        energy_source=shared("energy_source"),
        renewable_ratio_bps=first.renewable_ratio_bps if shared("zone") != "multi" else None,
        temporal_match=first.temporal_match,
        grid_source=first.grid_source,
        usage=Usage(0, 0),
        usage_source=first.usage_source,
        method_id=first.method_id,
        edition=first.edition,
        tier="proxy",
        boundary=first.boundary,
        energy_nwh=None,
        carbon_location_ng=None,
        carbon_market_ng=None,
        water_nl=None,
        adpe_pgsbeq=None,
        reasons=dict.fromkeys(OUTPUTS, _STATED_PER_RECORD),
        terms=(),
        attempts=0,
        source=first.source,
    )


def _payload(
    draft: EntryDraft, shared: Mapping[str, Any], nonce: bytes, block: Mapping[str, Any], issued_at: str
) -> dict[str, Any]:
    """The payload of the batch's receipt: that of an entry without figures, and the block `batch`."""
    payload: dict[str, Any] = {
        "schema": SCHEMA,
        "log_id": draft.log_id,
        "issued_at": issued_at,
        "occurred_at": draft.occurred_at,
        "kind": draft.kind,
        "status": draft.status,
        "request_id": None,
        "attempts": draft.attempts,
        "workload": draft.workload,
        "provider": draft.provider,
        "model": draft.model,
        "resolved_model": None,
        "deployment": draft.deployment,
        "region_scope": draft.zone,
        "zone": draft.zone,
        "location_evidence": draft.location_evidence,
        "energy_source": draft.energy_source,
        "renewable_ratio_bps": draft.renewable_ratio_bps,
        "ghg_scope": shared["ghg_scope"],
        "usage": {
            "input_tokens": 0,
            "cached_input_tokens": 0,
            "output_tokens": 0,
            "reasoning_tokens": 0,
            "usage_source": draft.usage_source,
        },
        "method_id": draft.method_id,
        "method_sha256": shared["method_sha256"],
        "edition": draft.edition,
        "edition_sha256": shared["edition_sha256"],
        "tier": draft.tier,
        "boundary": draft.boundary,
        "outputs": dict.fromkeys(OUTPUTS),
        "reasons": dict(draft.reasons),
        "operands": [],
        "grid": {"accounting": grid_at(shared["grid"], draft.occurred_at), "routing": None},
        "cost": None,
        "latency_ms": None,
        "instrument_id": None,
        "operation_id": None,
        "parent_id": None,
        "step_kind": None,
        "tags": [],
        "decision_sha256": None,
        "nonce": nonce.hex(),
        "request_commitment": None,
        "provider_reported": None,
        "batch": dict(block),
    }
    validate_payload(payload)
    return payload
