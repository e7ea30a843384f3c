"""A process that holds the lock: child_hold.py LOCK_FILE. Says so on stdout and lets go when its stdin ends."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from wattproof.resources.ledger.lock import FileLock

with FileLock(Path(sys.argv[1]), clock=time.time, timeout_s=5).held():
    print("held", flush=True)
    sys.stdin.read()
