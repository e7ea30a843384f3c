"""A process whose disk is full: child_full.py HOME LIMIT [FILLER].

With a LIMIT in bytes no file may grow beyond it; with 0 the file system itself is small, and FILLER is a file whose
removal makes room. Appends until that fails, makes room, appends once more, and prints what happened as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from pathlib import Path

from drafts import draft, payload

from wattproof.methodology.errors import LedgerUnusable
from wattproof.resources.ledger import open_ledger


async def main(home: Path, limit: int, filler: Path | None) -> None:
    acknowledged: list[str] = []
    error = ""
    async with open_ledger(home, clock=time.time, random_bytes=os.urandom) as ledger:
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        for number in range(2000):
            entry = draft(f"r{number}")
            try:
                await ledger.settle(entry, payload(entry))
            except LedgerUnusable as failed:
                error = str(failed)
                break
            acknowledged.append(f"r{number}")
        during = (await ledger.head("local"))[0]
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        if filler is not None:
            filler.unlink()
        entry = draft("after")
        await ledger.settle(entry, payload(entry))
        acknowledged.append("after")
    async with open_ledger(home, clock=time.time, random_bytes=os.urandom) as ledger:
        report = await ledger.fsck()
        kept = [settled.draft.request_id for settled in (await ledger.entries("local", limit=500)).entries]
    findings = [f"{finding.where}: {finding.message}" for finding in report.findings]
    result = {"acknowledged": acknowledged, "error": error, "during": during, "kept": kept[::-1], "findings": findings}
    print(json.dumps(result))


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None))
