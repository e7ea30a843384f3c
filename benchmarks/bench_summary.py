"""Summaries: a month from rollups, in any time zone, beside the same totals by a full scan of the entries.

    python benchmarks/bench_summary.py [--entries 1000000] [--rounds 15] [--folder DIR] [--json]

scan            every row of `entry`, the totals by dimension, intervals from them: what a ledger without rollups does
month, UTC      `summarize` of the month: sums, intervals, groups, unsettled requests, adjustments
month, zone     the same of the month as it is in a time zone; its edges are hours, or entries where the zone lies half
                an hour off; the slowest of four zones counts
old month       the same where hourly sums were dropped, as they are after 60 days but for the turns of months
days, zone      a bar for each day of the month, with its own interval

All entries lie in one month, so that an index on time would not help the scan. The home is a simulation, filled by SQL
with random hashes in place of receipts; what is summed does not depend on them. Every total is compared with the
scan's. Ratios are the median time of the scan over the median time of the other; targets are for ten million entries.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from wattproof.methodology.quantity import Usage
from wattproof.resources.ledger import Amount, EntryDraft, FactorTerm, SummaryQuery, SummaryRow, open_ledger
from wattproof.resources.ledger.driver import open_reader, open_writer, sqlite3
from wattproof.resources.ledger.interning import Interning
from wattproof.resources.ledger.parts import Part
from wattproof.resources.ledger.rollups import OLD_HOURS, rebuild
from wattproof.resources.ledger.rows import INSERTED, Place, to_row
from wattproof.resources.ledger.schema import ENTRY_COLUMNS
from wattproof.resources.ledger.summary import summarize, timeline
from wattproof.resources.ledger.sums import DIMENSION_COLUMNS, SUMS, select_sums
from wattproof.resources.ledger.times import rfc3339
from wattproof.resources.ledger.totals import row_of, signatures_of

TARGETS = {"month, UTC": 1000.0, "month, slowest zone": 100.0, "old month, slowest zone": 100.0}
TARGETS_AT = 10_000_000
ZONES = ("Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
_LOG = "bench"
_YEAR, _MONTH = 2026, 10
_FIRST = datetime(_YEAR, _MONTH, 1, tzinfo=UTC).timestamp()
_SECONDS = 31 * 86_400
_NOW_S = datetime(_YEAR, 11, 10, tzinfo=UTC).timestamp()
_LATER = "2026-12-01T00"
_CHUNK = 500_000


def drafts() -> list[EntryDraft]:
    """What the entries are made of: four models at five providers in as many zones, in two tiers."""
    made: list[EntryDraft] = []
    for provider, zone in (("a", "FR"), ("b", "FI"), ("c", "DE"), ("d", "US-CAL-CISO"), ("e", "unknown:e")):
        for model in ("m1", "m2", "m3", "m4"):
            made.append(_draft(provider, zone, model, len(made) + 1))
    return made


def _draft(provider: str, zone: str, model: str, size: int) -> EntryDraft:
    own, batch, grid = (f"model:{model}", 0.317), (f"batch:{provider}", 0.518), (f"grid:{zone}", 0.24)
    decode, prefill = 80_000_000 * size, 9_000_000 * size
    return EntryDraft(
        log_id=_LOG,
        kind="inference",
        status="completed",
        request_id="template",
        request_digest=b"\0" * 32,
        occurred_at="2026-10-01T00:00:00Z",
        workload="chat",
        provider=provider,
        model=model,
        resolved_model=model,
        deployment=f"{provider}/{model}",
        zone=zone,
        location_evidence="declared",
        energy_source="grid-mix",
        renewable_ratio_bps=None if zone.startswith("unknown") else 2700,
        temporal_match="live" if size % 3 else "fallback",
        grid_source="electricitymaps-2025",
        usage=Usage(1000 * size, 400 * size, 100),
        usage_source="provider",
        method_id="wattproof/param@1.0.0",
        edition="2026-11",
        tier="proxy" if zone.startswith("unknown") else "parametric",
        boundary="comprehensive",
        energy_nwh=Amount(72_000_000 * size, 26_000_000 * size, 200_000_000 * size),
        carbon_location_ng=Amount(2_200_000 * size, 740_000 * size, 6_800_000 * size),
        carbon_market_ng=None,
        water_nl=Amount(900_000 * size, 500_000 * size, 1_600_000 * size) if size % 2 else None,
        adpe_pgsbeq=Amount(4_000 * size, 2_000 * size, 9_000 * size),
        reasons={"carbon_market_ng": "no instrument"},
        terms=(
            FactorTerm("decode", decode, decode // 32, (batch, own), (batch, grid, own)),
            FactorTerm("prefill", prefill, prefill // 32, (own,), (grid, own)),
        ),
        cost_micros=278 * size,
        currency="USD",
    )


def fill(connection: sqlite3.Connection, count: int) -> None:
    """`count` entries, evenly over the month, and the rollups of them."""
    for pragma in ("synchronous=OFF", "cache_size=-2000000", "wal_autocheckpoint=4000"):
        connection.execute(f"PRAGMA {pragma}")
    interning = Interning(connection)
    connection.execute("INSERT OR IGNORE INTO log VALUES (?, ?)", (_LOG, rfc3339(_NOW_S)))
    columns = ", ".join(name for name in ENTRY_COLUMNS)
    connection.execute(f"CREATE TEMP TABLE template AS SELECT 0 AS k, {columns} FROM entry LIMIT 0")
    for k, draft in enumerate(drafts()):
        signature_id = interning.signature(draft)
        ids = (signature_id, interning.dimension(draft, signature_id))
        place = Place(0, rfc3339(_NOW_S), f"{_YEAR}-{_MONTH}", None, None, *ids, "r", b"\0" * 32)
        listed = ", ".join(("k", *INSERTED))
        row = (k, *to_row(draft, place))
        connection.execute(f"INSERT INTO template ({listed}) VALUES ({', '.join('?' * len(row))})", row)
    varied = {
        "seq": "n.k",
        "request_id": "printf('r%010d', n.k)",
        "occurred_at": f"strftime('%Y-%m-%dT%H:%M:%SZ', {_FIRST:.0f} + n.k * {_SECONDS} / {count}, 'unixepoch')",
        "input_tokens": "input_tokens + n.k % 977",
        "e0": "e0 + n.k % 1009",
        "c0": "c0 + n.k % 31",
        "receipt_id": "'r_' || lower(hex(randomblob(13)))",
        "entry_hash": "randomblob(32)",
    }
    values = ", ".join(varied.get(name, f"t.{name}") for name in ENTRY_COLUMNS)
    for start in range(0, count, _CHUNK):
        end = min(count, start + _CHUNK) - 1
        connection.execute("BEGIN")
        connection.execute(
            f"WITH RECURSIVE n(k) AS (SELECT {start} UNION ALL SELECT k + 1 FROM n WHERE k < {end}) "
            f"INSERT INTO entry ({columns}) SELECT {values} FROM n JOIN template t ON t.k = n.k % {len(drafts())}"
        )
        connection.execute("COMMIT")
        print(f"\r{end + 1:,} entries", end="", file=sys.stderr, flush=True)
    connection.execute("BEGIN")
    rebuild(connection)
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    print(file=sys.stderr)


def scan(connection: sqlite3.Connection, since: str, until: str) -> SummaryRow:
    """The totals of a period from every entry."""
    sql = select_sums(("dim",), "entry NOT INDEXED WHERE log_id = ? AND occurred_at >= ? AND occurred_at < ?")
    parts: list[Part] = []
    for dim, *sums in connection.execute(sql, (_LOG, since, until)):
        row = connection.execute(
            f"SELECT {', '.join(DIMENSION_COLUMNS)} FROM dimension WHERE id = ?", (dim,)
        ).fetchone()
        parts.append(Part(dict(zip(DIMENSION_COLUMNS, row, strict=True)), dict(zip(SUMS, sums, strict=True))))
    parts.sort(key=lambda part: str(part.dimension))
    return row_of(None, parts, signatures_of(connection, parts))


def bounds(zone: str) -> tuple[str, str]:
    """The month as it is in a time zone."""
    info = ZoneInfo(zone)
    first, last = datetime(_YEAR, _MONTH, 1, tzinfo=info), datetime(_YEAR, _MONTH + 1, 1, tzinfo=info)
    return rfc3339(first.timestamp()), rfc3339(last.timestamp())


def days(zone: str) -> list[str]:
    """When the days of the month begin in a time zone, and when the last ends."""
    starts = [datetime(_YEAR, _MONTH, day, tzinfo=ZoneInfo(zone)) for day in range(1, 32)]
    return [*(rfc3339(start.timestamp()) for start in starts), bounds(zone)[1]]


def timed(rounds: int, work: Callable[[], object]) -> float:
    """Median milliseconds, after one that warms up."""
    work()
    taken: list[float] = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - begun))
    return statistics.median(taken)


def close(found: SummaryRow, expected: SummaryRow) -> bool:
    """Whether two totals say the same: counts to the unit, figures to the rounding of sums."""
    same = found.request_count == expected.request_count and found.input_tokens == expected.input_tokens
    if found.energy_wh is None or expected.energy_wh is None:
        return same and found.energy_wh is expected.energy_wh
    pairs = zip(found.energy_wh, expected.energy_wh, strict=True)
    return same and all(abs((a or 0) - (b or 0)) <= 1e-9 * abs(b or 1) for a, b in pairs)


def measure(path: Path, rounds: int) -> tuple[dict[str, float], list[str]]:
    """Milliseconds by what was done, and which totals differ from the scan's."""
    reader = open_reader(path)
    differing: list[str] = []
    taken: dict[str, float] = {"scan": timed(3, lambda: scan(reader, *bounds("UTC")))}
    queries = {zone: SummaryQuery(_LOG, *bounds(zone), group_by="provider") for zone in ("UTC", *ZONES)}
    for zone, query in queries.items():
        taken[f"month, {zone}"] = timed(rounds, lambda query=query: summarize(reader, query))
        if not close(summarize(reader, query).total, scan(reader, *bounds(zone))):
            differing.append(zone)
    for zone in ("UTC", "Asia/Kolkata"):
        edges, whole = days(zone), SummaryQuery(_LOG)
        taken[f"days, {zone}"] = timed(rounds, lambda edges=edges, whole=whole: timeline(reader, whole, edges))
    reader.close()
    with open_writer(path) as writer:
        writer.execute("BEGIN")
        writer.execute(f"DELETE FROM rollup WHERE {OLD_HOURS}", (_LATER,))
        writer.execute("INSERT OR REPLACE INTO meta VALUES ('hours_from', ?)", (_LATER,))
        writer.execute("COMMIT")
    reader = open_reader(path)
    for zone in ZONES:
        query = queries[zone]
        taken[f"old month, {zone}"] = timed(rounds, lambda query=query: summarize(reader, query))
    reader.close()
    return taken, differing


async def make(folder: Path, count: int) -> Path:
    """A simulation home with `count` entries."""
    await open_ledger(folder, clock=lambda: _NOW_S, random_bytes=os.urandom, simulation=True).aclose()
    path = folder / "ledger.sqlite3"
    connection = open_writer(path)
    try:
        await asyncio.to_thread(fill, connection, count)
    finally:
        connection.close()
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark summaries against a scan.")
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path, default=None, help="where to write; 0.7 GB per million entries")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        begun = time.perf_counter()
        path = asyncio.run(make(Path(folder) / "home", options.entries))
        filled_s = time.perf_counter() - begun
        taken, differing = measure(path, options.rounds)
        size_mb = path.stat().st_size / 1e6
    ratios = {name: round(taken["scan"] / ms, 1) for name, ms in taken.items() if name != "scan"}
    result: dict[str, Any] = {
        "entries": options.entries,
        "database_mb": round(size_mb),
        "fill_s": round(filled_s, 1),
        "ms": {name: round(ms, 3) for name, ms in taken.items()},
        "scan_over": ratios,
        "ratios": {
            "month, UTC": ratios["month, UTC"],
            "month, slowest zone": min(ratios[f"month, {zone}"] for zone in ZONES),
            "old month, slowest zone": min(ratios[f"old month, {zone}"] for zone in ZONES),
        },
        "targets": TARGETS,
        "targets_at_entries": TARGETS_AT,
        "totals_that_differ_from_the_scan": differing,
        "sqlite": sqlite3.sqlite_version,
    }
    if options.json:
        print(json.dumps(result))
        return
    for name, ms in result["ms"].items():
        print(f"{name:<32}{ms:>12,.3f} ms   {ratios.get(name, 1):>10,.0f} x")
    for name, ratio in result["ratios"].items():
        print(f"{name:<32}{ratio:>12,.0f} x   target {TARGETS[name]:g} at {TARGETS_AT:,} entries")


if __name__ == "__main__":
    main()
