"""Entries as a run would settle them. Loaded by conftest.py, and imported by the child processes beside it."""

from __future__ import annotations

from typing import Any

from wattproof.methodology.propagate import total
from wattproof.methodology.quantity import Usage
from wattproof.resources.ledger import Amount, AttemptDraft, EntryDraft, FactorTerm, PayloadBuilder

__all__ = ["attempt", "draft", "payload"]

DIGEST = b"\x01" * 32


def _amount(rows: list[tuple[int, tuple[tuple[str, float], ...]]]) -> Amount:
    quantity = total([((mean,), (loadings,), 0.0) for mean, loadings in rows])
    assert quantity.low is not None
    assert quantity.high is not None
    return Amount(round(quantity.median), round(quantity.low), round(quantity.high))


def draft(request_id: str | None = "r1", *, size: int = 1, zone: str = "FR", **changed: Any) -> EntryDraft:
    """A settled chat request of `size` thousand input tokens in `zone`."""
    model, batch, grid = ("model:gpt-oss-120b", 0.317), ("batch", 0.518), (f"grid:{zone}", 0.24)
    terms = (
        FactorTerm("decode", 80_000_000 * size, 2_500_000 * size, (batch, model), (batch, grid, model)),
        FactorTerm("prefill", 9_000_000 * size, 300_000 * size, (model,), (grid, model)),
    )
    fields: dict[str, Any] = {
        "log_id": "local",
        "kind": "inference",
        "status": "completed",
        "request_id": request_id,
        "request_digest": DIGEST,
        "occurred_at": "2026-11-22T06:15:00Z",
        "workload": "chat",
        "provider": "ovhcloud",
        "model": "gpt-oss-120b",
        "resolved_model": "gpt-oss-120b",
        "deployment": "ovhcloud/gpt-oss-120b",
        "zone": zone,
        "location_evidence": "declared",
        "energy_source": "grid-mix",
        "renewable_ratio_bps": 2700,
        "temporal_match": "fallback",
        "grid_source": "electricitymaps-2025",
        "usage": Usage(1000 * size, 400 * size, 100 * size, 20 * size),
        "usage_source": "provider",
        "method_id": "wattproof/param@1.0.0",
        "edition": "2026-11",
        "tier": "parametric",
        "boundary": "comprehensive",
        "energy_nwh": _amount([(t.energy_mean_nwh, t.energy_loadings) for t in terms]),
        "carbon_location_ng": _amount([(t.carbon_mean_ng or 0, t.carbon_loadings) for t in terms]),
        "carbon_market_ng": None,
        "water_nl": None,
        "adpe_pgsbeq": None,
        "reasons": {"carbon_market_ng": "no instrument", "water_nl": "no WUE"},
        "terms": terms,
        "cost_micros": 278 * size,
        "currency": "USD",
    }
    return EntryDraft(**{**fields, **changed})


def payload(entry: EntryDraft) -> PayloadBuilder:
    """What the receipt of `entry` states, under the names of receipts.payload."""
    stated: dict[str, Any] = {
        name: getattr(entry, name)
        for name in ("log_id", "request_id", "provider", "model", "zone", "tier", "method_id", "occurred_at", "edition")
    }
    stated["method_sha256"], stated["edition_sha256"] = "a" * 64, "b" * 64
    stated["usage"] = {
        "input_tokens": entry.usage.input_tokens,
        "cached_input_tokens": entry.usage.cached_input_tokens,
        "output_tokens": entry.usage.output_tokens,
        "reasoning_tokens": entry.usage.reasoning_tokens,
        "usage_source": entry.usage_source,
    }
    stated["outputs"] = {
        name: None if amount is None else {"median": amount.median, "low": amount.low, "high": amount.high}
        for name in ("energy_nwh", "carbon_location_ng", "carbon_market_ng", "water_nl", "adpe_pgsbeq")
        for amount in [getattr(entry, name)]
    }
    stated["tags"] = list(entry.tags)
    return lambda issued_at: {**stated, "issued_at": issued_at}


def attempt(request_id: str = "r1", *, lease_expires_at: float, **changed: Any) -> AttemptDraft:
    """A try of that request."""
    fields: dict[str, Any] = {
        "log_id": "local",
        "request_id": request_id,
        "request_digest": DIGEST,
        "deployment": "ovhcloud/gpt-oss-120b",
        "lease_expires_at": lease_expires_at,
    }
    return AttemptDraft(**{**fields, **changed})
