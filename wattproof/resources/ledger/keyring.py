"""The keys of one home: what signs receipts, what signs checkpoints, and what is published of both.

    keys/issuer.key         signs receipts
    keys/log.key            signs checkpoints; keys/log.previous.key, the one before it, signs them too until retired
    keys/<role>.key.next    a key whose rotation was begun; see rotation.py
    keys/jwks.json          every public key that ever signed receipts
    keys/log.jwks.json      every public key that ever signed checkpoints
    keys/log.vkey           the same as verifier keys of signed notes, one a line for every log

A key that the operator supplies is not in a file, and is not written to one. Callers hold the ledger's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wattproof.methodology.errors import KeyUnusable
from wattproof.resources.receipts import Issuer, create_issuer, keys_from_jwks, load_issuer, publish, read_jwks
from wattproof.resources.receipts.key_statement import KeyRole
from wattproof.resources.receipts.keys import with_key, with_limits, write_jwks
from wattproof.resources.receipts.note import VerifierKey

__all__ = ["REVOKED_AT", "Keyring"]

REVOKED_AT = "wattproof_revoked_at"


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes when a file is replaced; None without one."""
    try:
        now = path.stat()
    except FileNotFoundError:
        return None
    return now.st_ino, now.st_mtime_ns


class _KeyFile:
    """The key in a file, read again when another process has put another in its place."""

    __slots__ = ("_key", "_path", "_read_from")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._key: Issuer | None = None
        self._read_from: tuple[int, int] | None = None

    def key(self, *, keep: bool) -> Issuer | None:
        """None where there is no file, unless a key that was read from it may be kept."""
        stamp = _stamp(self._path)
        if stamp is None:
            return self._key if keep else None
        if stamp != self._read_from:
            self._key, self._read_from = load_issuer(self._path), stamp
        return self._key


class Keyring:
    """The keys of the folder `folder`. `issuer` and `log_keys` (newest first) are keys that the operator supplies.

    Raises:
        KeyUnusable: a key that has signed is missing, or one is unreadable or open to others.
    """

    def __init__(
        self,
        folder: Path,
        *,
        random_bytes: Callable[[int], bytes],
        origin_of: Callable[[str], str],
        issuer: Issuer | None = None,
        log_keys: Sequence[Issuer] = (),
    ) -> None:
        self.origin_of = origin_of
        self._folder = folder
        self._random_bytes = random_bytes
        self._supplied: dict[KeyRole, tuple[Issuer, ...]] = {
            "issuer": () if issuer is None else (issuer,),
            "log": tuple(log_keys),
        }
        roles: tuple[KeyRole, ...] = ("issuer", "log")
        self._files = {role: _KeyFile(self._path(role)) for role in roles}
        self._previous = _KeyFile(self._previous_path())
        self._sets: dict[KeyRole, tuple[tuple[int, int] | None, dict[str, Any]]] = {}

    @property
    def issuer(self) -> Issuer:
        """The key that signs receipts now.

        Raises:
            KeyUnusable: it is missing or cannot be read.
        """
        return self._newest("issuer")

    @property
    def jwks(self) -> Mapping[str, Any]:
        """The JWK set of every key that ever signed receipts."""
        return self.key_set("issuer")

    def signers(self, role: KeyRole) -> tuple[Issuer, ...]:
        """The keys that sign now, newest first; a log has two while a rotation lasts.

        Raises:
            KeyUnusable: there is none, or it cannot be read.
        """
        if self._supplied[role]:
            return self._supplied[role]
        previous = self._previous.key(keep=False) if role == "log" else None
        if previous is not None and not self._path(role).exists():
            return (previous,)  # between the two steps of `replace`
        newest = self._newest(role)
        return (newest,) if previous is None else (newest, previous)

    def _newest(self, role: KeyRole) -> Issuer:
        if self._supplied[role]:
            return self._supplied[role][0]
        # A key file that is removed under a running process does not cost it the receipts of what it spends.
        return self._files[role].key(keep=True) or load_issuer(self._path(role))

    def is_supplied(self, role: KeyRole) -> bool:
        """Whether the operator supplies this key, so that no rotation here can replace it for good."""
        return bool(self._supplied[role])

    def ensure(self, role: KeyRole, *, has_signed: bool) -> None:
        """Make the key where it has never been, and publish what signs now."""
        path = self._path(role)
        if not self._supplied[role] and not path.exists() and not has_signed:
            create_issuer(path, self._random_bytes)
        for key in reversed(self.signers(role)):
            publish(self.set_path(role), key)

    def key_set(self, role: KeyRole) -> dict[str, Any]:
        """The JWK set of every key that ever signed in this role."""
        path = self.set_path(role)
        stamp = _stamp(path)
        held = self._sets.get(role)
        if held is None or held[0] != stamp:
            held = self._sets[role] = (stamp, {"keys": []} if stamp is None else read_jwks(path))
        return held[1]

    def set_path(self, role: KeyRole) -> Path:
        """Where that JWK set is."""
        return self._folder / ("jwks.json" if role == "issuer" else "log.jwks.json")

    def limit(self, role: KeyRole, kid: str, **limits: int) -> None:
        """Publish limits in time (Unix seconds) of a key."""
        write_jwks(self.set_path(role), with_limits(self.key_set(role), kid, **limits))

    def vkeys(self, log_id: str, *, revoked: bool = False) -> tuple[VerifierKey, ...]:
        """The verifier keys of a log's checkpoints, oldest first; the revoked ones too if asked for."""
        document = self.key_set("log")
        left_out = {jwk.get("kid") for jwk in document["keys"] if not revoked and jwk.get(REVOKED_AT) is not None}
        origin = self.origin_of(log_id)
        return tuple(VerifierKey(origin, key) for kid, key in keys_from_jwks(document).items() if kid not in left_out)

    def publish_vkeys(self, log_ids: Sequence[str]) -> None:
        """Write ``log.vkey`` for these logs, unless it says so already."""
        path = self._folder / "log.vkey"
        text = "".join(f"{key}\n" for log_id in log_ids for key in self.vkeys(log_id))
        if path.exists() and path.read_text("ascii") == text:
            return
        fresh = path.with_name(path.name + ".new")
        try:
            fresh.write_text(text, "ascii")
            fresh.replace(path)
        except OSError as error:
            raise KeyUnusable(f"Cannot write {path}: {error.strerror}. Make its folder writable.") from error

    def next_key(self, role: KeyRole) -> Issuer:
        """The key of a rotation that is begun, made when there is none."""
        path = self._next_path(role)
        return load_issuer(path) if path.exists() else create_issuer(path, self._random_bytes)

    def begun(self, role: KeyRole) -> Issuer | None:
        """The key of a rotation that was begun and not completed."""
        path = self._next_path(role)
        return load_issuer(path) if path.exists() else None

    def drop_next(self, role: KeyRole) -> None:
        """Forget a key that never came to sign."""
        self._next_path(role).unlink(missing_ok=True)

    def replace(self, role: KeyRole, new: Issuer, now: int) -> None:
        """Let `new` sign from now on, and publish when it began and when the one before it ended. May be repeated.

        The old key of a log goes on signing beside the new one; one older still is dropped.
        """
        old = [key for key in self.signers(role) if key.kid != new.kid]
        document = with_key(self.key_set(role), new.public_key, now)
        # A receipt of this very second is good still.
        for key in old if role == "issuer" else old[1:]:
            document = with_limits(document, key.kid, exp=now + 1)
        write_jwks(self.set_path(role), document)
        if self._supplied[role]:
            self._supplied[role] = (new, *old[:1]) if role == "log" else (new,)
            return
        path = self._path(role)
        if role == "log" and path.exists() and load_issuer(path).kid != new.kid:
            path.replace(self._previous_path())
        if self._next_path(role).exists():
            self._next_path(role).replace(path)

    def retire_previous(self, now: int) -> Issuer | None:
        """Let the newest log key sign alone; the one that signed beside it, None where there was none."""
        newest, *older = self.signers("log")
        if not older:
            return None
        self.limit("log", older[0].kid, exp=now + 1)
        self._supplied["log"] = (newest,) if self._supplied["log"] else ()
        self._previous_path().unlink(missing_ok=True)
        return older[0]

    def _path(self, role: KeyRole) -> Path:
        return self._folder / f"{role}.key"

    def _previous_path(self) -> Path:
        return self._folder / "log.previous.key"

    def _next_path(self, role: KeyRole) -> Path:
        return self._folder / f"{role}.key.next"
