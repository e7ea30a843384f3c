"""A ledger from its backup, in a home that has none: checked before it takes its place, and nothing overwritten.

A restored log is as it was when the copy was made. What was appended afterwards is lost, and whoever holds receipts or
checkpoints of it holds proof of another history: appending to the older one contradicts them. So every restoration is
recorded in the ledger, and `fsck` says it from then on.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from wattproof.methodology.errors import InvalidInput, LedgerUnusable
from wattproof.resources.ledger.backup import DATABASE, MANIFEST, SCHEMA, Head, heads_of, is_private
from wattproof.resources.ledger.driver import open_writer, sqlite3, sqlite_errors, unusable
from wattproof.resources.ledger.fsck import check
from wattproof.resources.ledger.keyring import Keyring
from wattproof.resources.ledger.lock import FileLock
from wattproof.resources.ledger.new_file import NEW_FILE, sync_folder
from wattproof.resources.ledger.schema import prepare
from wattproof.resources.ledger.times import rfc3339
from wattproof.resources.receipts.checkpoint import local_origin

__all__ = ["Restored", "restore"]

_LONGEST_MANIFEST = 1 << 24
_NAME = re.compile(r"ledger\.sqlite3|keys/[a-z][a-z0-9._-]{0,60}")
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored: when the copy was made (RFC 3339 UTC), its logs, and the private keys that the home has."""

    home: str
    made_at: str
    heads: tuple[Head, ...]
    private_keys: tuple[str, ...]


def restore(
    path: Path,
    home: Path,
    *,
    clock: Callable[[], float],
    random_bytes: Callable[[int], bytes],
    signatures: bool = False,
    lock_timeout_s: float = 10.0,
    origin_of: Callable[[str], str] = local_origin,
) -> Restored:
    """Put the ledger of the backup at `path` into `home`. With `signatures` those of its receipts are checked too.

    Raises:
        InvalidInput: `home` holds a ledger or other keys, or the file is no backup or was changed.
        LedgerUnusable: the ledger in it is not sound, or cannot be written; `home` is as it was.
        LedgerLocked: another process is making a ledger there.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(home, error) from error
    lock = FileLock(home / "ledger.lock", clock=clock, timeout_s=lock_timeout_s)
    try:
        with lock.held(), _staging(home) as staged:
            _require_none(home)
            manifest = _unpack(path, staged)
            _require_no_other_keys(staged, home)
            heads = _checked(path, staged, manifest, clock(), random_bytes, origin_of, signatures)
            _move(staged, home)
    finally:
        lock.close()
    private = sorted(each.name for each in (home / "keys").iterdir() if is_private(each.name))
    return Restored(str(home), manifest["made_at"], heads, tuple(private))


def _require_none(home: Path) -> None:
    there = [name for name in (DATABASE, f"{DATABASE}-wal") if (home / name).exists()]
    if there:
        raise InvalidInput("home", f"{home} holds {there[0]}", "restore into an empty folder; nothing is overwritten")


def _require_no_other_keys(staged: Path, home: Path) -> None:
    for each in sorted((staged / "keys").iterdir()):
        there = home / "keys" / each.name
        if there.exists() and there.read_bytes() != each.read_bytes():
            raise InvalidInput("home", f"{there} is another one than in the backup", "restore into an empty folder")


@contextmanager
def _staging(home: Path) -> Generator[Path]:
    """A folder of its own in `home`, which goes whatever happens."""
    staged = home / ".restore"
    shutil.rmtree(staged, ignore_errors=True)
    try:
        (staged / "keys").mkdir(mode=0o700, parents=True)
        staged.chmod(0o700)
        yield staged
    except OSError as error:
        raise unusable(staged, error) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _unpack(path: Path, staged: Path) -> dict[str, Any]:
    """Everything that the manifest names, with the content that it names."""
    try:
        with tarfile.open(path, "r:gz") as tar:
            manifest = _manifest(path, tar)
            left = dict(cast("Mapping[str, str]", manifest["files"]))
            while (member := tar.next()) is not None:
                expected = left.pop(member.name, None)
                if expected is None or not member.isfile() or not _NAME.fullmatch(member.name):
                    raise _no_backup(path, f"it holds {member.name[:60]!r}")
                if _extract(tar, member, staged / member.name) != expected:
                    raise _no_backup(path, f"{member.name} is not what it was")
    except FileNotFoundError as error:
        raise InvalidInput("file", f"{path} does not exist", "give the path of a backup") from error
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _no_backup(path, str(error)) from error
    if left:
        raise _no_backup(path, f"{min(left)} is missing")
    return manifest


def _manifest(path: Path, tar: tarfile.TarFile) -> dict[str, Any]:
    first = tar.next()
    if first is None or first.name != MANIFEST or not first.isfile() or first.size > _LONGEST_MANIFEST:
        raise _no_backup(path, f"it does not begin with {MANIFEST}")
    content = tar.extractfile(first)
    try:
        manifest = json.loads(b"" if content is None else content.read())
        known = manifest["schema"] == SCHEMA and DATABASE in manifest["files"] and isinstance(manifest["made_at"], str)
        heads = [(log["log_id"], log["size"], bytes.fromhex(log["root_hex"])) for log in manifest["logs"]]
    except (ValueError, KeyError, TypeError) as error:
        raise _no_backup(path, f"its {MANIFEST} is malformed") from error
    if not known:
        raise _no_backup(path, f"its {MANIFEST} does not say {SCHEMA}")
    return {**manifest, "heads": tuple(Head(*head) for head in heads)}


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> str:
    digest, source = sha256(), tar.extractfile(member)
    assert source is not None, "the member is a file"
    with os.fdopen(os.open(target, NEW_FILE, 0o600), "wb") as file:
        while block := source.read(1 << 20):
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _checked(
    path: Path,
    staged: Path,
    manifest: Mapping[str, Any],
    now_s: float,
    random_bytes: Callable[[int], bytes],
    origin_of: Callable[[str], str],
    signatures: bool,
) -> tuple[Head, ...]:
    """The heads of the database in `staged`, which is brought to this version, examined, and marked as restored."""
    database = staged / DATABASE
    keyring = Keyring(staged / "keys", random_bytes=random_bytes, origin_of=origin_of, issuer=None, log_keys=())
    with sqlite_errors(path):
        connection = open_writer(database)
        try:
            prepare(connection, path, now=rfc3339(now_s), simulation=manifest["kind"] == "simulation")
            heads = heads_of(connection)
            if heads != manifest["heads"]:
                raise _no_backup(path, f"its {MANIFEST} names other heads than its ledger has")
            report = check(connection, keyring, now_s, signatures=signatures)
            if not report.sound:
                shown = "; ".join(f"{each.where}: {each.message}" for each in report.findings[:_SHOWN])
                raise LedgerUnusable(
                    f"The ledger in {path} is not sound: {shown}. Nothing was restored. Use another backup."
                )
            _mark(connection, heads, rfc3339(now_s), manifest["made_at"])
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()
    return heads


def _mark(connection: sqlite3.Connection, heads: tuple[Head, ...], at: str, made_at: str) -> None:
    rows = [(head.log_id, at, made_at, head.size, head.root) for head in heads]
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO restoration (log_id, at, made_at, size, root) VALUES (?, ?, ?, ?, ?)", rows)
    connection.execute("COMMIT")


def _move(staged: Path, home: Path) -> None:
    """The database last: until it is there, the home holds no ledger."""
    (home / "keys").mkdir(mode=0o700, exist_ok=True)
    for each in sorted((staged / "keys").iterdir()):
        each.replace(home / "keys" / each.name)
    sync_folder(home / "keys")
    (staged / DATABASE).replace(home / DATABASE)
    sync_folder(home)


def _no_backup(path: Path, problem: str) -> InvalidInput:
    return InvalidInput("file", f"{path} is no backup: {problem}", "give one that `wattproof ledger backup` wrote")
