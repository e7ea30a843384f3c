"""Why a request is not let through, in the words of HTTP, RFC 6750 and whoever reads the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

__all__ = ["Denial"]


@dataclass(frozen=True, slots=True)
class Denial:
    """A refusal. `error` is the code of RFC 6750 for the challenge; None: no credentials came, or they would not help.

    `description` is printable ASCII without quotes and backslashes, for a header carries it. `scopes` are those to ask
    for; "" says nothing of them.
    """

    status: int
    description: str
    error: str | None = None
    scopes: str = ""
    retry_after_s: int | None = None
    challenged: bool = True

    @classmethod
    def invalid(cls, description: str) -> Self:
        """The credentials do not count."""
        return cls(401, description, "invalid_token")

    @classmethod
    def unavailable(cls, retry_after_s: int) -> Self:
        """Whether they count cannot be told now; the client must not throw them away."""
        problem = "The credentials cannot be checked at the moment"
        return cls(503, problem, retry_after_s=retry_after_s, challenged=False)

    def challenge(self, resource_metadata: str | None) -> str:
        """The header ``WWW-Authenticate``."""
        parts = ['realm="wattproof"']
        if self.error is not None:
            parts += [f'error="{self.error}"', f'error_description="{self.description}"']
        if self.scopes:
            parts.append(f'scope="{self.scopes}"')
        if resource_metadata is not None:
            parts.append(f'resource_metadata="{resource_metadata}"')
        return f"Bearer {', '.join(parts)}"
