"""The canonical bytes of a request: what its digest, and the commitment in its receipt, are made over."""

from __future__ import annotations

import json
from typing import Any

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.providers import ChatRequest, EmbeddingRequest
from wattproof.resources.providers.records import UpstreamRequest
from wattproof.resources.routing import Policy
from wattproof.resources.runs.records import RunRequest

__all__ = ["SCHEMA", "request_bytes"]

SCHEMA = "wattproof-request/1"


def request_bytes(request: RunRequest, policy: Policy) -> bytes:
    """The request and its limits as ASCII JSON with sorted keys and no spaces: equal requests give equal bytes.

    What only labels the run (request_id, operation_id, tags, project, parent_id, step_kind, deadline_s) is not in it:
    two runs of one body differ only there.

    Raises:
        InvalidInput: something in the request is not JSON.
    """
    body: dict[str, Any] = {
        "schema": SCHEMA,
        "model": request.model,
        **_content(request.chat),
        "policy": {name: getattr(policy, name) for name in Policy.__slots__},
    }
    try:
        return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput("messages", f"cannot be written as JSON ({error})", "give JSON values only") from error


def _content(content: UpstreamRequest) -> dict[str, Any]:
    if isinstance(content, ChatRequest):
        return {
            "messages": [dict(message) for message in content.messages],
            "max_output_tokens": content.max_output_tokens,
            "temperature": content.temperature,
            "response_format": None if content.response_format is None else dict(content.response_format),
            "tools": [dict(tool) for tool in content.tools],
            "extra": dict(content.extra),
        }
    if isinstance(content, EmbeddingRequest):
        return {"inputs": list(content.inputs), "dimensions": content.dimensions}
    return {"query": content.query, "documents": list(content.documents), "top_n": content.top_n}
