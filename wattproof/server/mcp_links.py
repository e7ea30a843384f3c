"""Links from a result to the resource that holds all of it, for clients that show results to people.

Agent frameworks put every block of a result before their model, and some break on a link: LangChain makes a file of it,
for which its OpenAI adapter raises, and pydantic-ai then leaves the structured content out (docs/clients.md). A host
that shows views has a person to follow a link; a model has the receipt id in the text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mcp.types import ClientCapabilities, ResourceLink

from wattproof.server.apps.offered import apps_offered

__all__ = ["links"]


def links(tool: str, result: Any, client: ClientCapabilities | None) -> list[ResourceLink]:
    """The link of a result, or nothing. `client` is what the client can do; None: nobody knows."""
    uri = _URI_OF.get(tool, _nothing)(result)
    if uri is None or client is None or not apps_offered("auto", client.model_dump(by_alias=True, exclude_none=True)):
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
