"""Embeddings over the OpenAI-compatible wire: texts in, one vector for each out."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Mapping
from functools import partial
from typing import Any, cast

import anyio
import httpx2

from wattproof.resources.providers.answer import as_mapping
from wattproof.resources.providers.one_body import Result, answer_to
from wattproof.resources.providers.records import ChatDelta, ChatEnd, Deployment, EmbeddingRequest
from wattproof.resources.providers.upstream_call import UpstreamCall
from wattproof.resources.providers.usage import EMBEDDINGS

__all__ = ["stream_embeddings"]

# A thousand vectors of 1,536 numbers of 20 digits.
_MAX_BYTES = 32 * 1024 * 1024


async def stream_embeddings(
    client: httpx2.AsyncClient,
    deployment: Deployment,
    request: EmbeddingRequest,
    *,
    api_key: str | None,
    timeout_s: float,
) -> AsyncGenerator[ChatDelta | ChatEnd, None]:
    """Send `request` to `deployment` and yield one `ChatEnd` with a vector per input, in the order of the inputs.

    Source: OpenAI API reference, "Create embeddings"; each row of `data` carries the index of its input.

    Raises:
        UpstreamError: as `stream_chat`; `bad_json` where a vector is missing, doubled, not finite or of another length.
    """
    deadline = anyio.current_time() + timeout_s
    call = UpstreamCall(
        deployment,
        "/embeddings",
        api_key,
        deadline,
        expects="a list of embeddings",
        accept="application/json",
        max_bytes=_MAX_BYTES,
    )
    body: dict[str, Any] = {
        **deployment.request_fields,
        "model": deployment.native_model,
        "input": list(request.inputs),
        "encoding_format": "float",
    }
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    yield await answer_to(client, call, body, request, EMBEDDINGS, partial(_read, request))


def _read(request: EmbeddingRequest, fields: Mapping[str, Any]) -> Result:
    data: object = fields.get("data")
    if not isinstance(data, list):
        raise TypeError("data is not a list")
    by_index: dict[int, tuple[float, ...]] = {}
    for position, item in enumerate(cast("list[object]", data)):
        row = as_mapping(item)
        if row is None:
            raise TypeError("an embedding is not an object")
        index = row.get("index", position)
        if type(index) is not int or index in by_index:
            raise ValueError("an embedding has an impossible index")
        by_index[index] = _vector(row.get("embedding"))
    if sorted(by_index) != list(range(len(request.inputs))):
        raise ValueError("the embeddings are not one per input")
    if len({len(vector) for vector in by_index.values()}) > 1:
        raise ValueError("the embeddings differ in length")
    vectors = tuple(by_index[index] for index in range(len(request.inputs)))
    return Result(as_mapping(fields.get("usage")) or {}, vectors=vectors)


def _vector(value: object) -> tuple[float, ...]:
    if not isinstance(value, list) or not value:
        raise TypeError("an embedding is not a list of numbers")
    numbers = cast("list[object]", value)
    if any(type(number) not in (float, int) for number in numbers):
        raise TypeError("an embedding holds something that is not a number")
    vector = tuple(map(float, cast("list[float]", numbers)))
    if not all(map(math.isfinite, vector)):
        raise ValueError("an embedding holds a number that is not finite")
    return vector
