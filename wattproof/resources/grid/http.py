"""One GET to a grid-signal API, with everything that can go wrong as `GridUnavailable` and a stable reason code.

| reason | meaning |
|---|---|
| connect | no connection, or it broke before the answer was whole |
| tls | the certificate or handshake was refused |
| timeout | the answer was not whole in time |
| http_NNN | a status other than 200; 3xx too, because redirects are never followed |
| bad_content_type | an HTML page, a compressed body or another type than the API documents |
| bad_json | a body that is not UTF-8 or not JSON |
| too_large | more than 2 MiB |
| bad_request | the base URL cannot be asked |

Messages never hold the URL's path or query: some of these APIs want the key there.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

import anyio
import httpx2
import orjson

from wattproof.methodology.errors import GridUnavailable
from wattproof.resources.grid.observation import GridConnection

__all__ = ["Answer", "fetch", "quoted", "refusal", "require_json", "require_ok", "require_text"]

_MAX_BYTES = 2 * 1024 * 1024
_MAX_RETRY_AFTER_S = 86_400.0
_MAX_QUOTED_CHARS = 160


@dataclass(frozen=True, slots=True)
class Answer:
    """What an API answered, whatever its status. `media_type` is lower case and without parameters.

    `retry_after_s` is what it asks to wait, from 0 to 86,400, or None.
    """

    host: str
    status: int
    media_type: str
    encoding: str
    body: bytes
    retry_after_s: float | None

    @property
    def said(self) -> str:
        """The message of an error body: plain text, or `error`, `message` or `detail` of a JSON object; else empty."""
        if self.media_type == "text/plain":
            return self.body[:1000].decode("utf-8", "replace")
        try:
            content: object = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return ""
        for key in ("error", "message", "detail"):
            if isinstance(content, dict) and key in content:
                content = cast("dict[str, Any]", content)[key]
        return content if isinstance(content, str) else ""


async def fetch(
    connection: GridConnection,
    url: str,
    *,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    secrets: tuple[str, ...] = (),
) -> Answer:
    """GET `url` and read the whole answer within `connection.timeout_s`, at most 2 MiB, following no redirect.

    `secrets` are blotted out of the body of an error. Any status is returned: see `require_ok` and `refusal`.

    Raises:
        GridUnavailable: connect, tls, timeout, too_large or bad_request.
    """
    host = "the grid-signal API"
    try:
        request = connection.client.build_request(
            "GET",
            url,
            params=params,
            headers={"accept": "application/json", "accept-encoding": "identity", **(headers or {})},
            timeout=None,
        )
        host = request.url.host or host
        with anyio.fail_after(connection.timeout_s):
            response = await connection.client.send(request, stream=True, follow_redirects=False)
            try:
                body = await _capped(response, host)
            finally:
                with anyio.CancelScope(shield=True):
                    await response.aclose()
    except TimeoutError as error:
        raise GridUnavailable("timeout", f"{host} did not answer within {connection.timeout_s:g} s.") from error
    except (httpx2.TransportError, httpx2.InvalidURL, UnicodeEncodeError) as error:
        raise _transport_failure(error, host) from error
    if response.status_code != 200:
        for secret in filter(None, secrets):
            body = body.replace(secret.encode("utf-8", "surrogateescape"), b"***")
    return Answer(
        host=host,
        status=response.status_code,
        media_type=response.headers.get("content-type", "").partition(";")[0].strip().lower(),
        encoding=response.headers.get("content-encoding", "").strip().lower() or "identity",
        body=body,
        retry_after_s=_retry_after_s(response.headers),
    )


def require_ok(answer: Answer) -> Answer:
    """The answer, if its status is 200.

    Raises:
        GridUnavailable: http_NNN.
    """
    if answer.status != 200:
        raise refusal(answer, f"http_{answer.status}")
    return answer


def require_json(answer: Answer) -> object:
    """The parsed body of a 200 answer that says that it is JSON (`application/json` or `application/...+json`).

    Raises:
        GridUnavailable: http_NNN, bad_content_type or bad_json.
    """
    _require_type(answer, answer.media_type == "application/json" or answer.media_type.endswith("+json"))
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        raise GridUnavailable("bad_json", f"{answer.host} sent a body that is not JSON.") from error


def require_text(answer: Answer, media_types: tuple[str, ...]) -> bytes:
    """The body of a 200 answer of one of these media types, for what is not JSON.

    Raises:
        GridUnavailable: http_NNN or bad_content_type.
    """
    _require_type(answer, answer.media_type in media_types)
    return answer.body


def refusal(answer: Answer, reason: str) -> GridUnavailable:
    """The error for an answer that a source reads as `reason` (`plan`, `unauthorized`, `no_data`, `http_503`)."""
    detail = f": {quoted(answer.said)}" if answer.said else ""
    return GridUnavailable(
        reason, f"{answer.host} answered {answer.status}{detail}.", retry_after_s=answer.retry_after_s
    )


def quoted(text: str) -> str:
    """Foreign text made harmless: one line, ASCII escapes, quotes around it, at most 160 characters."""
    return ascii(text if len(text) <= _MAX_QUOTED_CHARS else text[: _MAX_QUOTED_CHARS - 3] + "...")


def _require_type(answer: Answer, fits: bool) -> None:
    require_ok(answer)
    if answer.encoding != "identity" or not fits:
        what = answer.media_type or "no content type"
        packed = "" if answer.encoding == "identity" else f", {answer.encoding}"
        raise GridUnavailable("bad_content_type", f"{answer.host} sent {quoted(what + packed)}.")


async def _capped(response: httpx2.Response, host: str) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > _MAX_BYTES:
            raise GridUnavailable("too_large", f"{host} sent more than {_MAX_BYTES:,} bytes.")
    return bytes(body)


def _transport_failure(error: Exception, host: str) -> GridUnavailable:
    if isinstance(error, httpx2.TimeoutException):
        return GridUnavailable("timeout", f"{host} did not answer in time.")
    if _caused_by_tls(error):
        return GridUnavailable("tls", f"{host}: the TLS connection was refused: {quoted(str(error))}.")
    # A key with a line break or a letter outside ASCII cannot be put in a header.
    if isinstance(
        error, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError | httpx2.InvalidURL | UnicodeEncodeError
    ):
        return GridUnavailable("bad_request", f"{host}: the request cannot be sent: {type(error).__name__}.")
    return GridUnavailable("connect", f"{host} is not reachable or broke the connection.")


def _caused_by_tls(error: BaseException) -> bool:
    cause: BaseException | None = error
    for _ in range(8):
        if cause is None:
            return False
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait; a date is taken relative to the answer's own `Date`. Source: RFC 9110, section 10.2.3."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit() and len(value) <= 20:
        return min(float(value), _MAX_RETRY_AFTER_S)
    until, now = _date(value), _date(headers.get("date", ""))
    return None if until is None or now is None else min(max((until - now).total_seconds(), 0.0), _MAX_RETRY_AFTER_S)


def _date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo is not None else None
