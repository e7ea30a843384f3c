"""Begin a rotation in a home, and die with status 9 as soon as the new key is entered: HOME ROLE."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import time
from pathlib import Path

from wattproof.resources.ledger import open_ledger


async def main(home: Path, role: str) -> None:
    def clock() -> float:
        if (home / "keys" / f"{role}.key.next").exists():
            database = sqlite3.connect(home / "ledger.sqlite3")
            if database.execute("SELECT 1 FROM entry WHERE kind = 'key'").fetchone():
                os._exit(9)
            database.close()
        return time.time()

    ledger = open_ledger(home, clock=clock, random_bytes=os.urandom)
    await (ledger.log.rotate_issuer() if role == "issuer" else ledger.log.rotate_log_key())


asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
