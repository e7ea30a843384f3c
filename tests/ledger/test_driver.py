"""Which SQLite is used, what is known against it, and how its connections are set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wattproof.resources.ledger import Ledger
from wattproof.resources.ledger.driver import open_reader, open_writer, sqlite3, sqlite_note

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("version", [(3, 7, 0), (3, 40, 1), (3, 51, 2)])
def test_a_sqlite_with_the_race_is_named(version: tuple[int, int, int]) -> None:
    note = sqlite_note(version)
    assert note is not None
    assert note.startswith(f"SQLite {'.'.join(map(str, version))} can damage a database")
    assert "file lock keeps wattproof's own processes from doing that" in note


@pytest.mark.parametrize("version", [(3, 6, 23), (3, 51, 3), (3, 53, 4), (4, 0, 0)])
def test_a_sqlite_without_the_race_is_not(version: tuple[int, int, int]) -> None:
    assert sqlite_note(version) is None


@pytest.mark.parametrize(("bundled", "used"), [("(3, 53, 4)", "pysqlite3.dbapi2"), ("(3, 51, 2)", "sqlite3")])
def test_pysqlite3_is_used_where_it_is_newer_than_the_race(tmp_path: Path, bundled: str, used: str) -> None:
    (tmp_path / "pysqlite3").mkdir()
    (tmp_path / "pysqlite3" / "__init__.py").touch()
    (tmp_path / "pysqlite3" / "dbapi2.py").write_text(f"from sqlite3 import *\nsqlite_version_info = {bundled}\n")
    done = subprocess.run(
        [sys.executable, "-c", "from wattproof.resources.ledger.driver import sqlite3; print(sqlite3.__name__)"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == used


async def test_what_is_acknowledged_is_on_the_platter_on_every_system(ledger: Ledger) -> None:
    connection = open_writer(ledger.path)
    names = ("synchronous", "fullfsync", "checkpoint_fullfsync", "wal_autocheckpoint", "foreign_keys", "trusted_schema")
    found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]
    assert found == [2, 1, 1, 0, 1, 0]
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


async def test_a_reader_cannot_write(ledger: Ledger) -> None:
    connection = open_reader(ledger.path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM receipt")
    connection.close()
