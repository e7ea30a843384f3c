"""What each call needs: one row per tool and kind of resource. What has no row needs `admin`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from wattproof.server.auth.principal import SCOPES, Scope

__all__ = ["TOOL_SCOPES", "needed_by", "step_up"]

TOOL_SCOPES: Mapping[str, Scope] = {
    "check_claim": "estimate",
    "estimate_request": "estimate",
    "explain": "estimate",
    "recommend_window": "estimate",
    "run_inference": "infer",
    "track_operation": "infer",
    "ledger_rows": "audit",
    "export_evidence": "audit",
    # It also wants the user of this machine: see mcp_deps.
    "import_usage": "admin",
    "restate_period": "audit",
    "summarize_ledger": "audit",
    # Also for a receipt that is pasted: the answer says whether this ledger holds it.
    "verify_receipt": "audit",
}
"""The scope that each tool needs. A receipt as the subject of `explain` needs `audit`, for it is read from the log."""

_RESOURCES: tuple[tuple[str, Scope | None], ...] = (
    ("wattproof://methods/", "estimate"),
    ("wattproof://zones/", "estimate"),
    ("wattproof://providers", "estimate"),
    ("wattproof://receipts/", "audit"),
    # The cards: the same bytes for everybody.
    ("ui://", None),
)


_PROMPTS_ON_RECEIPTS = ("audit_a_receipt",)


def needed_by(method: str, params: Mapping[str, Any]) -> Scope | None:
    """The scope that a JSON-RPC request needs; None where every caller may, as for lists."""
    if method == "tools/call":
        return _tool(params.get("name"), params.get("arguments"))
    if method == "resources/read":
        return _resource(params.get("uri"))
    if method == "completion/complete":
        return _completion(params.get("ref"))
    return None


def step_up(held: frozenset[str], missing: Scope) -> str:
    """The scopes to ask the authorization server for: those of ours that are held, and the missing one."""
    return " ".join(scope for scope in SCOPES if scope in held or scope == missing)


def _tool(name: object, arguments: object) -> Scope:
    if not isinstance(name, str):
        return "admin"
    given = cast("Mapping[str, Any]", arguments if isinstance(arguments, Mapping) else {})
    if name == "explain":
        return _explained(given.get("subject"))
    # Its figures are then read from the log.
    if name == "check_claim" and given.get("receipt_id") is not None:
        return "audit"
    return TOOL_SCOPES.get(name, "admin")


def _explained(subject: object) -> Scope:
    """Methods and estimates are the same for everybody; a receipt is read from the log."""
    from wattproof.tools.explain import names_a_receipt
    from wattproof.tools.result import from_json_text

    subject = from_json_text(subject)
    if isinstance(subject, str):
        is_receipt = names_a_receipt(subject)
    else:
        is_receipt = isinstance(subject, dict) and "jws" in subject
    return "audit" if is_receipt else TOOL_SCOPES["explain"]


def _resource(uri: object) -> Scope | None:
    for prefix, scope in _RESOURCES:
        if isinstance(uri, str) and uri.startswith(prefix):
            return scope
    return "admin"


def _completion(ref: object) -> Scope | None:
    """Completing the id of a receipt reads the log, as reading the receipt does."""
    if not isinstance(ref, Mapping):
        return None
    named = cast("Mapping[str, Any]", ref)
    uri = named.get("uri")
    if isinstance(uri, str):
        return _resource(uri)
    return "audit" if named.get("name") in _PROMPTS_ON_RECEIPTS else None
