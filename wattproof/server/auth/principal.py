"""Who sent a request over HTTP, what it may do, and whose log it acts on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

__all__ = ["LOCAL_ISSUER", "LOCAL_TENANT", "PRINCIPAL_KEY", "SCOPES", "Principal", "Scope", "principal_in"]

Scope: TypeAlias = Literal["estimate", "infer", "audit", "admin"]

SCOPES: tuple[Scope, ...] = ("estimate", "infer", "audit", "admin")
"""What a principal may be allowed to do, the least first."""

PRINCIPAL_KEY = "wattproof.principal"
"""Where the guard leaves the `Principal` in the ASGI scope of a request that it let through."""

LOCAL_ISSUER = "wattproof:local"
"""Issuer of the principal that the printed token stands for, and of everybody where no token is asked for."""

LOCAL_TENANT = "local"
"""The log of this installation itself, which stdio uses too."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls. `subject` is unique within `issuer`; together they are the identity that limits are kept by.

    `tenant` is the log that the calls act on, and the only form of the identity that may be written to a log line or a
    label: an OAuth subject can be an e-mail address. `name` is what the operator called an API key; empty otherwise.
    """

    issuer: str
    subject: str
    scopes: frozenset[str]
    tenant: str
    name: str = ""

    def __repr__(self) -> str:
        return f"Principal(tenant={self.tenant!r}, scopes={sorted(self.scopes)})"


def principal_in(scope: Mapping[str, Any]) -> Principal | None:
    """Who sent the request of this ASGI scope; None where the guard was not asked, as for ``/healthz``."""
    found = scope.get(PRINCIPAL_KEY)
    return found if isinstance(found, Principal) else None
