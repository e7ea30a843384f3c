"""What a caller asked for, made ready once: the effective policy, the canonical body, the id and the deadline."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from hashlib import sha256

from wattproof.resources.routing import Policy
from wattproof.resources.runs.body import request_bytes
from wattproof.resources.runs.plan import effective_policy
from wattproof.resources.runs.records import RunDeps, RunRequest

__all__ = ["Ask"]

_REQUEST_ID_BYTES = 17


@dataclass(frozen=True, slots=True)
class Ask:
    """One call of `execute`. `digest` is the SHA-256 of `body`; `ends_at` is the deadline in monotonic seconds."""

    request: RunRequest
    policy: Policy
    deps: RunDeps
    body: bytes
    digest: bytes
    request_id: str
    ends_at: float

    @classmethod
    def of(cls, request: RunRequest, policy: Policy, deps: RunDeps) -> Ask:
        """The call, with a new request_id where the caller gave none."""
        policy = effective_policy(request, policy)
        body = request_bytes(request, policy)
        request_id = request.request_id or _new_request_id(deps.random_bytes(_REQUEST_ID_BYTES))
        return cls(
            request, policy, deps, body, sha256(body).digest(), request_id, deps.monotonic() + request.deadline_s
        )

    def left_s(self) -> float:
        """Seconds until the deadline."""
        return self.ends_at - self.deps.monotonic()


def _new_request_id(random: bytes) -> str:
    """`q_` and 26 characters of base32 (130 bits)."""
    return "q_" + base64.b32encode(random).decode("ascii").lower()[:26]
