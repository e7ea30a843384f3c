"""Reranking as Cohere and Jina shape it: a query and documents in, their order with scores out."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Mapping
from functools import partial
from typing import Any, cast

import anyio
import httpx2

from wattproof.resources.providers.answer import as_mapping
from wattproof.resources.providers.one_body import Result, answer_to
from wattproof.resources.providers.records import ChatDelta, ChatEnd, Deployment, RerankRequest
from wattproof.resources.providers.upstream_call import UpstreamCall
from wattproof.resources.providers.usage import RERANK

__all__ = ["stream_rerank"]


async def stream_rerank(
    client: httpx2.AsyncClient,
    deployment: Deployment,
    request: RerankRequest,
    *,
    api_key: str | None,
    timeout_s: float,
) -> AsyncGenerator[ChatDelta | ChatEnd, None]:
    """Send `request` to `deployment` and yield one `ChatEnd` with the ranking, best first.

    Source: Jina AI and Cohere API references, "rerank": `results` of `{index, relevance_score}`; Jina states its usage
        under `usage`, Cohere under `meta`.

    Raises:
        UpstreamError: as `stream_chat`; `bad_json` where a document is ranked twice, is unknown or has no score.
    """
    deadline = anyio.current_time() + timeout_s
    call = UpstreamCall(
        deployment, "/rerank", api_key, deadline, expects="a list of ranked documents", accept="application/json"
    )
    body: dict[str, Any] = {
        **deployment.request_fields,
        "model": deployment.native_model,
        "query": request.query,
        "documents": list(request.documents),
    }
    if request.top_n is not None:
        body["top_n"] = request.top_n
    yield await answer_to(client, call, body, request, RERANK, partial(_read, request))


def _read(request: RerankRequest, fields: Mapping[str, Any]) -> Result:
    results: object = fields.get("results")
    if not isinstance(results, list):
        raise TypeError("results is not a list")
    scores: dict[int, float] = {}
    for item in cast("list[object]", results):
        row = as_mapping(item) or {}
        index, score = row.get("index"), row.get("relevance_score")
        if type(index) is not int or index in scores or not 0 <= index < len(request.documents):
            raise ValueError("a document has an impossible index")
        if type(score) not in (float, int) or not math.isfinite(cast("float", score)):
            raise ValueError("a document has no finite score")
        scores[index] = float(cast("float", score))
    most = len(request.documents) if request.top_n is None else min(request.top_n, len(request.documents))
    if len(scores) > most or (most > 0 and not scores):
        raise ValueError("the documents are not as many as were asked for")
    ranking = sorted(scores.items(), key=lambda ranked: (-ranked[1], ranked[0]))
    return Result(fields, ranking=tuple(ranking))
