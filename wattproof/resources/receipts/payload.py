"""The payload of a receipt, version 1: what is signed about one entry of the ledger.

Integers only, in the unit of their name: ``energy_nwh``, ``carbon_location_ng``, ``carbon_market_ng``, ``water_nl``,
``adpe_pgsbeq`` (1e-12 g Sb eq). Every numeric input of the method is in ``operands``, so that anyone can compute the
outputs again. Neither prompt nor answer is in it; ``request_commitment`` is an HMAC of the request under a random salt
that only the caller gets.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from operator import attrgetter
from typing import Any

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.methodology.quantity import Operand, Usage
from wattproof.resources.receipts.schema import (
    MAX_OPERANDS,
    MAX_TEXT,
    OUTPUTS,
    SCHEMA,
    validate_operand,
    validate_payload,
)
from wattproof.resources.receipts.stated import stated

__all__ = [
    "NONCE_BYTES",
    "SALT_BYTES",
    "build_payload",
    "entry_hash",
    "grid_payload",
    "receipt_id",
    "request_commitment",
]

NONCE_BYTES = 16
SALT_BYTES = 32

# A footprint names its indicators in the units of methods, a receipt in integers: (name there, name here).
_INDICATORS = {
    "energy_wh": "energy_nwh",
    "carbon_gco2e": "carbon_location_ng",
    "carbon_market_gco2e": "carbon_market_ng",
    "water_ml": "water_nl",
    "adpe_kgsbeq": "adpe_pgsbeq",
}

_READING_TEXTS = (
    "zone",
    "basis",
    "factor_scope",
    "accounting",
    "observed_at",
    "requested_at",
    "temporal_match",
    "evidence",
    "source",
    "licence",
)
_READING_INTEGERS = ("age_minutes", "renewable_ratio_bps", "carbon_free_ratio_bps")


def entry_hash(jws: str) -> bytes:
    """The log entry of a receipt: SHA-256 of its ASCII JWS, 32 bytes; what ``sha256sum receipt.jws`` prints.

    Raises:
        VerificationFailed: the receipt is not ASCII.
    """
    if not jws.isascii():
        raise VerificationFailed("format", "not_jws", "A receipt is ASCII.")
    return sha256(jws.encode("ascii")).digest()


def receipt_id(entry: bytes) -> str:
    """The name of a receipt: ``r_`` and 26 characters of base32, 130 bits of its entry hash."""
    bits = int.from_bytes(entry[:17], "big") >> 6
    return "r_" + "".join([_TWO_OF_BASE32[bits >> shift & 1023] for shift in range(120, -1, -10)])


# RFC 4648 base32 in lower case, two characters for ten bits: the standard library takes ten times as long.
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_TWO_OF_BASE32 = tuple(high + low for high in _BASE32 for low in _BASE32)


def request_commitment(salt: bytes, request_bytes: bytes) -> str:
    """HMAC-SHA256 of the canonical request under a random 32-byte salt, as hex.

    Whoever holds the salt can show later what was sent; without it the request cannot be guessed and tested.

    Raises:
        InvalidInput: the salt has not 32 bytes.
    """
    if len(salt) != SALT_BYTES:
        raise InvalidInput("salt", f"has {len(salt)} bytes", f"give {SALT_BYTES} random bytes")
    return hmac.new(salt, request_bytes, sha256).hexdigest()


def build_payload(
    *,
    log_id: str,
    issued_at: str,
    occurred_at: str,
    kind: str,
    status: str,
    request_id: str | None,
    attempts: int,
    workload: str,
    provider: str,
    model: str,
    resolved_model: str | None,
    deployment: str,
    region_scope: str,
    zone: str,
    location_evidence: str,
    energy_source: str,
    renewable_ratio_bps: int | None,
    ghg_scope: str,
    usage: Usage,
    usage_source: str,
    method_id: str,
    method_sha256: str,
    edition: str,
    edition_sha256: str,
    tier: str,
    boundary: str,
    outputs: Mapping[str, Mapping[str, Any] | None],
    operands: Iterable[Operand],
    accounting: Mapping[str, Any],
    nonce: bytes,
    reasons: Mapping[str, str] | None = None,
    routing: Mapping[str, Any] | None = None,
    cost_micros: int | None = None,
    currency: str | None = None,
    latency_ms: int | None = None,
    instrument_id: str | None = None,
    operation_id: str | None = None,
    parent_id: str | None = None,
    step_kind: str | None = None,
    tags: Sequence[str] = (),
    decision_sha256: str | None = None,
    request_commitment: str | None = None,
    provider_reported: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Put a payload together and check it.

    `outputs` comes from `wattproof.methodology.integers.outputs`; `reasons` from the footprint (its names are turned
    into ours). `accounting` and `routing` are grid readings as dictionaries (`Reading.as_dict()`). `provider_reported`
    is the provider's own block, raw: floats become decimal text. `resolved_model` is cut to a bounded length.

    Raises:
        InvalidInput: a field has the wrong type, size or value; names it.
    """
    payload: dict[str, Any] = {
        "schema": SCHEMA,
        "log_id": log_id,
        "issued_at": issued_at,
        "occurred_at": occurred_at,
        "kind": kind,
        "status": status,
        "request_id": request_id,
        "attempts": attempts,
        "workload": str(workload),
        "provider": provider,
        "model": model,
        "resolved_model": _bounded(resolved_model),
        "deployment": deployment,
        "region_scope": region_scope,
        "zone": zone,
        "location_evidence": location_evidence,
        "energy_source": energy_source,
        "renewable_ratio_bps": renewable_ratio_bps,
        "ghg_scope": ghg_scope,
        "usage": _usage_payload(usage, usage_source),
        "method_id": method_id,
        "method_sha256": method_sha256,
        "edition": edition,
        "edition_sha256": edition_sha256,
        "tier": tier,
        "boundary": boundary,
        "outputs": {name: None if amount is None else dict(amount) for name, amount in outputs.items()},
        "reasons": _reasons(outputs, reasons or {}, method_id),
        "operands": [],
        "grid": {
            "accounting": grid_payload(accounting),
            "routing": None if routing is None else grid_payload(routing),
        },
        "cost": _cost_payload(cost_micros, currency),
        "latency_ms": latency_ms,
        "instrument_id": instrument_id,
        "operation_id": operation_id,
        "parent_id": parent_id,
        "step_kind": step_kind,
        "tags": list(tags),
        "decision_sha256": decision_sha256,
        "nonce": nonce.hex(),
        "request_commitment": request_commitment,
        "provider_reported": None if provider_reported is None else stated(provider_reported),
    }
    validate_payload(payload)
    payload["operands"] = _operands(operands)
    return payload


def grid_payload(reading: Mapping[str, Any]) -> dict[str, Any]:
    """A grid reading (`Reading.as_dict()`) in integers: intensities in milligrams per kWh, sigma in millionths."""
    taken: dict[str, Any] = {name: reading[name] for name in (*_READING_TEXTS, *_READING_INTEGERS)}
    taken["value_mgco2e_per_kwh"] = _scaled(reading["value_gco2e_per_kwh"], 1000)
    taken["low_mgco2e_per_kwh"] = _scaled(reading["low_gco2e_per_kwh"], 1000)
    taken["high_mgco2e_per_kwh"] = _scaled(reading["high_gco2e_per_kwh"], 1000)
    taken["sigma_ln_millionths"] = _scaled(reading["sigma_ln"], 1_000_000)
    return taken


def _scaled(number: float | None, factor: int) -> int | None:
    return None if number is None else round(number * factor)


def _usage_payload(usage: Usage, usage_source: str) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "usage_source": usage_source,
    }


def _operands(operands: Iterable[Operand]) -> list[dict[str, Any]]:
    """The operands by name. Each was checked when it was first seen: most are the same from one request to the next."""
    ordered = sorted(operands, key=attrgetter("name"))
    if len(ordered) > MAX_OPERANDS:
        raise InvalidInput("operands", f"are {len(ordered)}", f"give at most {MAX_OPERANDS}")
    if len({operand.name for operand in ordered}) != len(ordered):
        raise InvalidInput("operands", "are not sorted by name, each once", "give each once")
    return [dict(_operand_payload(operand)) for operand in ordered]


@lru_cache(maxsize=4096)
def _operand_payload(operand: Operand) -> dict[str, Any]:
    fields = {
        "name": operand.name,
        "value": operand.value,
        "exp10": operand.exp10,
        "unit": operand.unit,
        "source_id": operand.source_id,
    }
    validate_operand(fields)
    return fields


def _cost_payload(micros: int | None, currency: str | None) -> dict[str, Any] | None:
    # An amount without its currency is not a price.
    return None if micros is None or currency is None else {"micros": micros, "currency": currency}


def _reasons(outputs: Mapping[str, object], reasons: Mapping[str, str], method_id: str) -> dict[str, str]:
    named = {_INDICATORS.get(name, name): reason for name, reason in reasons.items()}
    named = {name: reason for name, reason in named.items() if name in OUTPUTS}
    for name in OUTPUTS:
        if outputs.get(name) is None:
            named.setdefault(name, f"not defined by {method_id}")
    return named


def _bounded(text: str | None) -> str | None:
    """A provider's text, cut and made encodable: it must not be able to spoil a receipt."""
    return None if text is None else text.encode(errors="replace").decode()[:MAX_TEXT]
