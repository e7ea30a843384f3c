"""Ed25519 keys, the issuer's and the log's: created once, read with care, published as a JWKS.

The private key is a 32-byte seed in a file of mode 0600, or in the environment (WATTPROOF_ISSUER_KEY and
WATTPROOF_LOG_KEY, base64url). The key id is the RFC 7638 thumbprint of the public key, so an id can never be claimed
for another key. Beside the keys, ``jwks.json`` and ``log.jwks.json`` hold every public key ever published: without the
retired ones their signatures could not be checked. The limits of a key in time are members of its JWK: key_times.py.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, cast

from wattproof.methodology.errors import KeyUnusable, VerificationFailed
from wattproof.resources.receipts import base64url, canonical

__all__ = [
    "SEED_BYTES",
    "Issuer",
    "create_issuer",
    "issuer_from_env",
    "jwks",
    "key_from_env",
    "keys_from_jwks",
    "load_issuer",
    "log_keys_from_env",
    "public_jwk",
    "publish",
    "read_jwks",
    "thumbprint",
    "with_key",
    "with_limits",
    "write_jwks",
]

SEED_BYTES = 32
_MAX_LOG_KEYS = 2
_MAX_JWKS_BYTES = 1 << 20


class Issuer:
    """Signs receipts. `seed` is the 32-byte private key; it is never shown."""

    __slots__ = ("_key", "kid", "public_key")

    def __init__(self, seed: bytes) -> None:
        from nacl.signing import SigningKey

        if len(seed) != SEED_BYTES:
            raise KeyUnusable(f"An Ed25519 seed has {SEED_BYTES} bytes, not {len(seed)}.")
        self._key = SigningKey(seed)
        self.public_key: bytes = bytes(self._key.verify_key)
        self.kid: str = thumbprint(self.public_key)

    def __repr__(self) -> str:
        return f"Issuer(kid={self.kid!r})"

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature of `message`."""
        return bytes(self._key.sign(message).signature)

    def public_jwk(self) -> dict[str, str]:
        """The public key as a JWK."""
        return public_jwk(self.public_key)


def thumbprint(public_key: bytes) -> str:
    """The RFC 7638 thumbprint of an Ed25519 public key (members in the order of RFC 8037)."""
    members = {"crv": "Ed25519", "kty": "OKP", "x": base64url.encode(public_key)}
    return base64url.encode(sha256(canonical.dumps(members)).digest())


def public_jwk(public_key: bytes) -> dict[str, str]:
    """The JWK of a 32-byte public key. Without `alg`, so that verifiers of `EdDSA` and of `Ed25519` both take it."""
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": base64url.encode(public_key),
        "kid": thumbprint(public_key),
        "use": "sig",
    }


def create_issuer(path: Path, random: Callable[[int], bytes]) -> Issuer:
    """Make a key file that did not exist, mode 0600, and wait until it is on disk.

    Raises:
        KeyUnusable: the file exists already or its folder cannot be written. Nothing is left behind.
    """
    seed = random(SEED_BYTES)
    issuer = Issuer(seed)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except FileExistsError as error:
        raise KeyUnusable(f"{path} exists already; a key is never overwritten.") from error
    except OSError as error:
        raise KeyUnusable(f"Cannot create {path}: {error.strerror}. Make its folder writable.") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            _write_durably(file, seed)
        _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise KeyUnusable(f"Cannot write {path}: {error.strerror}. Free some space and try again.") from error
    return issuer


def load_issuer(path: Path) -> Issuer:
    """Read a key file.

    Raises:
        KeyUnusable: it is missing, unreadable, not 32 bytes long, or readable by others than its owner.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            seed = file.read(SEED_BYTES + 1)
    except FileNotFoundError as error:
        raise KeyUnusable(f"{path} does not exist. Restore it from a backup, or start with an empty home.") from error
    except OSError as error:
        raise KeyUnusable(f"Cannot read {path}: {error.strerror}. Run: chmod 600 {path}") from error
    if os.name == "posix" and mode & 0o077:
        raise KeyUnusable(f"{path} can be read by others (mode {mode:o}). Run: chmod 600 {path}")
    if len(seed) != SEED_BYTES:
        size = "no bytes" if not seed else "more" if len(seed) > SEED_BYTES else f"{len(seed)} bytes"
        raise KeyUnusable(f"{path} holds {size}; a key has {SEED_BYTES} bytes. Restore it from a backup.")
    return Issuer(seed)


def key_from_env(name: str, value: str) -> Issuer:
    """The key in the environment variable `name`: the 32-byte seed as unpadded base64url (43 characters).

    Raises:
        KeyUnusable: it is anything else. The text never repeats the value.
    """
    problem = KeyUnusable(f"{name} must be a 32-byte seed as base64url without padding (43 characters).")
    try:
        seed = base64url.decode(value.strip())
    except VerificationFailed as error:
        raise problem from error
    if len(seed) != SEED_BYTES:
        raise problem
    return Issuer(seed)


def issuer_from_env(value: str) -> Issuer:
    """The key in WATTPROOF_ISSUER_KEY; see `key_from_env`."""
    return key_from_env("WATTPROOF_ISSUER_KEY", value)


def log_keys_from_env(value: str) -> tuple[Issuer, ...]:
    """The keys in WATTPROOF_LOG_KEY: one seed or, during a rotation, the new and the old one with a comma between.

    Raises:
        KeyUnusable: it is anything else. The text never repeats the value.
    """
    seeds = value.split(",")
    if len(seeds) > _MAX_LOG_KEYS:
        raise KeyUnusable(f"WATTPROOF_LOG_KEY holds {len(seeds)} keys; at most the newest {_MAX_LOG_KEYS} sign.")
    return tuple(key_from_env("WATTPROOF_LOG_KEY", seed) for seed in seeds)


def jwks(issuers: Iterable[Issuer]) -> dict[str, Any]:
    """The JWK set (RFC 7517) of these issuers' public keys."""
    return {"keys": [issuer.public_jwk() for issuer in issuers]}


def keys_from_jwks(document: Mapping[str, Any]) -> dict[str, bytes]:
    """Public keys by kid. Keys of other kinds are passed over, as RFC 7517 section 5 asks.

    Raises:
        KeyUnusable: not a JWK set, a malformed Ed25519 key, a private key among them, or a kid that is not the
            thumbprint of its key.
    """
    members: object = document.get("keys")
    if not isinstance(members, list):
        raise KeyUnusable('A JWK set is an object with a list "keys".')
    found: dict[str, bytes] = {}
    for member in cast("list[object]", members):
        if not isinstance(member, Mapping):
            raise KeyUnusable("A key in the JWK set is not an object.")
        jwk = cast("Mapping[str, object]", member)
        if jwk.get("kty") == "OKP" and jwk.get("crv") == "Ed25519":
            public_key = _public_key(jwk)
            found[thumbprint(public_key)] = public_key
    return found


def read_jwks(path: Path) -> dict[str, Any]:
    """The JWK set in a file.

    Raises:
        KeyUnusable: it is missing, unreadable or not a JSON object.
    """
    try:
        with path.open("rb") as file:
            document: object = json.loads(file.read(_MAX_JWKS_BYTES))
    except OSError as error:
        raise KeyUnusable(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise KeyUnusable(f"{path} is not JSON. Export the keys again.") from error
    if not isinstance(document, dict):
        raise KeyUnusable(f'{path} is not a JWK set: an object with a list "keys".')
    return cast("dict[str, Any]", document)


def publish(path: Path, issuer: Issuer) -> dict[str, Any]:
    """Add the public key to the JWK set in `path` (made when missing) and give the set. Keys only ever join.

    Callers hold the ledger's lock.

    Raises:
        KeyUnusable: the file is not a JWK set or cannot be written.
    """
    document: dict[str, Any] = read_jwks(path) if path.exists() else {"keys": []}
    joined = with_key(document, issuer.public_key)
    if joined is not document:
        write_jwks(path, joined)
    return joined


def with_key(document: dict[str, Any], public_key: bytes, not_before: int | None = None) -> dict[str, Any]:
    """The set with this key, which signs from `not_before` on (Unix time; None: ever); itself where it holds the key.

    Raises:
        KeyUnusable: `document` is not a JWK set.
    """
    if thumbprint(public_key) in keys_from_jwks(document):
        return document
    limits = {} if not_before is None else {"nbf": not_before}
    return {**document, "keys": [*document["keys"], {**public_jwk(public_key), **limits}]}


def with_limits(document: dict[str, Any], kid: str, **limits: int) -> dict[str, Any]:
    """The set with `limits` (Unix times such as ``exp``) on the key `kid`."""
    keys: list[dict[str, Any]] = document["keys"]
    return {**document, "keys": [{**jwk, **limits} if jwk.get("kid") == kid else jwk for jwk in keys]}


def write_jwks(path: Path, document: Mapping[str, Any]) -> None:
    """Replace the JWK set in `path` in one step.

    Raises:
        KeyUnusable: it cannot be written; the file is as it was.
    """
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("wb") as file:
            _write_durably(file, json.dumps(document, indent=2).encode() + b"\n")
        fresh.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink()
        raise KeyUnusable(f"Cannot write {path}: {error.strerror}. Make its folder writable.") from error


def _public_key(jwk: Mapping[str, object]) -> bytes:
    if "d" in jwk:
        raise KeyUnusable('The JWK set holds a private key ("d"). Publish public keys only, and replace that key.')
    x, kid = jwk.get("x"), jwk.get("kid")
    try:
        public_key = base64url.decode(x) if isinstance(x, str) else b""
    except VerificationFailed as error:
        raise KeyUnusable('The "x" of an Ed25519 key is not base64url.') from error
    if len(public_key) != SEED_BYTES:
        raise KeyUnusable('The "x" of an Ed25519 key must hold 32 bytes as base64url.')
    if kid is not None and kid != thumbprint(public_key):
        raise KeyUnusable(f"The kid {kid!r} is not the RFC 7638 thumbprint of its key ({thumbprint(public_key)}).")
    return public_key


def _write_durably(file: BinaryIO, data: bytes) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
