"""A payload made ready to be signed at any moment: checked and encoded beforehand, all but its time of issue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wattproof.resources.receipts import canonical

__all__ = ["Statement"]

_LATE = "issued_at"


class Statement:
    """What a receipt will state, whenever it is issued. `payload` has any `issued_at`; it has been checked.

    `dumps` writes canonical JSON; whoever gives another than ours answers for the same bytes.

    Raises:
        InvalidInput: the payload is outside the canonical subset.
    """

    __slots__ = ("_after", "_before", "_payload")

    def __init__(self, payload: Mapping[str, Any], dumps: Callable[[object], bytes] = canonical.dumps) -> None:
        self._payload = payload
        # Canonical JSON sorts its keys.
        self._before = dumps({name: value for name, value in payload.items() if name < _LATE})
        self._after = dumps({name: value for name, value in payload.items() if name > _LATE})

    def __getitem__(self, name: str) -> Any:
        return self._payload[name]

    def issued(self, issued_at: str) -> dict[str, Any]:
        """The payload with this time of issue (RFC 3339 UTC)."""
        return {**self._payload, _LATE: issued_at}

    def encoded(self, issued_at: str) -> bytes:
        """The canonical JSON of `issued(issued_at)`."""
        late = canonical.dumps({_LATE: issued_at})
        members = [part[1:-1] for part in (self._before, late, self._after)]
        return b"{" + b",".join(part for part in members if part) + b"}"
