"""The ledger in PostgreSQL: everything that `Ledger` does, for several processes and machines on one database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from wattproof.resources.ledger.ledger import Ledger
from wattproof.resources.ledger.postgres.keys import SharedKeyring
from wattproof.resources.ledger.postgres.readers import PostgresReaders
from wattproof.resources.ledger.postgres.sequencer import PostgresWriter

if TYPE_CHECKING:
    from wattproof.resources.ledger.reading import Readers
    from wattproof.resources.ledger.writer import Writer

__all__ = ["PostgresLedger"]


class PostgresLedger(Ledger):
    """An open ledger; `open_postgres_ledger` makes one. `path` is the home, which holds copies of the public keys.

    Writes raise LedgerLocked when another process keeps the head of a log, and LedgerUnusable when the server fails;
    then nothing of that write was kept.
    """

    def __init__(
        self,
        home: Path,
        *,
        writer: PostgresWriter,
        readers: PostgresReaders,
        keyring: SharedKeyring,
        typ: str,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(
            home,
            writer=cast("Writer", writer),
            readers=cast("Readers", readers),
            keyring=keyring,
            typ=typ,
            clock=clock,
        )
