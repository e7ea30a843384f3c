"""What an operator does about receipts that are old or unwanted: archive them, bring them back, erase one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from wattproof.resources.ledger import archive, erasure, unarchive
from wattproof.resources.ledger.archive import Archived, Range
from wattproof.resources.ledger.archive_file import Line, read_archive
from wattproof.resources.ledger.erasure import Erased
from wattproof.resources.ledger.keyring import Keyring
from wattproof.resources.ledger.reading import Readers
from wattproof.resources.ledger.times import check_instant, rfc3339
from wattproof.resources.ledger.writer import Writer

__all__ = ["Keeping"]


class Keeping:
    """Moves receipts out of a ledger and back, without breaking its logs."""

    def __init__(self, *, writer: Writer, readers: Readers, keyring: Keyring, clock: Callable[[], float]) -> None:
        self._writer = writer
        self._readers = readers
        self._keyring = keyring
        self._clock = clock

    async def erase(self, receipt_id: str, reason: str) -> Erased:
        """Delete a receipt and its decision for good; entry, leaf and totals stay. `reason` is kept: name nobody in it.

        The file holds nothing of it once the write-ahead log was folded in, at the latest when the ledger is closed by
        the last process that has it open.

        Raises:
            InvalidInput: no entry has this receipt, it was erased before, or the reason is no short text.
            LedgerError: the receipt is in an archive, or its entry was tampered with.
        """
        log_id = await self._read(erasure.log_of, receipt_id)
        work = partial(erasure.erase, keyring=self._keyring, receipt_id=receipt_id, reason=reason)
        return await self._writer.submit(work, log_id)

    async def whereabouts(self, receipt_id: str) -> str | None:
        """Where a receipt is that is not beside its entry; None where it is, or where no entry has this id."""
        return await self._read(erasure.whereabouts, receipt_id)

    async def archive(self, before: str, target: Path) -> Archived | None:
        """Move receipts and decisions of entries recorded before `before` (RFC 3339 UTC) to a new file; None: no such.

        `target` is that file, or a folder in which it gets a name.

        Raises:
            InvalidInput: `before` is no instant, or the file exists.
            LedgerError: a receipt is missing, or is not that of its entry; nothing was deleted.
            LedgerUnusable: the file cannot be written; nothing was deleted.
        """
        check_instant("before", before)
        for each in await self._read(archive.left_behind):
            await self._delete(each)
        ranges = await self._read(archive.plan, before)
        if not ranges:
            return None
        made_at = rfc3339(self._clock())
        written = await self._read(archive.write, ranges, target, made_at)
        # Should this be refused, the file is left: it holds copies, and nothing was deleted.
        await self._writer.submit(partial(archive.enter, keyring=self._keyring, written=written))
        for each in ranges:
            await self._delete(each)
        return Archived(written.file, ranges, written.count)

    async def unarchive(self, path: Path) -> Archived:
        """Put the receipts of an archive beside their entries again. The file stays; it may be deleted afterwards.

        Raises:
            InvalidInput: it is no archive of this ledger, or was changed.
            LedgerError: the archive lacks a receipt, or holds one that is not that of its entry.
        """
        ranges = await self._read(unarchive.archives_of, path)
        count = 0
        lines = read_archive(path)
        while some := await asyncio.to_thread(_next, lines):
            count += await self._writer.submit(partial(unarchive.put_back, lines=some))
        await self._writer.submit(partial(unarchive.forget, ranges=ranges))
        return Archived(str(path), ranges, count)

    async def _delete(self, each: Range) -> None:
        """In steps: other processes write in between."""
        for first in range(each.first_seq, each.end_seq, archive.STEP):
            step = Range(each.log_id, first, min(first + archive.STEP, each.end_seq))
            await self._writer.submit(partial(archive.delete, each=step), each.log_id)

    async def _read(self, work: Any, *arguments: Any) -> Any:
        return await asyncio.to_thread(self._readers.read, lambda connection: work(connection, *arguments))


def _next(lines: Iterator[Line]) -> list[Line]:
    return list(islice(lines, archive.STEP))
