"""kill -9 at random, many times: what was acknowledged is there, once, and everything recomputes.

    python -m benchmarks.soak --rounds 500 [--seed 1] [--write docs/reports/soak.json] [--json]

A round starts 1 to 16 processes on one ledger. Each begins requests, settles them, several at a time, and notes what
was acknowledged; each is killed at a random moment (SIGKILL), but for one in eight, which ends by itself. Then `fsck`
examines the ledger. The next round asks first for what was begun and never acknowledged. A home lasts ten rounds; at
its end every signature is checked too, and the entries are compared with what was acknowledged.

The last part, the crowd, kills nobody: sixteen processes append to one ledger, and the longest wait is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import selectors
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.__main__ import commit
from benchmarks.bench_ledger import draft_of, payload_of
from wattproof.methodology.errors import LedgerLocked, RequestInFlight, WattproofError
from wattproof.methodology.propagate import Row, total
from wattproof.resources.ledger import Amount, AttemptDraft, EntryDraft, Ledger, Opened, open_ledger
from wattproof.resources.ledger.driver import sqlite3

_LOG = "bench"
_PROCESSES = 16
_ROUNDS_PER_HOME = 10
_LIVES_S = (0.01, 0.25)
_REQUESTS = 40
_LEASE_S = 0.05
_CROWD_APPENDS = 60


@dataclass(slots=True)
class Tally:
    """What all rounds came to. `kills` counts processes that were killed while they ran."""

    rounds: int = 0
    processes: int = 0
    kills: int = 0
    acknowledged: int = 0
    entries: int = 0
    lost: int = 0
    doubled: int = 0
    findings: list[str] = field(default_factory=list[str])
    errors: list[str] = field(default_factory=list[str])
    longest_request_s: float = 0.0


def open_home(home: Path) -> Ledger:
    """The ledger, opened as a server would."""
    return open_ledger(home, clock=time.time, random_bytes=os.urandom, lock_timeout_s=30)


def request(name: str) -> tuple[EntryDraft, dict[str, Any]]:
    """A settled request whose amounts are what its terms add up to, and what its receipt states."""
    draft = draft_of(name)
    amounts = {
        "energy_nwh": [Row((t.energy_mean_nwh,), (t.energy_loadings,)) for t in draft.terms],
        "carbon_location_ng": [Row((t.carbon_mean_ng or 0,), (t.carbon_loadings,)) for t in draft.terms],
    }
    sums = {field: total(rows) for field, rows in amounts.items()}
    draft = replace(
        draft, **{f: Amount(round(s.median), round(s.low or 0), round(s.high or 0)) for f, s in sums.items()}
    )
    return draft, {**payload_of(draft), "nonce": os.urandom(16).hex()}


async def ask(ledger: Ledger, name: str) -> bool:
    """Run one request as a caller would, whatever became of it before. False: another try of it still has its lease."""
    draft, payload = request(name)
    digest = draft.request_digest or b""
    expires_at = time.time() + _LEASE_S
    try:
        opened = await ledger.open_attempt(AttemptDraft(_LOG, name, digest, draft.deployment, expires_at))
    except RequestInFlight:
        return False
    if isinstance(opened, Opened):
        await ledger.settle(draft, lambda at: {**payload, "issued_at": at}, opened.attempt_no)
    return True


async def live(home: Path, names: Sequence[str], callers: int, say: Callable[[str], None]) -> None:
    """One process: ask for `names` from `callers` tasks; say what was acknowledged, and the wait in microseconds."""
    left = list(reversed(names))
    async with open_home(home) as ledger:

        async def caller() -> None:
            while left:
                name = left.pop()
                begun = time.perf_counter()
                if await ask(ledger, name):
                    say(f"{name} {round((time.perf_counter() - begun) * 1e6)}")

        await asyncio.gather(*(caller() for _ in range(callers)))


def fork(work: Callable[[Callable[[str], None]], None]) -> tuple[int, int]:
    """Run `work(say)` in a process of its own; its id, and where to read what it says."""
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    os.close(reading)
    code = 0
    try:
        work(partial(_write, writing))
    except WattproofError as error:
        os.write(writing, f"! {type(error).__name__}: {error}\n".encode())
        code = 1
    except BaseException as error:  # noqa: BLE001  # nothing may return into the parent's code
        os.write(writing, f"! {error!r}\n".encode())
        code = 2
    os._exit(code)


def _write(pipe: int, line: str) -> None:
    os.write(pipe, f"{line}\n".encode())


def gather(children: dict[int, tuple[int, float | None]]) -> tuple[list[str], int]:
    """Let children run, kill those that have a time of death (monotonic): what each said, and how many were killed."""
    said = dict.fromkeys(children, b"")
    alive = {pipe: (process, at) for pipe, (process, at) in children.items()}
    with selectors.DefaultSelector() as selector:
        for pipe in children:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            now = time.monotonic()
            for pipe, (process, at) in list(alive.items()):
                if at is not None and at <= now:
                    os.kill(process, signal.SIGKILL)
                    del alive[pipe]
            deaths = [at for _, at in alive.values() if at is not None]
            for key, _ in selector.select(max(0.0, min(deaths) - now) if deaths else None):
                block = os.read(key.fd, 1 << 16)
                said[key.fd] += block
                if not block:
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    alive.pop(key.fd, None)
    ends = [os.waitpid(process, 0)[1] for process, _ in children.values()]
    killed = sum(os.WIFSIGNALED(end) and os.WTERMSIG(end) == signal.SIGKILL for end in ends)
    return [text.decode() for text in said.values()], killed


class Home:
    """One ledger over a few rounds: what was begun in it, and what was acknowledged."""

    def __init__(self, folder: Path, dice: random.Random, tally: Tally) -> None:
        self._folder = folder
        self._dice = dice
        self._tally = tally
        self._begun: list[str] = []
        self._acknowledged: set[str] = set()

    def round(self, number: int) -> None:
        """Start processes, kill most of them, and examine what they left."""
        dice, count = self._dice, self._dice.randint(1, _PROCESSES)
        again = [name for name in self._begun if name not in self._acknowledged]
        children: dict[int, tuple[int, float | None]] = {}
        for place in range(count):
            names = [*again[place::count], *(f"{number}-{place}-{k}" for k in range(_REQUESTS))]
            self._begun += names[len(again[place::count]) :]
            callers, life_s = dice.choice((1, 1, 4)), dice.uniform(*_LIVES_S)
            dies = dice.random() >= 1 / 8
            process, pipe = fork(
                lambda say, names=names, callers=callers: asyncio.run(live(self._folder, names, callers, say))
            )
            children[pipe] = (process, time.monotonic() + life_s if dies else None)
        self._tally.rounds += 1
        self._tally.processes += count
        texts, killed = gather(children)
        self._tally.kills += killed
        for text in texts:
            self._heard(text)
        asyncio.run(self._examine(f"round {number}", signatures=False))

    def close(self) -> None:
        """Check every signature, and the entries against what was acknowledged."""
        asyncio.run(self._examine("end of home", signatures=True))
        kept = asyncio.run(self._entries())
        self._tally.acknowledged += len(self._acknowledged)
        self._tally.entries += len(kept)
        self._tally.lost += len(self._acknowledged - set(kept))
        self._tally.doubled += len(kept) - len(set(kept)) + len(set(kept) - set(self._begun))

    def _heard(self, text: str) -> None:
        # The last line may be cut off where its writer was killed.
        for line in text.split("\n")[:-1]:
            if line.startswith("! "):
                self._tally.errors.append(line[2:])
                continue
            name, wait_us = line.split()
            self._acknowledged.add(name)
            self._tally.longest_request_s = max(self._tally.longest_request_s, int(wait_us) / 1e6)

    async def _examine(self, when: str, *, signatures: bool) -> None:
        async with open_home(self._folder) as ledger:
            report = await ledger.fsck(signatures=signatures)
        self._tally.findings += [f"{when}: {found.where}: {found.message}" for found in report.findings]

    async def _entries(self) -> list[str]:
        kept: list[str] = []
        async with open_home(self._folder) as ledger:
            cursor: int | None = None
            while True:
                page = await ledger.entries(_LOG, cursor=cursor, limit=500)
                kept += [entry.draft.request_id or "" for entry in page.entries]
                cursor = page.next_cursor
                if cursor is None:
                    return kept


def crowd(folder: Path) -> dict[str, Any]:
    """Sixteen processes append to one ledger, one request at a time each; how long the slowest waited."""

    async def begin() -> None:
        await open_home(folder).aclose()

    asyncio.run(begin())
    children: dict[int, tuple[int, float | None]] = {}
    begun = time.perf_counter()
    for place in range(_PROCESSES):
        names = [f"{place}-{k}" for k in range(_CROWD_APPENDS)]
        process, pipe = fork(lambda say, names=names: asyncio.run(append_only(folder, names, say)))
        children[pipe] = (process, None)
    texts, _ = gather(children)
    lines = [line for text in texts for line in text.splitlines()]
    took_s = time.perf_counter() - begun
    refused = [line for line in lines if line.startswith("! ")]
    waits_s = sorted(int(line.split()[1]) / 1e6 for line in lines if not line.startswith("! "))
    return {
        "processes": _PROCESSES,
        "appends": len(waits_s),
        "appends_per_s": round(len(waits_s) / took_s),
        "busy_or_locked": len(refused),
        "median_wait_s": round(statistics.median(waits_s), 4),
        "p99_wait_s": round(waits_s[int(0.99 * len(waits_s))], 4),
        "max_wait_s": round(waits_s[-1], 4),
    }


async def append_only(home: Path, names: Sequence[str], say: Callable[[str], None]) -> None:
    """Settle requests without recording tries first, and say how long each waited."""
    async with open_home(home) as ledger:
        for name in names:
            draft, payload = request(name)
            begun = time.perf_counter()
            try:
                await ledger.settle(draft, lambda at, payload=payload: {**payload, "issued_at": at})
            except LedgerLocked as error:
                say(f"! {error}")
                continue
            say(f"{name} {round((time.perf_counter() - begun) * 1e6)}")


def soak(rounds: int, seed: int) -> dict[str, Any]:
    """All rounds and the crowd; the report."""
    dice, tally = random.Random(seed), Tally()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="wattproof-soak-") as folder:
        # Whatever is imported at first use, so that forked processes do not spend their lives importing.
        asyncio.run(live(Path(folder) / "warm", ["one"], 1, lambda _: None))
        for first in range(0, rounds, _ROUNDS_PER_HOME):
            home = Home(Path(folder) / f"home-{first}", dice, tally)
            for number in range(first, min(rounds, first + _ROUNDS_PER_HOME)):
                home.round(number)
            home.close()
            print(f"{tally.rounds} rounds, {tally.kills} kills, {tally.lost} lost", file=sys.stderr, flush=True)
        met = crowd(Path(folder) / "crowd")
    return {
        "seed": seed,
        "rounds": tally.rounds,
        "processes": tally.processes,
        "kills": tally.kills,
        "acknowledged": tally.acknowledged,
        "entries": tally.entries,
        "lost": tally.lost,
        "doubled": tally.doubled,
        "fsck_findings": len(tally.findings),
        "errors": len(tally.errors),
        "first": [*tally.findings[:5], *tally.errors[:5]],
        "longest_request_s": round(tally.longest_request_s, 4),
        "crowd": met,
        "took_s": round(time.perf_counter() - begun),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill processes that write to a ledger, and examine what is left.")
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, help="file to write the report to")
    options = parser.parse_args()
    report = {
        "commit": commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": {
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            "system": platform.system(),
        },
        **soak(options.rounds, options.seed),
    }
    text = json.dumps(report, indent=1) + "\n"
    if options.write:
        options.write.parent.mkdir(parents=True, exist_ok=True)
        options.write.write_text(text, "utf-8")
    print(text)
    if report["lost"] or report["doubled"] or report["fsck_findings"] or report["errors"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
