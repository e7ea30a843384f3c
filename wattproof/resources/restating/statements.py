"""What is stated of an entry: by its own receipt, or by its record and the receipt of its batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from wattproof.methodology.errors import VerificationFailed
from wattproof.resources.ledger import Ledger
from wattproof.resources.ledger.records import Settled
from wattproof.resources.receipts import parse
from wattproof.resources.receipts.batch import batch_of, expand, groups_of, is_record, read_record

__all__ = ["Stated", "Statements"]

_BATCHES_KEPT = 8


class Stated(NamedTuple):
    """The payload of an entry, and how many requests it stands for; None: its source did not say."""

    payload: Mapping[str, Any]
    requests: int | None


Batch = tuple[Mapping[str, Any], Mapping[str, Mapping[str, Any]]]


class Statements:
    """Reads what receipts state; keeps the last batches, because their records stand together."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._batches: dict[str, Batch | None] = {}

    async def of(self, settled: Settled) -> Stated | None:
        """What is stated of an entry; None where its receipt is not here (any more) or cannot be read."""
        if settled.jws is None:
            return None
        try:
            if not is_record(settled.jws):
                return Stated(parse(settled.jws).payload, 1)
            return await self._of_record(settled, settled.jws)
        except VerificationFailed:
            return None

    async def _of_record(self, settled: Settled, text: str) -> Stated | None:
        name = settled.draft.parent_id
        batch = None if name is None else await self._batch(name)
        if name is None or batch is None:
            return None
        payload, groups = batch
        record = read_record(text)
        group = groups.get(record["group"])
        return None if group is None else Stated(expand(record, group, payload, name), record["requests"])

    async def _batch(self, receipt_id: str) -> Batch | None:
        if receipt_id not in self._batches:
            jws = await self._ledger.get_jws(receipt_id)
            payload = None if jws is None else parse(jws).payload
            block = None if payload is None else batch_of(payload)
            if len(self._batches) >= _BATCHES_KEPT:
                self._batches.pop(next(iter(self._batches)))
            self._batches[receipt_id] = None if payload is None or block is None else (payload, groups_of(block))
        return self._batches[receipt_id]
