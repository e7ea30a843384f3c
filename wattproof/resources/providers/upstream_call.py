"""What every HTTP adapter shares: one POST under a deadline and a cap, with every failure named.

Redirects are never followed (the key would travel along) and compressed bodies are refused (their size is unknown
before it is too late).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import anyio
import httpx2
import orjson
from h2.exceptions import H2Error

from wattproof.methodology.errors import UpstreamError
from wattproof.resources.providers.records import Deployment
from wattproof.resources.providers.upstream_failures import http_failure, is_final, quoted, transport_failure

__all__ = ["UpstreamCall", "body_chunks", "drain", "encoded", "opened", "require_media_type", "stream_error"]

MAX_RESPONSE_BYTES = 8 * 1024 * 1024
# httpcore2 lets errors of the HTTP/2 framing through as they are.
_BELOW_HTTP = (httpx2.TransportError, H2Error)
_MAX_ERROR_BYTES = 64 * 1024
_CONNECT_TIMEOUT_S = 10.0
# How long to wait for the end of the body after the answer's own end, so that the connection can be used again.
_DRAIN_S = 0.2
# Reading an address takes longer than all the rest of a request's head.
_parsed = lru_cache(maxsize=256)(httpx2.URL)


@dataclass(frozen=True, slots=True)
class UpstreamCall:
    """One call: where to, what with, until when (on anyio's clock), and what the answer is called in an error."""

    deployment: Deployment
    path: str
    api_key: str | None
    deadline: float
    expects: str
    accept: str = "text/event-stream, application/json"
    headers: tuple[tuple[str, str], ...] = ()
    max_bytes: int = MAX_RESPONSE_BYTES

    @property
    def host(self) -> str:
        return f"{self.deployment.provider} ({httpx2.URL(self.deployment.base_url).host})"

    @property
    def url(self) -> str:
        return self.deployment.base_url.rstrip("/") + self.path

    def left_s(self) -> float:
        return self.deadline - asyncio.get_running_loop().time()

    def late(self) -> UpstreamError:
        return UpstreamError("timeout", f"{self.host} did not finish before the deadline.", retryable=True)

    def cut(self) -> UpstreamError:
        return UpstreamError("cut_stream", f"{self.host} cut the answer off.", retryable=True)

    def misshapen(self) -> UpstreamError:
        return UpstreamError("bad_json", f"{self.host} sent something that is not {self.expects}.", retryable=True)


@asynccontextmanager
async def opened(client: httpx2.AsyncClient, call: UpstreamCall, body: bytes) -> AsyncGenerator[httpx2.Response]:
    """The response once its status is known to be 200; closed on leaving, finished or not.

    Raises:
        UpstreamError: `connect`, `tls`, `timeout`, `bad_request` or `http_NNN`.
    """
    try:
        upstream = client.build_request(
            "POST",
            _parsed(call.url),
            content=body,
            headers=_headers(call),
            # The deadline is ours; a read timeout of the client's own would also end its neighbours on one connection.
            timeout=httpx2.Timeout(None, connect=min(max(call.left_s(), 0.001), _CONNECT_TIMEOUT_S)),
        )
        if not 0 < (upstream.url.port or 1) < 65_536:
            raise ValueError("no such port")
    except (httpx2.InvalidURL, ValueError) as error:
        raise UpstreamError(
            "bad_request", f"{call.deployment.id}: the request cannot be sent: {type(error).__name__}.", retryable=False
        ) from error
    try:
        async with asyncio.timeout(max(call.left_s(), 0.0)):
            response = await client.send(upstream, stream=True, follow_redirects=False)
    except TimeoutError as error:
        raise call.late() from error
    except _BELOW_HTTP as error:
        raise transport_failure(error, call.host, streaming=False) from error
    try:
        if response.status_code != 200:
            said = await _error_body(response, call)
            raise http_failure(response.status_code, response.headers, said, call.host, call.api_key)
        yield response
    finally:
        with anyio.CancelScope(shield=True):
            await response.aclose()


def _headers(call: UpstreamCall) -> dict[str, str]:
    headers = {
        "accept": call.accept,
        "accept-encoding": "identity",
        "content-type": "application/json",
        **dict(call.headers),
    }
    if call.api_key is not None:
        if call.deployment.auth == "bearer":
            headers["authorization"] = f"Bearer {call.api_key}"
        else:
            headers[call.deployment.auth] = call.api_key
    return headers


def encoded(body: Mapping[str, Any]) -> bytes:
    """The JSON of a request.

    Raises:
        UpstreamError: `bad_request`, it holds something that JSON cannot.
    """
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError as error:
        raise UpstreamError("bad_request", f"The request is not JSON: {error}.", retryable=False) from error


def require_media_type(response: httpx2.Response, call: UpstreamCall, allowed: Collection[str]) -> str:
    """The media type of the body, in plain bytes.

    Raises:
        UpstreamError: `bad_content_type`, it is another one, or compressed.
    """
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity") or media_type not in allowed:
        what = f"{media_type or 'no content type'}" + ("" if encoding in ("", "identity") else f", {encoding}")
        raise UpstreamError(
            "bad_content_type",
            f"{call.host} sent {quoted(what)} where {' or '.join(allowed)} was asked for.",
            retryable=True,
        )
    return media_type


async def body_chunks(response: httpx2.Response, call: UpstreamCall) -> AsyncGenerator[bytes, None]:
    """The body's bytes, under the deadline and the cap; nothing is read that was not asked for.

    Raises:
        UpstreamError: `timeout`, `cut_stream` or `too_large`.
    """
    raw = response.aiter_raw()
    size = 0
    while True:
        try:
            async with asyncio.timeout(max(call.left_s(), 0.0)):
                chunk = await anext(raw, None)
        except TimeoutError as error:
            raise call.late() from error
        except _BELOW_HTTP as error:
            raise transport_failure(error, call.host, streaming=True) from error
        if chunk is None:
            return
        size += len(chunk)
        if size > call.max_bytes:
            raise UpstreamError("too_large", f"{call.host} sent more than {call.max_bytes:,} bytes.", retryable=False)
        yield chunk


async def drain(chunks: AsyncGenerator[bytes, None]) -> None:
    """Read on to the end of the body, briefly, so that the connection can serve the next call."""
    try:
        async with asyncio.timeout(_DRAIN_S):
            async for _ in chunks:
                pass
    except (UpstreamError, TimeoutError):
        # The answer is complete; how the connection ends no longer matters.
        return


def stream_error(error: object, call: UpstreamCall) -> UpstreamError:
    """The failure that a provider reports inside a 200 response."""
    fields = cast("dict[str, Any]", error) if isinstance(error, dict) else {"message": error}
    text = str(fields.get("message"))
    if call.api_key:
        text = text.replace(call.api_key, "***")
    return UpstreamError(
        "stream_error",
        f"{call.host} reported an error in its answer: {quoted(text)}.",
        retryable=not is_final(fields.get("type")),
    )


async def _error_body(response: httpx2.Response, call: UpstreamCall) -> bytes:
    """As much of an error page as its message can need; what cannot be read does not matter."""
    body = bytearray()
    with anyio.move_on_after(min(max(call.left_s(), 0.0), 5.0)):
        try:
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > _MAX_ERROR_BYTES:
                    break
        except _BELOW_HTTP:
            pass
    return bytes(body[:_MAX_ERROR_BYTES])
