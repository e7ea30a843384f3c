"""A log that others can check: signed checkpoints, proofs of inclusion and consistency, static tiles, keys.

Source: RFC 9162 section 2.1; C2SP tlog-checkpoint v1.0.0, tlog-tiles v0.1.0, tlog-proof.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.ledger import checkpoints, rotation, tile_files
from wattproof.resources.ledger.append import Transaction
from wattproof.resources.ledger.checkpoints import Comparison
from wattproof.resources.ledger.driver import sqlite3
from wattproof.resources.ledger.keyring import Keyring
from wattproof.resources.ledger.queries import head
from wattproof.resources.ledger.reading import Readers
from wattproof.resources.ledger.rotation import KeyChange
from wattproof.resources.ledger.tile_files import TileExport
from wattproof.resources.ledger.tiling import subtrees
from wattproof.resources.ledger.writer import Writer
from wattproof.resources.receipts import Issuer, consistency_proof
from wattproof.resources.receipts.key_statement import KeyRole
from wattproof.resources.receipts.note import VerifierKey
from wattproof.resources.receipts.tlog_proof import TlogProof

__all__ = ["TransparencyLog"]

T = TypeVar("T")


class TransparencyLog:
    """What the ledger shows of its logs to whoever does not trust it."""

    def __init__(self, *, writer: Writer, readers: Readers, keyring: Keyring, typ: str) -> None:
        self.keyring = keyring
        self._writer = writer
        self._readers = readers
        self._typ = typ

    async def checkpoint(self, log_id: str) -> str:
        """The signed note over the present size and root, which is stored.

        Raises:
            LedgerForked: another root was signed for this size.
            KeyUnusable: the log's key cannot be read.
        """
        return await self._write(lambda transaction: checkpoints.sign_head(transaction, self.keyring, log_id), log_id)

    async def tlog_proof(self, log_id: str, seq: int) -> TlogProof:
        """That entry `seq` is in the log, under the newest checkpoint that covers it; one is signed where none does.

        Raises:
            InvalidInput: there is no such entry.
            LedgerForked: another root was signed for this size.
        """
        size, _ = await self._read(head, log_id)
        if not 0 <= seq < size:
            raise InvalidInput("seq", f"is {seq}", f"give an entry of the log; {log_id!r} has {size}")
        note = await self._read(checkpoints.newest, log_id)
        if note is None or checkpoints.size_of(note) <= seq:
            note = await self.checkpoint(log_id)
        return await self._read(checkpoints.tlog_proof, log_id, seq, note)

    async def consistency(self, log_id: str, old_size: int, new_size: int | None = None) -> tuple[bytes, ...]:
        """The hashes which show that the first `new_size` entries (default: all) begin with the first `old_size`.

        Raises:
            InvalidInput: not 0 < old_size <= new_size <= the size of the log.
        """
        return await self._read(_consistency, log_id, old_size, new_size)

    async def compare(self, log_id: str, older: str) -> Comparison:
        """Whether the log, as its entries are now, extends the checkpoint `older` that somebody kept. Reads them all.

        Raises:
            VerificationFailed: `older` is no checkpoint, or no key of this log signed it.
            InvalidInput: it is of another log.
        """
        return await self._read(checkpoints.compare, log_id, older, self.keyring.vkeys(log_id))

    async def tiles(self, log_id: str, folder: Path) -> TileExport:
        """Write what is new of the log to `folder` as static files, the checkpoint last.

        Raises:
            LedgerForked: the folder holds the checkpoint of a history that this log does not extend.
            LedgerUnusable: the folder cannot be written.
        """
        note = await self.checkpoint(log_id)
        keys = self.keyring.vkeys(log_id, revoked=True)
        return await asyncio.to_thread(tile_files.export, self._readers, log_id, note, keys, folder)

    def vkeys(self, log_id: str) -> tuple[VerifierKey, ...]:
        """The keys of the log's checkpoints, oldest first, retired ones too."""
        return self.keyring.vkeys(log_id)

    async def rotate_issuer(self, new: Issuer | None = None) -> KeyChange:
        """Sign receipts with a new key from now on. `new` replaces a key that the operator supplies.

        Raises:
            InvalidInput: the operator supplies the key, and `new` is missing; or `new` was used before.
        """
        return await self._rotate("issuer", new)

    async def rotate_log_key(self, new: Issuer | None = None) -> KeyChange:
        """Sign checkpoints with a new key, beside the present one until `retire_log_key`; an older one is dropped.

        Raises:
            InvalidInput: the operator supplies the key, and `new` is missing; or `new` was used before.
        """
        return await self._rotate("log", new)

    async def retire_log_key(self) -> str | None:
        """End the overlap of a rotation: the newest log key signs alone. The kid of the other; None: there is none."""
        return await self._write(lambda transaction: rotation.retire(transaction, self.keyring))

    async def revoke(self, kid: str, since_s: float | None = None) -> KeyChange:
        """Publish, and enter in every log, that somebody else may have held a key since then (Unix time; None: now).

        Raises:
            InvalidInput: no key has this id, or it is the one that signs now.
        """
        state = partial(rotation.state_revocation, keyring=self.keyring, typ=self._typ, kid=kid, since_s=since_s)
        change = await self._write(state)
        await self._write(partial(rotation.revoke, keyring=self.keyring, change=change, since_s=since_s))
        return change

    async def _rotate(self, role: KeyRole, new: Issuer | None) -> KeyChange:
        begin = partial(rotation.begin, keyring=self.keyring, typ=self._typ, role=role, given=new)
        change = await self._write(begin)
        await self._write(partial(rotation.complete, keyring=self.keyring, change=change, given=new))
        return change

    async def _write(self, work: Callable[[Transaction], T], log_id: str | None = None) -> T:
        return await self._writer.submit(work, log_id)

    async def _read(self, work: Any, log_id: str, *arguments: Any) -> Any:
        return await asyncio.to_thread(
            self._readers.read, lambda connection: work(connection, log_id, *arguments), log_id
        )


def _consistency(connection: sqlite3.Connection, log_id: str, old_size: int, new_size: int | None) -> tuple[bytes, ...]:
    size, _ = head(connection, log_id)
    new = size if new_size is None else new_size
    if not 0 < old_size <= new <= size:
        raise InvalidInput("old_size", f"is {old_size}, with {new} after it", f"give sizes from 1 to {size}, in order")
    return tuple(consistency_proof(old_size, new, subtrees(connection, log_id)))
