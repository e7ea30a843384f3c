"""What the server writes to stderr: one line per event, with names and numbers and never with content.

Lines of our own carry fields. Of what libraries log only the place in their code and the kind of the exception is kept:
their texts may quote a request, and nobody can tell by looking at them.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from typing import Any, TextIO

from wattproof.server.settings import LogStyle

__all__ = ["install", "raised"]

_OURS = "wattproof"
_LONGEST_VALUE = 500
_FRAMES = 12
_MARK = "_wattproof_lines"


def install(style: LogStyle, *, calls: bool, stream: TextIO | None = None) -> None:
    """Send the log of this process to `stream` (stderr) as lines of `style`; once, later ones change the style.

    Without `calls` only what went wrong is written.
    """
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if hasattr(handler, _MARK)]:
        root.removeHandler(old)
    handler: logging.Handler = logging.NullHandler()
    if style != "off":
        handler = logging.StreamHandler(sys.stderr if stream is None else stream)
        handler.setFormatter(_Json() if style == "json" else _Text())
    setattr(handler, _MARK, True)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(_OURS).setLevel(logging.INFO if calls and style != "off" else logging.WARNING)


class _Json(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_fields(record), ensure_ascii=True, separators=(",", ":"))


class _Text(logging.Formatter):
    """`time level event name=value …`, for people."""

    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record)
        head = [str(fields.pop(name)) for name in ("time", "level", "event")]
        return " ".join([*head, *(f"{name}={_shown(value)}" for name, value in fields.items())])


def _shown(value: object) -> str:
    """A value without spaces as it is, any other quoted: a line stays one line."""
    text = json.dumps(value) if not isinstance(value, str) else value
    return text if text.isprintable() and " " not in text else json.dumps(text)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = {"time": _rfc3339(record.created), "level": record.levelname.lower()}
    if record.name.partition(".")[0] == _OURS:
        fields["event"] = record.getMessage()
        given: dict[str, Any] = getattr(record, "fields", {})
        fields |= {name: _bounded(value) for name, value in given.items()}
    else:
        fields["event"] = "library"
        fields["where"] = f"{record.name}:{record.lineno}"
    if record.exc_info and record.exc_info[1] is not None:
        fields |= raised(record.exc_info[1])
    return fields


def raised(error: BaseException) -> dict[str, Any]:
    """The kind of an exception and where it came from, without its text, which may quote a request."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    names = [f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
    return {"exception": type(error).__name__, "frames": names}


def _bounded(value: Any) -> Any:
    return value[:_LONGEST_VALUE] if isinstance(value, str) else value


def _rfc3339(at_s: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_s))
    return f"{whole}.{int(at_s * 1000) % 1000:03d}Z"
