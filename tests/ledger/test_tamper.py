"""Whatever is changed, dropped, repeated or added in any table, fsck finds it and says where.

What is not held against anything is listed here, by name.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from wattproof.methodology.errors import WattproofError
from wattproof.methodology.quantity import Operand
from wattproof.resources.ledger import FsckReport, open_ledger
from wattproof.resources.ledger.schema import ENTRY_COLUMNS
from wattproof.resources.ledger.sums import DIMENSION_COLUMNS
from wattproof.resources.receipts import build_payload

if TYPE_CHECKING:
    from tests.ledger.conftest import Clock, Drafts

# Columns that nothing follows from and that prove nothing, by table; "*" is the whole table.
NO_EVIDENCE: dict[str, set[str]] = {
    "_sqlite_migrations": {"*"},  # which versions of the tables were made
    "meta": {"*"},  # `kind` is checked when the ledger is opened, `hours_from` says what the rollups leave out
    "log": {"created_at"},
    "head": {"updated_at"},
    "checkpoint": {"created_at"},
    # A try is no evidence; its entry is. What it has in common with its entry is compared.
    "attempt": {
        *("deployment", "operation_id", "reason", "opened_at", "closed_at", "lease_expires_at", "state", "attempt_no"),
        *("reserved_energy_nwh", "reserved_carbon_ng", "reserved_tokens", "reserved_cost_micros"),
    },
}
DECISION = '{"candidates":["ovhcloud"]}'
ROWS = 4


@pytest.fixture
async def filled(home: Path, clock: Clock, drafts: Drafts) -> Path:
    """A closed home with four entries of which every column that can be is set, and a checkpoint."""
    async with open_ledger(home, clock=clock, random_bytes=os.urandom) as ledger:
        for number in range(ROWS):
            entry = drafts.draft(
                f"r{number}",
                size=1 + number,
                zone=("FR", "GB")[number % 2],
                tags=("nightly",),
                operation_id="op",
                parent_id="op-parent",
                step_kind="model_call",
                project="site",
                retry_of="r",
                provider_request_id=f"p{number}",
                external_id=f"x{number}",
                latency_ms=900,
                finish_reason="stop",
                decision_json=DECISION,
            )
            opened = await ledger.open_attempt(drafts.attempt(f"r{number}", lease_expires_at=clock() + 60))
            await ledger.settle(entry, lambda at, entry=entry: _stated(entry, at), getattr(opened, "attempt_no", None))
        await ledger.log.checkpoint("local")
    return home


def _stated(entry: Any, issued_at: str) -> dict[str, Any]:
    """The payload that a run would sign about `entry`."""
    amounts = ("energy_nwh", "carbon_location_ng", "carbon_market_ng", "water_nl", "adpe_pgsbeq")
    outputs = {name: getattr(entry, name) for name in amounts}
    reading = {
        "zone": entry.zone,
        "basis": "average",
        "factor_scope": "lifecycle",
        "accounting": "consumption",
        "observed_at": "2025-01-01T00:00:00Z",
        "requested_at": entry.occurred_at,
        "temporal_match": entry.temporal_match,
        "evidence": "annual",
        "source": entry.grid_source,
        "licence": "ODbL-1.0",
        "age_minutes": 1000,
        "renewable_ratio_bps": 2700,
        "carbon_free_ratio_bps": 9300,
        "value_gco2e_per_kwh": 31.0,
        "low_gco2e_per_kwh": None,
        "high_gco2e_per_kwh": None,
        "sigma_ln": 0.24,
    }
    same = (
        *("log_id", "occurred_at", "kind", "status", "request_id", "attempts", "workload", "provider", "model", "zone"),
        *("resolved_model", "deployment", "location_evidence", "energy_source", "renewable_ratio_bps", "usage", "tags"),
        *("usage_source", "method_id", "edition", "tier", "boundary", "cost_micros", "currency", "latency_ms"),
        *("operation_id", "parent_id", "step_kind"),
    )
    return build_payload(
        **{name: getattr(entry, name) for name in same},
        issued_at=issued_at,
        region_scope=entry.zone,
        ghg_scope="scope3.cat1",
        method_sha256="a" * 64,
        edition_sha256="b" * 64,
        outputs={
            name: a and {"median": a.median, "low": a.low, "high": a.high, "interval": "credible90"}
            for name, a in outputs.items()
        },
        operands=[Operand("pue", 12, -1, "1", "test")],
        accounting=reading,
        nonce=b"\x05" * 16,
        reasons=entry.reasons,
        decision_sha256=sha256(DECISION.encode()).hexdigest(),
    )


async def _examined(home: Path, clock: Clock, *, signatures: bool) -> FsckReport:
    async with open_ledger(home, clock=clock, random_bytes=os.urandom) as ledger:
        return await ledger.fsck(signatures=signatures)


def _tables(home: Path) -> dict[str, list[tuple[str, str]]]:
    """Every table with its columns and their types."""
    with closing(sqlite3.connect(home / "ledger.sqlite3")) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: [(row[1], row[2]) for row in connection.execute(f"PRAGMA table_info({name})")] for name in names}


# Where any other value would do, but not one that cannot be read.
_SPECIAL = {
    "tags": """'["weekly"]'""",
    "reasons": """'{"water_nl":"another"}'""",
    "occurred_at": "'2026-11-21T06:15:00Z'",
    "recorded_at": "'2026-11-21T06:00:00Z'",
    "period": "'2026-10'",
    "entry_hash": "zeroblob(32)",
    "request_digest": "zeroblob(32)",
    "synthetic": "1 - synthetic",
    "row_check": "zeroblob(16)",
}


def _other(column: str, declared: str) -> str:
    if column in _SPECIAL:
        return _SPECIAL[column]
    return {
        "INTEGER": f"COALESCE({column}, 0) + 1",
        "REAL": f"COALESCE({column}, 0) * 2 + 1.5",
        "TEXT": f"COALESCE({column}, '') || 'x'",
        "BLOB": f"CAST('x' AS BLOB) || substr({column}, 2)",
    }[declared]


@pytest.mark.parametrize("signatures", [True, False], ids=["with signatures", "without"])
@pytest.mark.parametrize("column", list(ENTRY_COLUMNS))
async def test_every_changed_column_of_an_entry_is_found_and_located(
    filled: Path, clock: Clock, tamper: Callable[..., None], column: str, signatures: bool
) -> None:
    declared = ENTRY_COLUMNS[column].split()[0]
    value = "99" if column == "seq" else _other(column, declared)
    tamper("PRAGMA ignore_check_constraints = ON", f"UPDATE entry SET {column} = {value} WHERE seq = 1")
    report = await _examined(filled, clock, signatures=signatures)
    found = [f"{finding.where}: {finding.message}" for finding in report.findings]
    assert any(line.startswith(("entry 1:", "entry 1 ")) for line in found), found
    if column not in {"seq", "log_id", "signature_id", "dim"} and signatures and column in _NAMED:
        assert any(line.startswith("entry 1:") and column in line for line in found), found


# What a receipt states is not only found: it is named.
_NAMED = {
    *("kind", "status", "request_id", "occurred_at", "workload", "provider", "model", "deployment", "zone", "tier"),
    *("location_evidence", "energy_source", "renewable_ratio_bps", "method_id", "edition", "boundary", "operation_id"),
    *("parent_id", "step_kind", "attempts", "resolved_model", "latency_ms", "method_sha256", "edition_sha256", "tags"),
    *("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens", "usage_source", "energy_nwh"),
    *("carbon_location_ng", "receipt_id", "entry_hash"),
}


def _changes(tables: dict[str, list[tuple[str, str]]]) -> Iterator[tuple[str, str, str]]:
    for table, columns in tables.items():
        unheld = NO_EVIDENCE.get(table, set())
        for column, declared in columns:
            if "*" not in unheld and column not in unheld and table != "entry":
                yield table, column, declared


async def test_every_changed_column_of_every_other_table_is_found(filled: Path, clock: Clock, tmp_path: Path) -> None:
    tables = _tables(filled)
    missed: list[str] = []
    tried = 0
    for table, column, declared in _changes(tables):
        with closing(sqlite3.connect(_copy(filled, tmp_path) / "ledger.sqlite3")) as connection:
            _unguard(connection)
            connection.execute("PRAGMA ignore_check_constraints = ON")
            # The first row that has a value, so that it is another one afterwards.
            where = f"WHERE {column} = (SELECT {column} FROM {table} WHERE {column} IS NOT NULL LIMIT 1)"
            try:
                changed = connection.execute(f"UPDATE {table} SET {column} = {_other(column, declared)} {where}")
            except sqlite3.IntegrityError:
                continue
            connection.commit()
        if changed.rowcount:
            tried += 1
            report = await _examined(tmp_path / "copy", clock, signatures=True)
            if report.sound:
                missed.append(f"{table}.{column}")
    assert missed == []
    assert tried > 120


async def test_every_row_that_is_dropped_is_found(filled: Path, clock: Clock, tmp_path: Path) -> None:
    missed: list[str] = []
    for table in _tables(filled):
        if "*" in NO_EVIDENCE.get(table, set()):
            continue
        with closing(sqlite3.connect(_copy(filled, tmp_path) / "ledger.sqlite3")) as connection:
            _unguard(connection)
            (rows,) = connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()
            keys = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[5]]
            key = ", ".join(keys)
            connection.execute(f"DELETE FROM {table} WHERE ({key}) = (SELECT {key} FROM {table} LIMIT 1)")
            connection.commit()
        if rows and (await _examined(tmp_path / "copy", clock, signatures=True)).sound:
            missed.append(table)
    # A try that is gone leaves the entry that it became; a checkpoint is kept by whoever was given it.
    assert missed == ["attempt", "checkpoint"]


_AGAIN = ", ".join(
    "9" if name == "seq" else "NULL" if name in {"request_id", "external_id"} else name for name in ENTRY_COLUMNS
)
_DIMENSION = ", ".join("9" if n == "id" else "'other'" if n == "model" else n for n in ("id", *DIMENSION_COLUMNS))


_ATTEMPT = (
    "INSERT INTO attempt (log_id, request_id, attempt_no, request_digest, deployment, state, opened_at, "
    "lease_expires_at) VALUES ('local', 'invented', 1, x'00', 'x', 'settled', '2026-11-22T06:00:00Z', 0)"
)


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        (f"INSERT INTO entry SELECT {_AGAIN} FROM entry WHERE seq = 1", "entry 9"),
        ("INSERT INTO receipt SELECT log_id, 9, jws FROM receipt WHERE seq = 1", "receipt"),
        ("INSERT INTO decision SELECT log_id, 9, json FROM decision WHERE seq = 1", "decision"),
        ("INSERT INTO entry_tag VALUES ('local', 'weekly', 1)", "entry 1"),
        ("INSERT INTO log VALUES ('other', '2026-11-22T06:00:00Z')", "log"),
        ("INSERT INTO factor_signature (json) VALUES ('{}')", "factor_signature 3"),
        (f"INSERT INTO dimension SELECT {_DIMENSION} FROM dimension LIMIT 1", "dimension 9"),
        (
            _ATTEMPT,
            "attempt 1 of invented",
        ),
        ("INSERT INTO tile VALUES ('local', 0, 0, zeroblob(32), zeroblob(8192))", "tile 0/0"),
        ("INSERT INTO checkpoint SELECT log_id, 2, root, note, created_at FROM checkpoint", "checkpoint of 2"),
        ("INSERT INTO erasure VALUES ('local', 1, '2026-11-22T06:00:00Z', 'x', 'x')", "entry 1"),
        (
            "INSERT INTO archive VALUES ('local', 0, 2, 'x', zeroblob(32), '2026-11-22T06:00:00Z', 'x')",
            "archive of 0-1",
        ),
    ],
    ids=lambda value: value.split()[2] if value.startswith("INSERT") else value,
)
async def test_every_row_that_is_added_is_found(
    filled: Path, clock: Clock, tamper: Callable[..., None], statement: str, where: str
) -> None:
    tamper(statement)
    report = await _examined(filled, clock, signatures=True)
    assert any(finding.where.startswith(where) for finding in report.findings), report.findings


async def test_two_entries_that_changed_places_are_found(
    filled: Path, clock: Clock, tamper: Callable[..., None]
) -> None:
    for table in ("entry", "receipt", "decision", "entry_tag"):
        tamper(
            f"UPDATE {table} SET seq = 99 WHERE seq = 1",
            f"UPDATE {table} SET seq = 1 WHERE seq = 2",
            f"UPDATE {table} SET seq = 2 WHERE seq = 99",
        )
    for signatures in (True, False):
        found = {finding.where for finding in (await _examined(filled, clock, signatures=signatures)).findings}
        assert {"entry 1", "entry 2", "head"} <= found


async def test_a_changed_decision_is_found(filled: Path, clock: Clock, tamper: Callable[..., None]) -> None:
    tamper("UPDATE decision SET json = replace(json, 'ovhcloud', 'another') WHERE seq = 1")
    (finding,) = (await _examined(filled, clock, signatures=True)).findings
    assert finding.where == "entry 1"
    assert finding.message.startswith("its decision has the SHA-256 ")


async def test_any_flipped_bit_of_the_file_is_found_or_changes_nothing(
    filled: Path, clock: Clock, tmp_path: Path
) -> None:
    dice, original = random.Random(5), _content(filled)
    size = (filled / "ledger.sqlite3").stat().st_size
    found = 0
    for _ in range(120):
        path = _copy(filled, tmp_path) / "ledger.sqlite3"
        content = bytearray(path.read_bytes())
        place = dice.randrange(size)
        content[place] ^= 1 << dice.randrange(8)
        path.write_bytes(content)
        try:
            report = await _examined(tmp_path / "copy", clock, signatures=True)
        except WattproofError:
            found += 1
            continue
        if report.sound:
            assert _content(tmp_path / "copy") == original, f"byte {place} was changed, and not found"
        else:
            found += 1
    assert found > 10


def _content(home: Path) -> dict[str, list[Any]]:
    """Every row that something rests on."""
    with closing(sqlite3.connect(home / "ledger.sqlite3")) as connection:
        content: dict[str, list[Any]] = {}
        for table, columns in _tables(home).items():
            unheld = NO_EVIDENCE.get(table, set())
            held = ", ".join(name for name, _ in columns if name not in unheld)
            if "*" not in unheld:
                content[table] = sorted(connection.execute(f"SELECT {held} FROM {table}").fetchall(), key=repr)
        return content


def _copy(home: Path, tmp_path: Path) -> Path:
    shutil.rmtree(tmp_path / "copy", ignore_errors=True)
    return Path(shutil.copytree(home, tmp_path / "copy"))


def _unguard(connection: sqlite3.Connection) -> None:
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
