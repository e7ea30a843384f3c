"""What goes wrong upstream, as `UpstreamError` with stable reason codes.

| reason | meaning | retryable |
|---|---|---|
| connect | no connection, or it broke before a status line | yes |
| tls | the certificate or handshake was refused | no |
| timeout | the deadline passed | yes |
| http_NNN | a status other than 200; 3xx too, because redirects are never followed | 408, 409, 425, 429, 5xx |
| bad_content_type | 200 with something that is neither an event stream nor JSON | yes |
| bad_json | an event or body that is not JSON, or not an answer of the protocol | yes |
| stream_error | the provider reported an error inside a 200 response | unless its type is final |
| cut_stream | the response ended before the answer did | yes |
| too_large | more than the cap of bytes | no |
| bad_usage | the answer is complete but its usage block is impossible | no |
| bad_request | the request cannot be put on the wire, or the protocol does not serve it | no |
| unavailable | the embedded model cannot start | no |

"Retryable" is about the same deployment; another candidate may always be tried.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

import httpx2

from wattproof.methodology.errors import UpstreamError

__all__ = ["http_failure", "is_final", "quoted", "retry_after_s", "transport_failure"]

_MAX_RETRY_AFTER_S = 86_400.0
_MAX_QUOTED_CHARS = 160
_RETRYABLE_4XX = frozenset({408, 409, 425, 429})
# What a provider calls errors that asking again does not cure; `overloaded_error` and the like are not among them.
_FINAL_ERRORS = frozenset(
    {
        "authentication_error",
        "billing_error",
        "invalid_request_error",
        "not_found_error",
        "permission_error",
        "request_too_large",
    }
)


def transport_failure(error: Exception, host: str, *, streaming: bool) -> UpstreamError:
    """The failure below HTTP. `streaming` says that a 200 response had begun."""
    if isinstance(error, httpx2.TimeoutException):
        return UpstreamError("timeout", f"{host} did not answer in time.", retryable=True)
    if _caused_by_tls(error):
        return UpstreamError("tls", f"{host}: the TLS connection was refused: {quoted(str(error))}.", retryable=False)
    if isinstance(error, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
        return UpstreamError(
            "bad_request", f"{host}: the request cannot be sent: {type(error).__name__}.", retryable=False
        )
    if streaming:
        return UpstreamError("cut_stream", f"{host} cut the answer off.", retryable=True)
    return UpstreamError("connect", f"{host} is not reachable or closed the connection at once.", retryable=True)


def http_failure(status: int, headers: Mapping[str, str], body: bytes, host: str, secret: str | None) -> UpstreamError:
    """The failure that a status other than 200 means. `secret` is blotted out where the provider echoes it."""
    said = _message_of(body)
    if secret:
        said = said.replace(secret, "***")
    detail = f": {quoted(said)}" if said else ""
    waits = retry_after_s(headers)
    hint = "" if waits is None else f" It asks to wait {waits:g} s."
    return UpstreamError(
        f"http_{status}",
        f"{host} answered {status}{detail}.{hint}",
        retryable=status >= 500 or status in _RETRYABLE_4XX,
        retry_after_s=waits,
    )


def is_final(error_type: object) -> bool:
    """Whether a provider's own type of error says that the same request would fail again.

    Source: the error types of the OpenAI and Anthropic API references.
    """
    return isinstance(error_type, str) and error_type in _FINAL_ERRORS


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that the provider asks to wait, from 0 to 86,400, or None.

    A date is taken relative to the response's own `Date`, so that no clock of ours is involved.

    Source: RFC 9110, section 10.2.3; `retry-after-ms` is OpenAI's.
    """
    in_ms = _number(headers.get("retry-after-ms"))
    if in_ms is not None:
        return _clamped(in_ms / 1000)
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None:
        return _clamped(seconds)
    until, now = _date(value), _date(headers.get("date"))
    return None if until is None or now is None else _clamped((until - now).total_seconds())


def quoted(text: str) -> str:
    """Foreign text made harmless: one line, ASCII escapes, quotes around it, at most 160 characters."""
    cut = text if len(text) <= _MAX_QUOTED_CHARS else text[: _MAX_QUOTED_CHARS - 3] + "..."
    return ascii(cut)


def _message_of(body: bytes) -> str:
    try:
        content: object = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    for key in ("error", "message", "detail"):
        if isinstance(content, dict) and key in content:
            content = cast("dict[str, Any]", content)[key]
    return content if isinstance(content, str) else ""


def _caused_by_tls(error: BaseException) -> bool:
    cause: BaseException | None = error
    for _ in range(8):
        if cause is None:
            return False
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _clamped(seconds: float) -> float:
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER_S)


def _number(value: str | None) -> float | None:
    text = (value or "").strip()
    if not (text.isascii() and text.replace(".", "", 1).isdigit() and len(text) <= 20):
        return None
    return float(text)


def _date(value: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value or "")
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo is not None else None
