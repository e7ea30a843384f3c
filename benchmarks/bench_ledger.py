"""Appending: ratios to the plain thing, side by side in one run.

    python benchmarks/bench_ledger.py [--rounds 40] [--folder DIR] [--json]

raw            append 8 KiB to a file and fdatasync it
plain          one durable transaction that only inserts the same row and the same receipt into the same tables
append         one durable transaction of the ledger: that, and place, Merkle frontier, rollups; no thread, no signature
settle, one    `Ledger.settle` from one caller: queue, lock, payload, signature, transaction, answer
settle, 16     the same from sixteen callers

A round runs a short block of each, so that a noisy disk or neighbour hits all alike. Figures are medians over rounds;
a ratio is the median of the ratios within each round.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from wattproof.methodology.quantity import Operand, Usage
from wattproof.resources.ledger import Amount, EntryDraft, FactorTerm, Ledger, open_ledger
from wattproof.resources.ledger.append import Remembered, Signed, Transaction, append
from wattproof.resources.ledger.driver import open_writer, sqlite3
from wattproof.resources.ledger.interning import Interning
from wattproof.resources.ledger.rows import INSERT_ENTRY, Place, to_row
from wattproof.resources.receipts import build_payload, receipt_id
from wattproof.resources.receipts.statement import Statement

TARGETS = {"append/plain": 0.7, "settle one/raw": 0.3, "settle 16/settle one": 4.0}
_CALLERS = 16
_LOG = "bench"


def draft_of(number: str) -> EntryDraft:
    """A settled chat request such as a run writes."""
    model, batch, grid = ("model:gpt-oss-120b", 0.317), ("batch", 0.518), ("grid:FR", 0.24)
    return EntryDraft(
        log_id=_LOG,
        kind="inference",
        status="completed",
        request_id=number,
        request_digest=b"\0" * 32,
        occurred_at="2026-11-22T06:00:00Z",
        workload="chat",
        provider="ovhcloud",
        model="gpt-oss-120b",
        resolved_model="gpt-oss-120b",
        deployment="ovhcloud/gpt-oss-120b",
        zone="FR",
        location_evidence="declared",
        energy_source="grid-mix",
        renewable_ratio_bps=2700,
        temporal_match="fallback",
        grid_source="electricitymaps-2025",
        usage=Usage(1000, 400),
        usage_source="provider",
        method_id="wattproof/param@1.0.0",
        edition="2026-11",
        tier="parametric",
        boundary="comprehensive",
        energy_nwh=Amount(72_000_000, 26_000_000, 200_000_000),
        carbon_location_ng=Amount(2_200_000, 740_000, 6_800_000),
        carbon_market_ng=None,
        water_nl=None,
        adpe_pgsbeq=None,
        reasons={"carbon_market_ng": "no instrument", "water_nl": "no WUE"},
        terms=(
            FactorTerm("decode", 80_000_000, 2_500_000, (batch, model), (batch, grid, model)),
            FactorTerm("prefill", 9_000_000, 300_000, (model,), (grid, model)),
        ),
        latency_ms=4100,
        finish_reason="stop",
        cost_micros=278,
        currency="USD",
    )


def payload_of(draft: EntryDraft) -> dict[str, Any]:
    """What its receipt states, of the usual size."""
    amounts = {"energy_nwh": draft.energy_nwh, "carbon_location_ng": draft.carbon_location_ng}
    outputs: dict[str, dict[str, Any] | None] = {
        name: {"median": a.median, "low": a.low, "high": a.high, "interval": "credible90"}
        for name, a in amounts.items()
        if a is not None
    }
    outputs.update({"carbon_market_ng": None, "water_nl": None, "adpe_pgsbeq": None})
    reading = {
        "zone": "FR",
        "basis": "average",
        "factor_scope": "lifecycle",
        "accounting": "consumption",
        "observed_at": "2025-01-01T00:00:00Z",
        "requested_at": draft.occurred_at,
        "temporal_match": "fallback",
        "evidence": "annual",
        "source": "electricitymaps-2025",
        "licence": "ODbL-1.0",
        "age_minutes": 470_000,
        "renewable_ratio_bps": 2700,
        "carbon_free_ratio_bps": 9300,
        "value_gco2e_per_kwh": 31.0,
        "low_gco2e_per_kwh": None,
        "high_gco2e_per_kwh": None,
        "sigma_ln": 0.24,
    }
    return build_payload(
        log_id=draft.log_id,
        issued_at=draft.occurred_at,
        occurred_at=draft.occurred_at,
        kind=draft.kind,
        status=draft.status,
        request_id=draft.request_id,
        attempts=draft.attempts,
        workload=draft.workload,
        provider=draft.provider,
        model=draft.model,
        resolved_model=draft.resolved_model,
        deployment=draft.deployment,
        region_scope="FR",
        zone=draft.zone,
        location_evidence=draft.location_evidence,
        energy_source=draft.energy_source,
        renewable_ratio_bps=draft.renewable_ratio_bps,
        ghg_scope="scope3.cat1",
        usage=draft.usage,
        usage_source=draft.usage_source,
        method_id=draft.method_id,
        method_sha256="0" * 64,
        edition=draft.edition,
        edition_sha256="0" * 64,
        tier=draft.tier,
        boundary=draft.boundary,
        outputs=outputs,
        operands=[Operand(f"operand_{k:02}", 123_456_789, -9, "1", "edition:2026-11") for k in range(18)],
        accounting=reading,
        nonce=b"\0" * 16,
        reasons=draft.reasons,
        cost_micros=draft.cost_micros,
        currency=draft.currency,
        latency_ms=draft.latency_ms,
        request_commitment="0" * 64,
    )


def per_second(count: int, work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return count / (time.perf_counter() - begun)


def raw(folder: Path, count: int) -> float:
    """Append 8 KiB and fdatasync."""
    descriptor = os.open(folder / "raw", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    block = b"\0" * 8192
    sync = getattr(os, "fdatasync", os.fsync)

    def work() -> None:
        for _ in range(count):
            os.write(descriptor, block)
            sync(descriptor)

    try:
        return per_second(count, work)
    finally:
        os.close(descriptor)


class Plain:
    """Inserts of the same row and receipt, and nothing else."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        draft = draft_of("template")
        interning = Interning(connection)
        self._signature = interning.signature(draft)
        self._dim = interning.dimension(draft, self._signature)
        connection.execute("INSERT INTO log VALUES (?, ?)", (_LOG, draft.occurred_at))
        self._seq = 0

    def run(self, drafts: list[EntryDraft], jws: str) -> None:
        for draft in drafts:
            entry = sha256(f"{draft.request_id}.{jws}".encode()).digest()
            ids = (self._signature, self._dim)
            place = Place(self._seq, draft.occurred_at, "2026-11", None, None, *ids, receipt_id(entry), entry)
            self.connection.execute("BEGIN IMMEDIATE")
            self.connection.execute(INSERT_ENTRY, to_row(draft, place))
            self.connection.execute("INSERT INTO receipt VALUES (?, ?, ?)", (_LOG, self._seq, jws))
            self.connection.execute("COMMIT")
            self._seq += 1


class Bare:
    """The ledger's own transaction, without its thread and without a signature."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._remembered = Remembered(connection)

    def run(self, drafts: list[EntryDraft], jws: str) -> None:
        for draft in drafts:
            self.connection.execute("BEGIN IMMEDIATE")
            transaction = Transaction(self.connection, self._remembered, time.time())
            append(transaction, draft, lambda _, draft=draft: Signed(f"{draft.request_id}.{jws}"), None)
            transaction.finish()
            self.connection.execute("COMMIT")


def encoded(checked: object) -> bytes:
    return orjson.dumps(checked, option=orjson.OPT_SORT_KEYS)


async def settle(ledger: Ledger, drafts: list[EntryDraft], payload: dict[str, Any], callers: int) -> float:
    """Settle `drafts` from `callers` tasks, as many each."""

    async def caller(mine: list[EntryDraft]) -> None:
        for draft in mine:
            await ledger.settle(draft, Statement({**payload, "request_id": draft.request_id}, encoded))

    begun = time.perf_counter()
    await asyncio.gather(*(caller(drafts[k::callers]) for k in range(callers)))
    return len(drafts) / (time.perf_counter() - begun)


async def home(folder: Path) -> sqlite3.Connection:
    """The write connection of a fresh ledger that nobody else has open."""
    await open_ledger(folder, clock=time.time, random_bytes=os.urandom).aclose()
    connection = open_writer(folder / "ledger.sqlite3")
    connection.execute("PRAGMA journal_mode=WAL")
    return connection


async def measure(folder: Path, rounds: int, count: int) -> dict[str, list[float]]:
    """Operations per second of every part, one figure a round."""
    ledger = open_ledger(folder / "home", clock=time.time, random_bytes=os.urandom)
    bare, plain = Bare(await home(folder / "bare")), Plain(await home(folder / "plain"))
    template = payload_of(draft_of("template"))
    jws = (await ledger.settle(draft_of("template"), lambda at: {**template, "issued_at": at})).jws or ""
    figures: dict[str, list[float]] = {"raw": [], "plain": [], "append": [], "settle one": [], "settle 16": []}
    for number in range(rounds + 2):
        made = {part: [draft_of(f"{part}-{number}-{k}") for k in range(count)] for part in figures}
        many = [draft_of(f"many-{number}-{k}") for k in range(count * 8)]
        taken = {
            "raw": raw(folder, count),
            "plain": per_second(count, lambda made=made: plain.run(made["plain"], jws)),
            "append": per_second(count, lambda made=made: bare.run(made["append"], jws)),
            "settle one": await settle(ledger, made["settle one"], template, 1),
            "settle 16": await settle(ledger, many, template, _CALLERS),
        }
        for connection in (plain.connection, bare.connection):
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if number >= 2:  # the first rounds warm up
            for part, rate in taken.items():
                figures[part].append(rate)
    await ledger.aclose()
    bare.connection.close()
    plain.connection.close()
    return figures


def _ratios(figures: Mapping[str, list[float]], above: str, below: str) -> list[float]:
    return [a / b for a, b in zip(figures[above], figures[below], strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark the ledger's append path.")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--count", type=int, default=32, help="operations a round")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path, default=None, help="where to write; a real disk")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        figures = asyncio.run(measure(Path(folder), options.rounds, options.count))
    ratios = {pair: _ratios(figures, *pair.split("/")) for pair in TARGETS}
    result: dict[str, Any] = {
        "per_second": {part: round(statistics.median(rates), 1) for part, rates in figures.items()},
        "ratios": {pair: round(statistics.median(values), 2) for pair, values in ratios.items()},
        "targets": TARGETS,
        "sqlite": sqlite3.sqlite_version,
    }
    if options.json:
        print(json.dumps(result))
        return
    for part, rate in result["per_second"].items():
        print(f"{part:<22}{rate:>10,.0f} /s")
    for pair, ratio in result["ratios"].items():
        print(f"{pair:<22}{ratio:>10.2f} x   target {TARGETS[pair]:g}")


if __name__ == "__main__":
    main()
