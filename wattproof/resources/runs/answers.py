"""The last answers, in memory only: a replay within the same process can give them back."""

from __future__ import annotations

from collections import OrderedDict

from wattproof.resources.providers import ChatEnd

__all__ = ["Answers"]


class Answers:
    """At most `size` answers by (log, request); the least recently used goes first. Nothing is written anywhere."""

    def __init__(self, size: int = 64) -> None:
        self._size = size
        self._ends: OrderedDict[tuple[str, str], ChatEnd] = OrderedDict()

    def keep(self, log_id: str, request_id: str, end: ChatEnd) -> None:
        self._ends[log_id, request_id] = end
        self._ends.move_to_end((log_id, request_id))
        while len(self._ends) > self._size:
            self._ends.popitem(last=False)

    def find(self, log_id: str, request_id: str) -> ChatEnd | None:
        end = self._ends.get((log_id, request_id))
        if end is not None:
            self._ends.move_to_end((log_id, request_id))
        return end
