"""A process that appends: child_append.py DSN SCHEMA HOME NAME COUNT. Writes a line for what was acknowledged."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import time
from pathlib import Path
from typing import Any

from wattproof.resources.ledger import Opened
from wattproof.resources.ledger.postgres import open_postgres_ledger
from wattproof.resources.receipts import Issuer


def load_drafts() -> Any:
    """The makers of entries that the tests of the ledger share."""
    spec = importlib.util.spec_from_file_location("drafts", Path(__file__).parent.parent / "ledger" / "drafts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def main(dsn: str, schema: str, home: Path, name: str, count: int) -> None:
    drafts = load_drafts()
    keys: dict[str, Any] = {"issuer": Issuer(b"\x05" * 32), "log_keys": (Issuer(b"\x06" * 32),)}
    opened = open_postgres_ledger(dsn, home, clock=time.time, random_bytes=os.urandom, schema=schema, **keys)
    async with opened as ledger:
        for number in range(count):
            request_id = f"{name}-{number}"
            begun = await ledger.open_attempt(drafts.attempt(request_id, lease_expires_at=time.time() + 60))
            assert isinstance(begun, Opened)
            print(f"opened {request_id}", flush=True)
            entry = drafts.draft(request_id)
            await ledger.settle(entry, drafts.payload(entry), begun.attempt_no)
            print(f"settled {request_id}", flush=True)


asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4], int(sys.argv[5])))
