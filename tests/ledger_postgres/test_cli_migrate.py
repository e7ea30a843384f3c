"""`wattproof ledger migrate` as an operator runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.ledger_postgres.conftest import Server

ROOT = Path(__file__).parents[2]
STEP = {"step_id": "s1", "model": "gpt-oss-120b", "usage": {"input_tokens": 100, "output_tokens": 50}}

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def wattproof(home: Path, tmp_path: Path) -> Run:
    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": os.defpath, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "WATTPROOF_HOME": str(home)}
        return subprocess.run(
            [sys.executable, "-m", "wattproof", *arguments],
            env={**environ, "WATTPROOF_OFFLINE": "1", **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def empty(server: Server) -> Iterator[str]:
    """The DSN of a database in which nobody made tables."""
    yield server.owner
    server.sql("DROP SCHEMA IF EXISTS wattproof CASCADE")


def test_a_ledger_is_compared_then_copied_and_copied_again(wattproof: Run, empty: str) -> None:
    assert wattproof("operation", "record", "op", "--steps", json.dumps([STEP])).returncode == 0
    planned = wattproof("ledger", "migrate", "--to", empty, "--dry-run")
    assert planned.stdout.startswith("local: 1 entries, root ")
    assert planned.stdout.endswith("; 0 were there, 1 to copy\n")
    moved = wattproof("ledger", "migrate", "--json", WATTPROOF_LEDGER=empty)
    (log,) = json.loads(moved.stdout)["logs"]
    assert (log["size"], log["entries_before"], log["entries_now"]) == (1, 0, 1)
    assert "The roots of both sides are the same." in moved.stderr
    again = wattproof("ledger", "migrate", "--to", empty)
    assert again.stdout == f"local: 1 entries, root {log['root']}; 1 were there, 0 copied\n"


def test_what_cannot_be_migrated_is_named(wattproof: Run, empty: str) -> None:
    nowhere = wattproof("ledger", "migrate")
    assert nowhere.returncode == 2
    assert "--to names no PostgreSQL database" in nowhere.stderr
    nothing = wattproof("ledger", "migrate", "--to", empty)
    assert "There is no ledger in" in nothing.stderr
    assert wattproof("operation", "record", "op", "--steps", json.dumps([STEP])).returncode == 0
    gone = wattproof("ledger", "migrate", "--to", "postgresql://me:secret@127.0.0.1:1/ledger")
    assert "PostgreSQL database ledger on 127.0.0.1 cannot be used" in gone.stderr
    assert "secret" not in gone.stderr


def test_the_printed_schema_is_what_a_ledger_needs(wattproof: Run, server: Server, empty: str) -> None:
    printed = wattproof("ledger", "migrate", "--print-schema", "--grant-to", server.user_role).stdout
    with psycopg.connect(empty) as connection:
        connection.execute(printed.encode())
    assert wattproof("operation", "record", "op", "--steps", json.dumps([STEP])).returncode == 0
    moved = wattproof("ledger", "migrate", "--to", server.user)
    assert (moved.returncode, moved.stdout.endswith("; 0 were there, 1 copied\n")) == (0, True)


def test_the_statements_for_citus_spread_every_table_by_log(wattproof: Run) -> None:
    printed = wattproof("ledger", "migrate", "--print-schema", "--citus").stdout.splitlines()
    spread = [line for line in printed if "create_distributed_table" in line]
    assert spread[0] == "SELECT create_distributed_table('wattproof.meta', 'log_id');"
    assert "SELECT create_distributed_table('wattproof.entry', 'log_id', colocate_with => 'wattproof.meta');" in spread
    tables = sum(line.startswith("CREATE TABLE ") for line in printed)
    assert len(spread) + sum("create_reference_table" in line for line in printed) == tables
    refused = wattproof("ledger", "migrate", "--print-schema", "--grant-to", 'x"; DROP TABLE entry; --')
    assert (refused.returncode, refused.stdout) == (2, "")
