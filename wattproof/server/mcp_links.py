"""Links from a result to the resource that holds all of it, for clients that know them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mcp.types import ResourceLink
from mcp.types.version import is_version_at_least

__all__ = ["links"]

_SINCE = "2025-06-18"
"""The first version of the protocol with links in results; a client of an older one would refuse the whole result."""


def links(tool: str, result: Any, protocol_version: str | None) -> list[ResourceLink]:
    """The link of a result, or nothing."""
    uri = _URI_OF.get(tool, _nothing)(result)
    if uri is None or protocol_version is None or not is_version_at_least(protocol_version, _SINCE):
        return []
    return [ResourceLink(type="resource_link", uri=uri, name=uri.rpartition("/")[2], mime_type="application/json")]


def _nothing(_: Any) -> str | None:
    return None


def _receipt(result: Any) -> str | None:
    return None if result.receipt_id is None else f"wattproof://receipts/{result.receipt_id}"


def _own_receipt(result: Any) -> str | None:
    """Anybody's receipt may be judged; only one of this installation can be read here."""
    return _receipt(result) if result.key_trust == "local" else None


def _method(result: Any) -> str | None:
    return f"wattproof://methods/{result.provenance.methodology}"


_URI_OF: Mapping[str, Callable[[Any], str | None]] = {
    "run_inference": _receipt,
    "track_operation": _receipt,
    "verify_receipt": _own_receipt,
    "explain": _method,
}
