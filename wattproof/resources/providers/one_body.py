"""Calls that are answered by one JSON body: embeddings and rerankings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

import httpx2
import orjson

from wattproof.methodology.errors import InvalidInput, UpstreamError
from wattproof.methodology.quantity import Usage, UsageSource
from wattproof.resources.providers.answer import label, reported_blocks, reported_headers
from wattproof.resources.providers.local_count import usage_so_far
from wattproof.resources.providers.plausible import implausible
from wattproof.resources.providers.records import ChatEnd, EmbeddingRequest, RerankRequest
from wattproof.resources.providers.upstream_call import (
    UpstreamCall,
    body_chunks,
    encoded,
    opened,
    require_media_type,
    stream_error,
)
from wattproof.resources.providers.upstream_failures import quoted
from wattproof.resources.providers.usage import UsageDialect, normalise_usage

__all__ = ["Result", "answer_to"]


@dataclass(frozen=True, slots=True)
class Result:
    """What a body holds: vectors or a ranking, and where it states its usage."""

    usage_block: Mapping[str, Any]
    vectors: tuple[tuple[float, ...], ...] = ()
    ranking: tuple[tuple[int, float], ...] = ()


async def answer_to(
    client: httpx2.AsyncClient,
    call: UpstreamCall,
    body: Mapping[str, Any],
    request: EmbeddingRequest | RerankRequest,
    dialect: UsageDialect,
    read: Callable[[Mapping[str, Any]], Result],
) -> ChatEnd:
    """Send `body`; the end of the call, with what `read` finds in the answer.

    `read` raises TypeError or ValueError for a body that is not shaped like its protocol's.

    Raises:
        UpstreamError: the call failed; once a 200 response had begun, with what it cost by our count.
    """
    async with opened(client, call, encoded(body)) as response:
        try:
            require_media_type(response, call, ("application/json",))
            async with aclosing(body_chunks(response, call)) as chunks:
                fields = _fields(b"".join([chunk async for chunk in chunks]), call)
            if fields.get("error"):
                raise stream_error(fields["error"], call)
            result = _read(fields, call, read)
            usage, source = _usage(result, call, request, dialect)
        except UpstreamError as error:
            error.partial_usage, error.partial_usage_source = usage_so_far(request, ""), "local_count"
            raise
        headers = response.headers
    reported = reported_blocks(fields) | ({"headers": green} if (green := reported_headers(headers)) else {})
    doubt = implausible(usage, request) if source == "provider" else None
    return ChatEnd(
        text="",
        usage=usage,
        usage_source=source,
        finish_reason=None,
        resolved_model=label(fields.get("model")),
        provider_request_id=label(fields.get("id")) or label(headers.get("x-request-id")),
        reported=(reported | ({"usage_implausible": doubt} if doubt else {})) or None,
        vectors=result.vectors,
        ranking=result.ranking,
    )


def _fields(body: bytes, call: UpstreamCall) -> dict[str, Any]:
    if not body:
        raise call.cut()
    try:
        content: object = orjson.loads(body)
    except ValueError as error:
        raise call.misshapen() from error
    if not isinstance(content, dict):
        raise call.misshapen()
    return cast("dict[str, Any]", content)


def _read(fields: Mapping[str, Any], call: UpstreamCall, read: Callable[[Mapping[str, Any]], Result]) -> Result:
    try:
        return read(fields)
    except (TypeError, ValueError) as error:
        raise call.misshapen() from error


def _usage(
    result: Result, call: UpstreamCall, request: EmbeddingRequest | RerankRequest, dialect: UsageDialect
) -> tuple[Usage, UsageSource]:
    try:
        stated = normalise_usage(result.usage_block, answered=True, dialect=dialect)
    except InvalidInput as error:
        raise UpstreamError(
            "bad_usage", f"{call.host} stated an impossible usage: {quoted(str(error))}.", retryable=False
        ) from error
    return (usage_so_far(request, ""), "local_count") if stated is None else (stated, "provider")
