"""Copies of a ledger while it is in use: one file with the database, the public keys and, where asked, the others.

The copy is of one moment. The ledger's lock is held for that moment only, so that no key is replaced between database
and keys; the database is then read in a transaction that stands still, and writers go on.

A backup is a gzipped tar: ``backup.json`` (what it holds, with a SHA-256 of each file), ``ledger.sqlite3``, ``keys/…``.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from wattproof.methodology.errors import LedgerUnusable
from wattproof.resources.ledger.driver import open_reader, sqlite3, sqlite_errors, unusable
from wattproof.resources.ledger.lock import FileLock
from wattproof.resources.ledger.new_file import NewFile
from wattproof.resources.ledger.times import rfc3339
from wattproof.resources.receipts import Frontier

__all__ = ["DATABASE", "MANIFEST", "SCHEMA", "BackedUp", "Head", "back_up", "heads_of", "is_private"]

SCHEMA = "wattproof-backup/1"
MANIFEST = "backup.json"
DATABASE = "ledger.sqlite3"


@dataclass(frozen=True, slots=True)
class Head:
    """Size and root of a log at the moment of a copy."""

    log_id: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class BackedUp:
    """Where a backup is, of which moment (RFC 3339 UTC), what its logs were then, and whether it can sign."""

    file: str
    made_at: str
    heads: tuple[Head, ...]
    with_keys: bool


def is_private(name: str) -> bool:
    """Whether a file of the folder ``keys`` holds a private key."""
    return name.endswith((".key", ".key.next"))


def heads_of(connection: sqlite3.Connection) -> tuple[Head, ...]:
    """The heads of all logs."""
    rows = connection.execute("SELECT log_id, size, frontier FROM head ORDER BY log_id")
    return tuple(Head(log_id, size, Frontier.from_bytes(frontier).root()) for log_id, size, frontier in rows)


def back_up(
    home: Path,
    target: Path,
    *,
    clock: Callable[[], float],
    with_keys: bool = False,
    lock_timeout_s: float = 10.0,
) -> BackedUp:
    """Copy the ledger in `home` to a new file, readable by its owner alone; in a folder it gets a name of its own.

    Raises:
        InvalidInput: the file exists.
        LedgerLocked: another process kept the lock for `lock_timeout_s`.
        LedgerUnusable: there is no ledger, it cannot be read, or the file cannot be written.
    """
    database = home / DATABASE
    if not database.exists():
        raise LedgerUnusable(f"{home} holds no ledger. Set WATTPROOF_HOME to the folder that does.")
    made_at = rfc3339(clock())
    path = target / f"wattproof-{made_at.replace(':', '')}.tar.gz" if target.is_dir() else target
    lock = FileLock(home / "ledger.lock", clock=clock, timeout_s=lock_timeout_s)
    with sqlite_errors(database), _reader(database) as source:
        try:
            with lock.held():
                source.execute("BEGIN")
                heads = heads_of(source)
                keys = _keys(home / "keys", with_keys)
        finally:
            lock.close()
        (kind,) = source.execute("SELECT value FROM meta WHERE name = 'kind'").fetchone()
        with NewFile(path) as file, _copy(source, path) as copy:
            manifest = {
                "schema": SCHEMA,
                "made_at": made_at,
                "kind": kind,
                "logs": [{"log_id": head.log_id, "size": head.size, "root_hex": head.root.hex()} for head in heads],
                "files": {
                    DATABASE: _sha256_of(copy),
                    **{f"keys/{name}": sha256(content).hexdigest() for name, content in keys.items()},
                },
            }
            _pack(file, manifest, copy, keys)
            file.keep()
    return BackedUp(str(path), made_at, heads, with_keys)


@contextmanager
def _reader(database: Path) -> Generator[sqlite3.Connection]:
    connection = open_reader(database)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def _copy(source: sqlite3.Connection, path: Path) -> Generator[Path]:
    """The database as `source` sees it, as a plain file beside `path`; removed on the way out."""
    copy = path.with_name(path.name + ".database")
    copy.unlink(missing_ok=True)
    copy.touch(mode=0o600)
    try:
        with sqlite_errors(copy):
            target = sqlite3.connect(copy, isolation_level=None)
            try:
                source.backup(target)
                target.execute("PRAGMA journal_mode=DELETE")
            finally:
                target.close()
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def _keys(folder: Path, with_keys: bool) -> Mapping[str, bytes]:
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and (with_keys or not is_private(path.name)))
        return {path.name: path.read_bytes() for path in files}
    except OSError as error:
        raise unusable(folder, error) from error


def _pack(file: NewFile, manifest: Mapping[str, object], copy: Path, keys: Mapping[str, bytes]) -> None:
    texts = {MANIFEST: json.dumps(manifest, indent=1).encode()}
    contents = {**texts, **{f"keys/{name}": content for name, content in keys.items()}}
    with (
        gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0, compresslevel=4) as packed,
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        for name, content in contents.items():
            tar.addfile(_member(name, len(content)), io.BytesIO(content))
        with copy.open("rb") as database:
            tar.addfile(_member(DATABASE, copy.stat().st_size), database)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


def _sha256_of(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
