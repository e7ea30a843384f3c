"""Opening a home: folder, lock, database and keys, made by whoever comes first."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from wattproof.methodology.errors import LedgerUnusable
from wattproof.resources.ledger.driver import open_writer, sqlite3, sqlite_errors, unusable
from wattproof.resources.ledger.keyring import Keyring
from wattproof.resources.ledger.ledger import Ledger
from wattproof.resources.ledger.lock import FileLock
from wattproof.resources.ledger.new_file import sync_folder
from wattproof.resources.ledger.queries import logs
from wattproof.resources.ledger.reading import Readers
from wattproof.resources.ledger.schema import prepare
from wattproof.resources.ledger.times import rfc3339
from wattproof.resources.ledger.writer import Writer
from wattproof.resources.receipts import RECEIPT_TYP, SIMULATION_TYP, Issuer
from wattproof.resources.receipts.checkpoint import local_origin
from wattproof.resources.receipts.keys import SEED_BYTES

__all__ = ["open_ledger"]


def open_ledger(
    home: Path,
    *,
    clock: Callable[[], float],
    random_bytes: Callable[[int], bytes],
    lock_timeout_s: float = 10.0,
    simulation: bool = False,
    issuer: Issuer | None = None,
    log_keys: Sequence[Issuer] = (),
    origin_of: Callable[[str], str] = local_origin,
) -> Ledger:
    """Open the ledger in `home`; the first to come makes folder, database and keys. Blocks: call it in a thread.

    `clock` gives Unix seconds. `simulation` homes hold invented data only; their receipts say so and never verify.
    `issuer` is a key that the operator supplies; without it the key is ``keys/issuer.key``, made once, mode 0600.
    `log_keys`, newest first, are the same for checkpoints (``keys/log.key``). A simulation with an issuer of its own,
    which is thrown away, gets such a log key too. `origin_of` gives the origin of a log by its id.

    Raises:
        LedgerLocked: another process kept the lock for `lock_timeout_s`; the text names it.
        LedgerUnusable: `home` cannot be written, or its database is corrupt, foreign, newer, or of the other kind.
        KeyUnusable: the key is missing though receipts exist, unreadable, or open to others.
    """
    path = home / "ledger.sqlite3"
    _make_folder(home)
    lock = FileLock(home / "ledger.lock", clock=clock, timeout_s=lock_timeout_s)
    try:
        with lock.held():
            connection = _open_database(path, rfc3339(clock()), round(lock_timeout_s * 1000), simulation=simulation)
            try:
                _make_folder(home / "keys")
                if simulation and issuer is not None and not log_keys:
                    # Not from `random_bytes`: a simulation repeats them.
                    log_keys = (Issuer(secrets.token_bytes(SEED_BYTES)),)
                keyring = Keyring(
                    home / "keys", random_bytes=random_bytes, origin_of=origin_of, issuer=issuer, log_keys=log_keys
                )
                _open_keys(keyring, connection, clock())
            except BaseException:
                connection.close()
                raise
    except BaseException:
        lock.close()
        raise
    typ = SIMULATION_TYP if simulation else RECEIPT_TYP
    return Ledger(
        path,
        writer=Writer(path, connection, lock, clock),
        readers=Readers(path),
        keyring=keyring,
        typ=typ,
        clock=clock,
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError as error:
        raise LedgerUnusable(f"{folder} is a file, not a folder. Set WATTPROOF_HOME to a folder.") from error
    except OSError as error:
        raise unusable(folder, error) from error


def _open_database(path: Path, now: str, busy_timeout_ms: int, *, simulation: bool) -> sqlite3.Connection:
    with sqlite_errors(path):
        if not path.exists():
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            sync_folder(path.parent)
        connection = open_writer(path, busy_timeout_ms)
        try:
            prepare(connection, path, now=now, simulation=simulation)
        except BaseException:
            connection.close()
            raise
    return connection


def _open_keys(keyring: Keyring, connection: sqlite3.Connection, now_s: float) -> None:
    """Make the keys of a new home, complete a rotation. A key that went missing is never replaced silently."""
    if keyring.begun("issuer") or keyring.begun("log"):
        from wattproof.resources.ledger.rotation import recover

        recover(connection, keyring, now_s)
    keyring.ensure("issuer", has_signed=_has_rows(connection, "entry"))
    keyring.ensure("log", has_signed=_has_rows(connection, "checkpoint"))
    keyring.publish_vkeys(logs(connection))


def _has_rows(connection: sqlite3.Connection, table: str) -> bool:
    return connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None  # noqa: S608
