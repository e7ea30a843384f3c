"""Imports a folder into a home and prints a line after each batch, until it ends or is killed."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from wattproof.resources.imports import FORMATS, ImportRequest, import_usage
from wattproof.resources.ledger import Ledger, open_ledger
from wattproof.resources.ledger.batches import Appended, Batch
from wattproof.resources.providers import load_catalogue

NOW_S = 1_795_327_200.0


class Telling:
    """The ledger, saying when a batch is on disk."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def append_batch(self, batch: Batch) -> Appended:
        done = await self._ledger.append_batch(batch)
        print(done.count, flush=True)
        return done


async def main(folder: str, home: str) -> None:
    async with open_ledger(Path(home), clock=lambda: NOW_S, random_bytes=os.urandom) as ledger:
        request = ImportRequest(
            format=FORMATS["litellm"],
            paths=(Path(folder),),
            log_id="local",
            deployments=load_catalogue(),
            now_s=NOW_S,
            random_bytes=os.urandom,
        )
        await import_usage(request, Telling(ledger))  # pyright: ignore[reportArgumentType]


asyncio.run(main(*sys.argv[1:]))
