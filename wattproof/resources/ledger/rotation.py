"""New keys for old ones, and what every log is told about it.

Two transactions, both under the ledger's lock. The first makes the new key (``keys/<role>.key.next``) and has the
issuer key of that moment sign it, as an entry of every log. The second publishes the limits of both keys and puts the
new one in its place. A process that dies between them leaves a rotation that the next start completes; one that dies
before the first is committed leaves a key that never signed, and that is dropped.

Every process looks at the key file before it signs, so none signs with the old key once the new one is in place.
"""

from __future__ import annotations

from dataclasses import dataclass

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.quantity import Usage
from wattproof.resources.ledger.append import Signed, Transaction, append
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.keyring import REVOKED_AT, Keyring
from wattproof.resources.ledger.queries import logs
from wattproof.resources.ledger.records import EntryDraft, Settled
from wattproof.resources.ledger.rows import AMOUNTS
from wattproof.resources.ledger.times import rfc3339
from wattproof.resources.receipts import SIMULATION_TYP, Issuer, keys_from_jwks, sign
from wattproof.resources.receipts.key_statement import KeyRole, KeyStatement

__all__ = ["KEY_SOURCE", "KeyChange", "begin", "complete", "recover", "retire", "revoke", "state_revocation"]

KEY_SOURCE = "wattproof-key"
"""`source` of the entries that hold statements about keys; their `external_id` is ``<action>:<kid>``."""

_NOTHING = "none"


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A key that was replaced or revoked (`old_kid`), the one in its place (None after a revocation), and the entries
    that say so, one a log."""

    role: KeyRole
    old_kid: str
    new_kid: str | None
    entries: tuple[Settled, ...]


def begin(transaction: Transaction, keyring: Keyring, typ: str, role: KeyRole, given: Issuer | None) -> KeyChange:
    """Have the issuer's key sign the new key of `role`, as an entry of every log.

    Raises:
        InvalidInput: the operator supplies the key that is to be replaced and gave no new one, or one used before.
    """
    if given is None and keyring.is_supplied(role):
        variable = f"WATTPROOF_{role.upper()}_KEY"
        raise InvalidInput(
            variable, "supplies the key that is to be replaced", f"give the new one in {variable}_NEXT, then move it"
        )
    old = keyring.signers(role)[0]
    new = keyring.next_key(role) if given is None else given
    if new.kid in keys_from_jwks(keyring.key_set("issuer")) or new.kid in keys_from_jwks(keyring.key_set("log")):
        raise InvalidInput("key", f"is {new.kid}, which was used before", "give a new one")
    statement = KeyStatement("rotate", role, new.public_key, old.kid, transaction.now)
    return KeyChange(role, old.kid, new.kid, _state(transaction, keyring, typ, statement))


def complete(transaction: Transaction, keyring: Keyring, change: KeyChange, given: Issuer | None) -> None:
    """Put the new key of a rotation that was begun in its place; harmless where another process did."""
    new = keyring.begun(change.role) if given is None else given
    if new is not None and new.kid == change.new_kid:
        keyring.replace(change.role, new, int(transaction.now_s))
        keyring.publish_vkeys(logs(transaction.connection))


def recover(connection: sqlite3.Connection, keyring: Keyring, now_s: float) -> None:
    """Complete the rotations that a process did not live to complete; drop keys of those that it did not begin."""
    roles: tuple[KeyRole, ...] = ("issuer", "log")
    for role in roles:
        new = None if keyring.is_supplied(role) else keyring.begun(role)
        if new is None:
            continue
        if _is_stated(connection, "rotate", new.kid):
            keyring.replace(role, new, int(now_s))
        else:
            keyring.drop_next(role)


def retire(transaction: Transaction, keyring: Keyring) -> str | None:
    """Let the newest log key sign alone; the kid of the one that is retired by that."""
    retired = keyring.retire_previous(int(transaction.now_s))
    return None if retired is None else retired.kid


def state_revocation(
    transaction: Transaction, keyring: Keyring, typ: str, kid: str, since_s: float | None
) -> KeyChange:
    """Enter in every log that `kid` may have been held by somebody else since `since_s` (Unix time; None: now).

    Raises:
        InvalidInput: no key has this id, or it signs now and has no successor.
    """
    role, public_key = _published(keyring, kid)
    if kid == keyring.signers(role)[0].kid:
        raise InvalidInput("kid", f"is {kid}, which signs now", f"rotate first: wattproof ledger rotate-key {role}")
    effective = transaction.now if since_s is None else rfc3339(since_s)
    statement = KeyStatement("revoke", role, public_key, None, effective)
    return KeyChange(role, kid, None, _state(transaction, keyring, typ, statement))


def revoke(transaction: Transaction, keyring: Keyring, change: KeyChange, since_s: float | None) -> None:
    """Publish that a key is revoked; it signs nothing any more."""
    if change.role == "log" and change.old_kid in [key.kid for key in keyring.signers("log")[1:]]:
        keyring.retire_previous(int(transaction.now_s))
    since = transaction.now_s if since_s is None else since_s
    keyring.limit(change.role, change.old_kid, **{REVOKED_AT: int(since)})
    keyring.publish_vkeys(logs(transaction.connection))


def _published(keyring: Keyring, kid: str) -> tuple[KeyRole, bytes]:
    roles: tuple[KeyRole, ...] = ("issuer", "log")
    for role in roles:
        found = keys_from_jwks(keyring.key_set(role)).get(kid)
        if found is not None:
            return role, found
    raise InvalidInput("kid", f"is {kid[:60]!r}, which no key has", "give one that `wattproof ledger keys` lists")


def _is_stated(connection: sqlite3.Connection, action: str, kid: str) -> bool:
    sql = "SELECT 1 FROM entry WHERE log_id IN (SELECT log_id FROM log) AND source = ? AND external_id = ? LIMIT 1"
    return connection.execute(sql, (KEY_SOURCE, f"{action}:{kid}")).fetchone() is not None


def _state(transaction: Transaction, keyring: Keyring, typ: str, statement: KeyStatement) -> tuple[Settled, ...]:
    issuer = keyring.issuer

    def entry(log_id: str) -> Settled:
        def signed(issued_at: str) -> Signed:
            return Signed(sign(statement.payload(log_id, issued_at), issuer, typ))

        draft = _draft(log_id, statement, transaction.now, synthetic=typ == SIMULATION_TYP)
        return append(transaction, draft, signed, None)

    return tuple(entry(log_id) for log_id in logs(transaction.connection))


def _draft(log_id: str, statement: KeyStatement, now: str, *, synthetic: bool) -> EntryDraft:
    """An entry that no request stands behind: it has no footprint, and no total counts it."""
    return EntryDraft(
        log_id=log_id,
        kind="key",
        status="completed",
        request_id=None,
        request_digest=None,
        occurred_at=now,
        workload=_NOTHING,
        provider="wattproof",
        model=_NOTHING,
        resolved_model=None,
        deployment="wattproof/key",
        zone=_NOTHING,
        location_evidence="unknown",
        energy_source=_NOTHING,
        renewable_ratio_bps=None,
        temporal_match=_NOTHING,
        grid_source=_NOTHING,
        usage=Usage(0, 0),
        usage_source="caller",
        method_id=_NOTHING,
        edition=_NOTHING,
        tier=_NOTHING,
        boundary=_NOTHING,
        energy_nwh=None,
        carbon_location_ng=None,
        carbon_market_ng=None,
        water_nl=None,
        adpe_pgsbeq=None,
        reasons=dict.fromkeys(AMOUNTS, "a statement about a key has no footprint"),
        terms=(),
        attempts=0,
        source=KEY_SOURCE,
        external_id=f"{statement.action}:{statement.kid}",
        synthetic=synthetic,
    )
