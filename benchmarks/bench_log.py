"""The transparency log of a large ledger: proofs, checkpoints, and how long a full check takes.

    python benchmarks/bench_log.py [--entries 1000000] [--receipts 1] [--folder DIR] [--json]

The ledger is a simulation's: its rows are written as the ledger would write them, in large transactions and without
signatures. Every `--receipts`-th entry has a receipt of the usual size, the others a short one: the check hashes each.

inclusion      the proof of one entry in the present tree, from the database; its verification; and the same proof as a
               tlog-proof under a signed checkpoint
consistency    the proof between two sizes, and its verification
checkpoint     signing a new head, stored durably
fsck           every hash, tile, checkpoint, root and total recomputed, without signatures; seconds
fsck, signed   the same with every signature checked and every column held against its receipt, on a ledger of
               `--signed` entries that were settled one by one; microseconds an entry
migrate        the tiles of a ledger that has none, made once; seconds
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
from bench_ledger import draft_of, payload_of

from wattproof.methodology.propagate import total
from wattproof.resources.ledger import Amount, EntryDraft, Ledger, open_ledger
from wattproof.resources.ledger.driver import open_writer, sqlite3
from wattproof.resources.ledger.interning import Interning
from wattproof.resources.ledger.queries import inclusion
from wattproof.resources.ledger.rollups import Rollups
from wattproof.resources.ledger.rows import INSERT_ENTRY, Place, to_row
from wattproof.resources.ledger.tiling import add_tiles, subtrees
from wattproof.resources.receipts import (
    Frontier,
    consistency_proof,
    entry_hash,
    leaf_hash,
    receipt_id,
    verify_consistency,
    verify_inclusion,
)
from wattproof.resources.receipts.statement import Statement
from wattproof.resources.receipts.tlog_proof import TlogProof, verify_tlog_proof

TARGETS = {"inclusion ms": 1.0, "fsck s": 60.0}
_LOG = "bench"
_CHUNK = 20_000
_DAYS = 30
_SAMPLES = 400
_ZONES = ("FR", "SE-SE3", "DE", "PL", "GB", "US-CAL-CISO")


def rows(connection: sqlite3.Connection, first: int, end: int, jws: str, full_every: int) -> Iterator[tuple[Any, ...]]:
    """(entry row, receipt row, leaf) of the entries first … end - 1."""
    interning = Interning(connection)
    begins = datetime(2026, 11, 1, tzinfo=UTC)
    templates = [replace(draft_of("template"), zone=zone) for zone in _ZONES]
    ids = [(interning.signature(draft), draft) for draft in templates]
    dims = [interning.dimension(draft, signature) for signature, draft in ids]
    for seq in range(first, end):
        at = (begins + timedelta(seconds=seq % (_DAYS * 86_400))).strftime("%Y-%m-%dT%H:%M:%SZ")
        kind = seq % len(templates)
        draft = replace(templates[kind], request_id=str(seq), occurred_at=at, synthetic=True)
        receipt = f"{seq}.{jws}" if seq % full_every == 0 else f"{seq}.{jws[:200]}"
        entry = entry_hash(receipt)
        place = Place(seq, at, at[:7], None, None, ids[kind][0], dims[kind], receipt_id(entry), entry)
        yield to_row(draft, place), (_LOG, seq, receipt), leaf_hash(entry)


def build(folder: Path, count: int, full_every: int) -> None:
    """A closed simulation home with a log of `count` entries."""
    connection = open_writer(folder / "ledger.sqlite3")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("PRAGMA cache_size=-262144")
    jws = "".join(sha256(str(n).encode()).hexdigest() for n in range(64))
    length = len(json.dumps(payload_of(draft_of("template")))) * 4 // 3 + 200
    jws = (jws * (length // len(jws) + 1))[:length]
    rollups = Rollups(connection)
    frontier, now = Frontier(), "2026-12-01T00:00:00Z"
    connection.execute("INSERT INTO log VALUES (?, ?)", (_LOG, now))
    connection.execute("INSERT INTO head VALUES (?, 0, ?, ?)", (_LOG, frontier.to_bytes(), now))
    for first in range(0, count, _CHUNK):
        end = min(first + _CHUNK, count)
        connection.execute("BEGIN IMMEDIATE")
        entries, receipts, leaves = zip(*rows(connection, first, end, jws, full_every), strict=True)
        connection.executemany(INSERT_ENTRY, entries)
        connection.executemany("INSERT INTO receipt VALUES (?, ?, ?)", receipts)
        frontier = frontier.extend(leaves)
        add_tiles(connection, _LOG, first, end)
        connection.execute("UPDATE head SET size = ?, frontier = ?", (end, frontier.to_bytes()))
        rollups.add(_LOG, first, end - first, now, [], in_operations=False)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def microseconds(work: Callable[[int], object], places: list[int]) -> dict[str, float]:
    """Median and 99th percentile of `work` at each of `places`."""
    taken: list[float] = []
    for place in places:
        begun = time.perf_counter()
        work(place)
        taken.append((time.perf_counter() - begun) * 1e6)
    ordered = sorted(taken)
    return {"p50_us": round(statistics.median(ordered), 1), "p99_us": round(ordered[len(ordered) * 99 // 100], 1)}


async def measure(folder: Path, count: int) -> dict[str, Any]:
    draw = random.Random(1)
    places = [draw.randrange(count) for _ in range(_SAMPLES)]
    figures: dict[str, Any] = {}
    async with open_ledger(folder, clock=time.time, random_bytes=os.urandom, simulation=True) as ledger:
        begun = time.perf_counter()
        note = await ledger.log.checkpoint(_LOG)
        figures["checkpoint"] = {"ms": round((time.perf_counter() - begun) * 1e3, 2)}
        figures |= _proofs(folder, ledger, places, count, note)
        begun = time.perf_counter()
        report = await ledger.fsck(signatures=False)
        figures["fsck"] = {"s": round(time.perf_counter() - begun, 1), "entries": report.entry_count}
        if not report.sound:
            raise SystemExit(f"The bench's ledger is not sound: {report.findings[:3]}")
    return figures


def _proofs(folder: Path, ledger: Ledger, places: list[int], count: int, note: str) -> dict[str, Any]:
    connection = sqlite3.connect(f"file:{folder / 'ledger.sqlite3'}?mode=ro", uri=True)
    keys = ledger.log.vkeys(_LOG)
    root = inclusion(connection, _LOG, 0, None).root
    made = {place: inclusion(connection, _LOG, place, None) for place in places}
    sql = "SELECT entry_hash FROM entry WHERE log_id = ? AND seq = ?"
    entries = {place: connection.execute(sql, (_LOG, place)).fetchone()[0] for place in places}
    text = {place: str(TlogProof(place, made[place].hashes, note)) for place in places}
    paths = {place: consistency_proof(place + 1, count, subtrees(connection, _LOG)) for place in places}
    old_roots = {place: subtrees(connection, _LOG)(0, place + 1) for place in places}
    figures = {
        "inclusion": microseconds(lambda place: inclusion(connection, _LOG, place, None), places),
        "inclusion in an older tree": microseconds(lambda p: inclusion(connection, _LOG, p, count - 1), places[:100]),
        "verify inclusion": microseconds(
            lambda p: verify_inclusion(leaf_hash(entries[p]), p, count, made[p].hashes, root), places
        ),
        "verify tlog-proof": microseconds(
            lambda p: verify_tlog_proof(TlogProof.parse(text[p]), entries[p], keys), places
        ),
        "consistency": microseconds(lambda p: consistency_proof(p + 1, count, subtrees(connection, _LOG)), places),
        "verify consistency": microseconds(
            lambda p: verify_consistency(p + 1, count, old_roots[p], root, paths[p]), places
        ),
    }
    connection.close()
    return figures


def consistent(draft: EntryDraft) -> EntryDraft:
    """The draft with the medians that its terms add up to."""
    energy = total([((term.energy_mean_nwh,), (term.energy_loadings,), 0.0) for term in draft.terms])
    carbon = total([((term.carbon_mean_ng or 0,), (term.carbon_loadings,), 0.0) for term in draft.terms])
    known = [Amount(round(q.median), round(q.low or 0), round(q.high or 0)) for q in (energy, carbon)]
    return replace(draft, energy_nwh=known[0], carbon_location_ng=known[1])


async def signed(folder: Path, count: int) -> dict[str, Any]:
    """A full check of a ledger with real receipts."""
    template = consistent(draft_of("template"))
    payload = payload_of(template)
    encode = partial(orjson.dumps, option=orjson.OPT_SORT_KEYS)
    async with open_ledger(folder, clock=time.time, random_bytes=os.urandom) as ledger:
        for first in range(0, count, 500):
            numbers = range(first, min(first + 500, count))
            drafts = [replace(template, request_id=str(number)) for number in numbers]
            statements = [Statement({**payload, "request_id": draft.request_id}, encode) for draft in drafts]
            await asyncio.gather(*map(ledger.settle, drafts, statements))
        begun = time.perf_counter()
        report = await ledger.fsck()
        taken = time.perf_counter() - begun
    if not report.sound:
        raise SystemExit(f"The bench's ledger is not sound: {report.findings[:3]}")
    return {"entries": report.entry_count, "us_per_entry": round(taken / report.entry_count * 1e6, 1)}


async def make_home(folder: Path) -> None:
    await open_ledger(folder, clock=time.time, random_bytes=os.urandom, simulation=True).aclose()


def migrate(folder: Path, count: int) -> float:
    """Seconds to make the tiles of the whole log again."""
    connection = open_writer(folder / "ledger.sqlite3")
    connection.execute("DROP TRIGGER tile_delete")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM tile")
    begun = time.perf_counter()
    add_tiles(connection, _LOG, 0, count)
    taken = time.perf_counter() - begun
    connection.execute("ROLLBACK")
    connection.close()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark the transparency log.")
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--receipts", type=int, default=1, help="every n-th receipt has the usual size")
    parser.add_argument("--signed", type=int, default=5_000, help="entries of the ledger with real receipts")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path, default=None, help="where to write; a real disk")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        home = Path(folder) / "home"
        asyncio.run(make_home(home))
        begun = time.perf_counter()
        build(home, options.entries, options.receipts)
        built_s = time.perf_counter() - begun
        size = (home / "ledger.sqlite3").stat().st_size
        figures = asyncio.run(measure(home, options.entries))
        figures["fsck, signed"] = asyncio.run(signed(Path(folder) / "signed", options.signed))
        figures["migrate"] = {"s": round(migrate(home, options.entries), 1)}
    result: dict[str, Any] = {
        "entries": options.entries,
        "database_mb": round(size / 1e6),
        "build_s": round(built_s, 1),
        **figures,
        "targets": TARGETS,
        "sqlite": sqlite3.sqlite_version,
    }
    if options.json:
        print(json.dumps(result))
        return
    for part, values in result.items():
        print(f"{part:<28}{values}")


if __name__ == "__main__":
    main()
