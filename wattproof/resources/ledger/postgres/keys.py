"""The keys of a ledger that several machines share: the operator supplies them, the database publishes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wattproof.methodology.errors import KeyUnusable
from wattproof.resources.ledger.keyring import Keyring
from wattproof.resources.ledger.postgres.connection import Raw, connect, postgres_errors
from wattproof.resources.receipts import Issuer
from wattproof.resources.receipts.key_statement import KeyRole
from wattproof.resources.receipts.keys import write_jwks

__all__ = ["SharedKeyring", "publish_keys", "require_supplied"]

_ROLES: tuple[KeyRole, ...] = ("issuer", "log")
_ALL = "SELECT jwk FROM published_key WHERE role = %s ORDER BY place"
_ADD = (
    "INSERT INTO published_key (role, kid, jwk) VALUES (%s, %s, %s) "
    "ON CONFLICT (role, kid) DO UPDATE SET jwk = excluded.jwk"
)


def require_supplied(issuer: Issuer | None, log_keys: Sequence[Issuer]) -> Issuer:
    """The issuer's key, where the operator gave both.

    Raises:
        KeyUnusable: one is missing; a key made here would be another one on every machine.
    """
    missing = [name for name, given in (("WATTPROOF_ISSUER_KEY", issuer), ("WATTPROOF_LOG_KEY", log_keys)) if not given]
    if issuer is None or missing:
        raise KeyUnusable(
            f"A ledger in PostgreSQL needs {' and '.join(missing)} in the environment: every process on it signs with "
            "the same keys, so none makes its own. Give each 32 random bytes in base64url, from your secret store; "
            'make one with: python -c "import base64,os;print(base64.urlsafe_b64encode(os.urandom(32)).decode())"'
        )
    return issuer


class SharedKeyring(Keyring):
    """Keys that the operator supplies. What is published of them is in the database, and copied to `folder`."""

    def __init__(
        self,
        folder: Path,
        *,
        random_bytes: Callable[[int], bytes],
        origin_of: Callable[[str], str],
        issuer: Issuer,
        log_keys: Sequence[Issuer],
        dsn: str,
        schema: str,
    ) -> None:
        super().__init__(folder, random_bytes=random_bytes, origin_of=origin_of, issuer=issuer, log_keys=log_keys)
        self._dsn = dsn
        self._schema = schema
        self._log_ids: set[str] = set()

    def limit(self, role: KeyRole, kid: str, **limits: int) -> None:
        """Publish limits in time (Unix seconds) of a key."""
        super().limit(role, kid, **limits)
        self.exchange()

    def replace(self, role: KeyRole, new: Issuer, now: int) -> None:
        """Let `new` sign from now on in this process, and publish it to all; they get it from the operator too."""
        super().replace(role, new, now)
        self.exchange()

    def publish_vkeys(self, log_ids: Sequence[str]) -> None:
        """Write ``log.vkey`` for these logs and those written before: a transaction may see its own log only."""
        self._log_ids.update(log_ids)
        super().publish_vkeys(sorted(self._log_ids))

    def exchange(self) -> None:
        """Copy what the database publishes to the folder, and what is new here to the database. Blocks."""
        raw = connect(self._dsn, self._schema)
        try:
            with postgres_errors(self._dsn):
                for role in _ROLES:
                    ours: list[dict[str, Any]] = self.key_set(role)["keys"]
                    merged = publish_keys(raw, role, ours)
                    if merged != ours:
                        write_jwks(self.set_path(role), {"keys": merged})
        finally:
            raw.close()


def publish_keys(raw: Raw, role: str, ours: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Publish the JWKs `ours` of a role in the database; returns every key that is published there then."""
    theirs = [json.loads(jwk) for (jwk,) in raw.execute(_ALL, (role,))]
    merged = _merged(theirs, ours)
    for jwk in merged:
        if jwk not in theirs:
            raw.execute(_ADD, (role, jwk["kid"], json.dumps(jwk, sort_keys=True)))
    return merged


def _merged(theirs: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every key once, with the limits in time that either side knows; of two ends the earlier one."""
    merged: dict[str, dict[str, Any]] = {}
    for jwk in (*theirs, *ours):
        held = merged.setdefault(str(jwk.get("kid")), {})
        for name, value in jwk.items():
            held[name] = min(held[name], value) if name in held and isinstance(value, int) else value
    return list(merged.values())
