"""The secret of an installation, and what follows from it: the names of tenants' logs, the key of open questions.

One text of at least 32 characters: in WATTPROOF_INSTANCE_SECRET, or in ``keys/instance.secret`` in the home, drawn when
it is first needed. Whoever knows it can tell which tenant a subject is; whoever changes it gives every subject a new,
empty log. Processes that serve the same tenants must therefore share it.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
import stat
from pathlib import Path

from wattproof.methodology.errors import InvalidInput, KeyUnusable
from wattproof.server.settings import Settings

__all__ = ["VARIABLE", "instance_secret", "request_state_key", "secret_at_hand", "tenant_of"]

VARIABLE = "WATTPROOF_INSTANCE_SECRET"

_MIN_CHARACTERS = 32
_MAX_BYTES = 1024
_TENANT_CHARACTERS = 26
_LONGEST_NAME = 1024
_HOW = "give every server the same 32 or more random characters, such as `openssl rand -base64 32` prints"


def instance_secret(settings: Settings) -> bytes:
    """The secret; drawn and kept in the home where there is none yet.

    Raises:
        InvalidInput: the variable is too short, or is missing where the ledger is a database that others use too.
        KeyUnusable: the file cannot be made or read, or others can read it.
    """
    found = secret_at_hand(settings)
    if found is not None:
        return found
    if settings.ledger_dsn is not None:
        # A secret of one machine's own would give a person another, empty log on each of them.
        raise InvalidInput(VARIABLE, "is not set, but the ledger is a database that other servers may share", _HOW)
    path = _path(settings)
    _draw(path)
    return _read(path) or b""


def secret_at_hand(settings: Settings) -> bytes | None:
    """The secret, where there is one already; draws none.

    Raises:
        InvalidInput, KeyUnusable: as `instance_secret`.
    """
    given = settings.environ.get(VARIABLE, "")
    if given:
        if len(given) < _MIN_CHARACTERS:
            raise InvalidInput(VARIABLE, f"has fewer than {_MIN_CHARACTERS} characters", _HOW)
        return given.encode("utf-8", "surrogateescape")
    return None if settings.ledger_dsn is not None else _read(_path(settings))


def tenant_of(secret: bytes, issuer: str, subject: str) -> str:
    """The log of `subject`, as `issuer` names it: ``t_`` and 26 characters that do not tell who that is.

    Raises:
        InvalidInput: one of the two is empty, too long, or holds what separates them.
    """
    for name, value in (("issuer", issuer), ("subject", subject)):
        if not value or len(value) > _LONGEST_NAME or "\0" in value:
            raise InvalidInput(name, "is empty or too long", f"give 1 to {_LONGEST_NAME} characters")
    digest = hmac.digest(secret, f"{issuer}\0{subject}".encode("utf-8", "surrogatepass"), "sha256")
    return "t_" + base64.b32encode(digest).decode().lower()[:_TENANT_CHARACTERS]


def request_state_key(secret: bytes) -> bytes:
    """The 32 bytes that seal a question to a user until it comes back with the answer: HKDF-SHA256 (RFC 5869)."""
    extracted = hmac.digest(b"wattproof", secret, "sha256")
    return hmac.digest(extracted, b"wattproof request state v1\x01", "sha256")


def _path(settings: Settings) -> Path:
    return settings.home / "keys" / "instance.secret"


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(_MAX_BYTES + 1).strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise KeyUnusable(f"Cannot read {path}: {error.strerror}. Run: chmod 600 {path}") from error
    if os.name == "posix" and mode & 0o077:
        raise KeyUnusable(f"{path} can be read by others (mode {mode:o}). Run: chmod 600 {path}")
    if not _MIN_CHARACTERS <= len(text) <= _MAX_BYTES:
        raise KeyUnusable(f"{path} holds no secret of {_MIN_CHARACTERS} characters or more; restore it from a backup.")
    return text


def _draw(path: Path) -> None:
    """Make the file, whole from its first moment; where another process was faster, leave that one's."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_urlsafe(32).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            if not path.exists():
                _link(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        problem = f"Cannot make {path}: {error.strerror}."
        raise KeyUnusable(f"{problem} Make its folder writable, or set {VARIABLE}.") from error


def _link(unfinished: Path, path: Path) -> None:
    try:
        os.link(unfinished, path)
    except FileExistsError:
        return
