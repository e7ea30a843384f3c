"""A process that reserves: child_reserve.py HOME NAME COUNT AMOUNT. Says of each request whether it may run.

It settles every other one, and holds the rest.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from drafts import attempt, draft, payload

from wattproof.methodology.errors import BudgetExceeded
from wattproof.resources.ledger import Amount, Opened, open_ledger


async def main(home: Path, name: str, count: int, amount: int) -> None:
    async with open_ledger(home, clock=time.time, random_bytes=os.urandom, lock_timeout_s=60) as ledger:
        for number in range(count):
            request_id = f"{name}-{number}"
            reserving = attempt(request_id, lease_expires_at=time.time() + 600, reserved_energy_nwh=amount)
            try:
                opened = await ledger.open_attempt(reserving)
            except BudgetExceeded:
                print(f"refused {request_id}", flush=True)
                continue
            assert isinstance(opened, Opened)
            print(f"opened {request_id}", flush=True)
            if number % 2:
                entry = draft(request_id, energy_nwh=Amount(amount), carbon_location_ng=None, terms=())
                await ledger.settle(entry, payload(entry), opened.attempt_no)
                print(f"settled {request_id}", flush=True)
        print("done", flush=True)
        sys.stdin.read()


asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
