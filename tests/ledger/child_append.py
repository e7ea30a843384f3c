"""A process that appends: child_append.py HOME NAME COUNT. Writes a line for every request that was acknowledged."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from drafts import attempt, draft, payload

from wattproof.resources.ledger import Opened, open_ledger


async def main(home: Path, name: str, count: int) -> None:
    async with open_ledger(home, clock=time.time, random_bytes=os.urandom, lock_timeout_s=30) as ledger:
        for number in range(count):
            request_id = f"{name}-{number}"
            opened = await ledger.open_attempt(attempt(request_id, lease_expires_at=time.time() + 60))
            assert isinstance(opened, Opened)
            print(f"opened {request_id}", flush=True)
            entry = draft(request_id)
            await ledger.settle(entry, payload(entry), opened.attempt_no)
            print(f"settled {request_id}", flush=True)


asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
