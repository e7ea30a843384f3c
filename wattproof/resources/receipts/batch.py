"""Records signed together: one receipt over the RFC 6962 root of a batch, instead of a signature for each record.

A record is canonical JSON in ASCII (characters beyond ASCII as ``\\uXXXX``). What stands in a log for a record is what
stands there for a receipt: the SHA-256 of its ASCII text. So the leaf of the log commits to every figure of the record,
and through ``group`` to everything that the record shares with others: model, place, method and its operands, stated
once in the receipt of the batch. The 128-bit ``nonce`` keeps a record from being guessed from its leaf.

    receipt of the batch --batch.root_hex--> leaf of the record --SHA-256--> record --group--> statement of the group

The block ``batch`` of a receipt's payload:

    source                the format that the records came in, e.g. ``litellm``
    count, root_hex       how many records, and the RFC 6962 root over their leaves in order
    first_occurred_at, last_occurred_at
    requests              how many requests the records stand for; null where an aggregated export does not say
    usage                 token counts of all records, summed
    energy_nwh, carbon_location_ng, energy_known, carbon_known
                          totals with shared factors kept, over the records that have a figure, and how many have one
    common, groups        the statement of group k is `common` and `groups[k]` together, operands joined

`expand` puts a record and its group together again into the payload that a receipt of its own would have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, cast

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.resources.receipts import canonical
from wattproof.resources.receipts.merkle import verify_inclusion
from wattproof.resources.receipts.schema import OUTPUTS, SCHEMA, USAGE_COUNTS, instant, validate_payload

__all__ = [
    "RECORD_SCHEMA",
    "SCALED_COUNTS",
    "RecordProof",
    "batch_of",
    "expand",
    "expanded",
    "factored",
    "grid_at",
    "group_id",
    "groups_of",
    "is_record",
    "read_record",
    "record_text",
    "require_member",
    "token_operands",
]

RECORD_SCHEMA = "wattproof-record/1"
SCALED_COUNTS = ("cached_input_tokens", "input_tokens", "output_tokens")
"""The operands that are token counts of the record; every other operand is its group's."""

_MAX_RECORD = 8 * 1024
_MAX_PATH = 64
_NAMES = frozenset(
    {
        "amounts",
        "cost_micros",
        "external_id",
        "finish_reason",
        "group",
        "latency_ms",
        "nonce",
        "occurred_at",
        "operation_id",
        "project",
        "provider_request_id",
        "requests",
        "resolved_model",
        "schema",
        "until",
        "usage",
    }
)
# What a group states under the names that a receipt uses.
_SHARED = (
    "status",
    "workload",
    "provider",
    "model",
    "deployment",
    "region_scope",
    "zone",
    "location_evidence",
    "energy_source",
    "renewable_ratio_bps",
    "ghg_scope",
    "method_id",
    "method_sha256",
    "edition",
    "edition_sha256",
    "tier",
    "boundary",
    "reasons",
    "step_kind",
    "tags",
)
_encode = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":"), check_circular=False).encode


def record_text(record: Mapping[str, Any]) -> str:
    """The record as it is hashed: keys sorted, no spaces, ASCII."""
    return _encode(record)


def is_record(text: str) -> bool:
    """Whether `text`, which stands where receipts do, is a record of a batch and not a JWS."""
    return text.startswith("{")


def read_record(text: str) -> dict[str, Any]:
    """The record of `text`; refuses what `record_text` would not have written.

    Raises:
        VerificationFailed: check ``format``; reason ``too_large``, ``not_json``, ``not_record`` or ``not_canonical``.
    """
    if len(text) > _MAX_RECORD:
        raise _failed("too_large", f"The record has {len(text)} characters; at most {_MAX_RECORD} are read.")
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _failed("not_json", "The record is not JSON.") from error
    record = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    if record.keys() != _NAMES or record["schema"] != RECORD_SCHEMA:
        raise _failed("not_record", f"The JSON does not have exactly the keys of {RECORD_SCHEMA}.")
    if record_text(record) != text:
        raise _failed("not_canonical", "The record differs from its canonical encoding.")
    return record


def group_id(statement: Mapping[str, Any]) -> str:
    """The name of a group: SHA-256 of its canonical statement, in hex."""
    return sha256(canonical.dumps(statement)).hexdigest()


def factored(statements: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What all statements share, and what each has beside it; most groups of a batch share most operands."""
    first, *others = statements
    listed = [{operand["name"]: operand for operand in other["operands"]} for other in others]
    shared = [operand for operand in first["operands"] if all(each.get(operand["name"]) == operand for each in listed)]
    names = {operand["name"] for operand in shared}
    common = {name: value for name, value in first.items() if all(other[name] == value for other in others)}
    own = [
        {
            **{name: value for name, value in statement.items() if name not in common},
            "operands": [operand for operand in statement["operands"] if operand["name"] not in names],
        }
        for statement in statements
    ]
    return {**common, "operands": shared}, own


def groups_of(batch: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The statements of the block `batch` of a receipt, by their names.

    Raises:
        VerificationFailed: check ``format``, reason ``not_batch``: the block is malformed.
    """
    try:
        common, groups = batch["common"], batch["groups"]
        joined = [
            {
                **common,
                **own,
                "operands": sorted([*common["operands"], *own["operands"]], key=lambda operand: operand["name"]),
            }
            for own in groups
        ]
        return {group_id(statement): statement for statement in joined}
    except (KeyError, TypeError, InvalidInput) as error:
        raise _failed("not_batch", "The receipt's batch does not state its groups.") from error


def batch_of(payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The block of a receipt that is one of a batch."""
    batch: object = payload.get("batch")
    return cast("Mapping[str, Any]", batch) if isinstance(batch, dict) else None


def expand(
    record: Mapping[str, Any], group: Mapping[str, Any], batch_payload: Mapping[str, Any], batch_receipt_id: str
) -> dict[str, Any]:
    """The payload that a receipt of this record alone would have; `parent_id` names the receipt of the batch.

    Raises:
        VerificationFailed: check ``format``, reason ``not_record``: record and group do not make a valid payload.
    """
    try:
        payload = expanded(record, group, batch_payload, batch_receipt_id)
        validate_payload(payload)
    except (KeyError, TypeError, ValueError, InvalidInput) as error:
        raise _failed("not_record", f"Record and group do not make a payload of {SCHEMA}: {error}") from error
    return payload


def expanded(
    record: Mapping[str, Any], group: Mapping[str, Any], batch_payload: Mapping[str, Any], batch_receipt_id: str
) -> dict[str, Any]:
    """What `expand` gives, not checked.

    Raises:
        KeyError, TypeError, ValueError: record or group is malformed.
    """
    usage: dict[str, int] = dict(zip(USAGE_COUNTS, record["usage"], strict=True))
    operands = [*group["operands"], *token_operands(record["usage"])] if group["operands"] else []
    return {
        **{name: group[name] for name in _SHARED},
        "schema": SCHEMA,
        "log_id": batch_payload["log_id"],
        "issued_at": batch_payload["issued_at"],
        "occurred_at": record["occurred_at"],
        "kind": "imported",
        "request_id": None,
        "attempts": 1,
        "resolved_model": record["resolved_model"],
        "usage": {**usage, "usage_source": group["usage_source"]},
        "outputs": {
            name: None
            if amount is None
            else {**dict(zip(("median", "low", "high"), amount, strict=True)), "interval": group["interval"]}
            for name, amount in zip(OUTPUTS, record["amounts"], strict=True)
        },
        "operands": sorted(operands, key=lambda operand: operand["name"]),
        "grid": {"accounting": grid_at(group["grid"], record["occurred_at"]), "routing": None},
        "cost": None
        if record["cost_micros"] is None
        else {"micros": record["cost_micros"], "currency": group["currency"]},
        "latency_ms": record["latency_ms"],
        "instrument_id": None,
        "operation_id": record["operation_id"],
        "parent_id": batch_receipt_id,
        "decision_sha256": None,
        "nonce": record["nonce"],
        "request_commitment": None,
        "provider_reported": None,
    }


def token_operands(counts: Sequence[int]) -> list[dict[str, Any]]:
    """The operands that are token counts, from the usage of a record (counts in the order of USAGE_COUNTS)."""
    usage = dict(zip(USAGE_COUNTS, counts, strict=True))
    return [
        {"name": name, "value": usage[name], "exp10": 0, "unit": "token", "source_id": "usage"}
        for name in SCALED_COUNTS
    ]


def grid_at(grid: Mapping[str, Any], occurred_at: str) -> dict[str, Any]:
    """A group's grid reading as of the time of a record."""
    age_minutes = max(0, int(instant(occurred_at) - instant(grid["observed_at"])) // 60)
    return {**grid, "requested_at": occurred_at, "age_minutes": age_minutes}


@dataclass(frozen=True, slots=True)
class RecordProof:
    """A record with what shows who signed for it: the receipt of its batch, and its place under the batch's root."""

    record: str
    batch: str
    position: int
    path: tuple[bytes, ...]

    def as_dict(self) -> dict[str, Any]:
        """``{record, batch, position, path: [hex]}``."""
        return {
            "record": self.record,
            "batch": self.batch,
            "position": self.position,
            "path": [node.hex() for node in self.path],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> RecordProof:
        """The inverse of `as_dict`; further keys are ignored.

        Raises:
            InvalidInput: a key is missing or of the wrong type; names it.
        """
        for name in ("record", "batch"):
            if not isinstance(document.get(name), str):
                raise InvalidInput(name, "is missing or not text", "give the record and the receipt of its batch")
        position, path = document.get("position"), document.get("path")
        if type(position) is not int or position < 0:
            raise InvalidInput("position", "is not a count", "give the place of the record in its batch, from 0")
        if not isinstance(path, list) or len(cast("list[object]", path)) > _MAX_PATH:
            raise InvalidInput("path", f"is not a list of at most {_MAX_PATH}", "give the path as a list of hex hashes")
        try:
            nodes = tuple(bytes.fromhex(cast("str", node)) for node in cast("list[object]", path))
        except (TypeError, ValueError) as error:
            raise InvalidInput("path", "holds something else than hex", "give each hash as 64 hex digits") from error
        return cls(document["record"], document["batch"], position, nodes)


def require_member(proof: RecordProof, leaf: bytes, batch: Mapping[str, Any]) -> None:
    """Check that `leaf` is at its place under the root of the block `batch`.

    Raises:
        VerificationFailed: it is not, or the block states no root.
    """
    count, root_hex = batch.get("count"), batch.get("root_hex")
    if type(count) is not int or not isinstance(root_hex, str):
        raise _failed("not_batch", "The receipt's batch states no count and root.")
    try:
        root = bytes.fromhex(root_hex)
    except ValueError as error:
        raise _failed("not_batch", "The root of the batch is not hex.") from error
    verify_inclusion(leaf, proof.position, count, proof.path, root)


def _failed(reason: str, message: str) -> VerificationFailed:
    return VerificationFailed("format", reason, message)
