"""Which deployment served the last request of each kind, so that equals do not take turns.

In memory only, one per process: see `decide` for what it does and does not do against herding.
"""

from __future__ import annotations

from collections.abc import Hashable

__all__ = ["Incumbents"]


class Incumbents:
    """The last deployment by kind of request, such as (log, model, preset). The `most` newest kinds are kept."""

    def __init__(self, most: int = 1024) -> None:
        self._most = most
        self._last: dict[Hashable, str] = {}

    def get(self, key: Hashable) -> str | None:
        """The id of the deployment that `key` used last; None when it used none, or too many others came since."""
        return self._last.get(key)

    def used(self, key: Hashable, deployment_id: str) -> None:
        """Remember that a request of kind `key` was served by `deployment_id`."""
        self._last.pop(key, None)
        self._last[key] = deployment_id
        if len(self._last) > self._most:
            del self._last[next(iter(self._last))]
