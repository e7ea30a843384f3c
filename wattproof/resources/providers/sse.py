"""Server-sent events, incrementally and with comments kept.

Comments matter here: one provider reports its energy in one (`: energy {...}`), and ordinary readers drop them.
Source: WHATWG HTML, section 9.2 (event stream interpretation). `id`, `event` and `retry` fields are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["Event", "EventReader"]

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """One event's data (its lines joined by a newline), or one comment line."""

    kind: Literal["data", "comment"]
    text: str


class EventReader:
    """Turns chunks of bytes into events; where the chunks are cut makes no difference."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []
        self._started = False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that `chunk` completes."""
        buffer = self._rest + chunk
        if not self._started:
            if len(buffer) < len(_BOM) and _BOM.startswith(buffer):
                self._rest = buffer
                return
            buffer = buffer.removeprefix(_BOM)
            self._started = True
        # A trailing CR may be the first half of CRLF: wait for the next chunk.
        held = b"\r" if buffer.endswith(b"\r") else b""
        lines = (buffer[: len(buffer) - len(held)]).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop() + held
        for line in lines:
            yield from self._line(line)

    def end(self) -> Iterator[Event]:
        """What the end of the stream completes: data whose closing blank line never came. A cut line is dropped."""
        if self._rest.endswith(b"\r"):
            yield from self._line(self._rest[:-1])
        self._rest = b""
        yield from self._dispatch()

    def _line(self, line: bytes) -> Iterator[Event]:
        if not line:
            yield from self._dispatch()
            return
        name, _, value = line.partition(b":")
        text = value.removeprefix(b" ").decode("utf-8", "replace")
        if not name:
            yield Event("comment", text)
        elif name == b"data":
            self._data.append(text)

    def _dispatch(self) -> Iterator[Event]:
        if self._data:
            data, self._data = "\n".join(self._data), []
            yield Event("data", data)
