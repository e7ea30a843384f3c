"""WATTPROOF_LEDGER: the same commands on a database that several homes share."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.ledger_postgres.conftest import Server

ROOT = Path(__file__).parents[2]
STEP = {"step_id": "s1", "model": "gpt-oss-120b", "zone": "FR", "usage": {"input_tokens": 100, "output_tokens": 50}}
ISSUER, LOG = (base64.urlsafe_b64encode(bytes([n]) * 32).decode().rstrip("=") for n in (1, 2))

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def dsn(server: Server) -> Iterator[str]:
    yield server.owner
    server.sql("DROP SCHEMA IF EXISTS wattproof CASCADE")


@pytest.fixture
def wattproof(tmp_path: Path, dsn: str) -> Run:
    def run(home: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environ = {
            "PATH": os.defpath,
            "HOME": str(tmp_path),
            "PYTHONPATH": str(ROOT),
            "WATTPROOF_HOME": str(tmp_path / home),
            "WATTPROOF_OFFLINE": "1",
            "WATTPROOF_LEDGER": dsn,
            "WATTPROOF_ISSUER_KEY": ISSUER,
            "WATTPROOF_LOG_KEY": LOG,
        }
        return subprocess.run(
            [sys.executable, "-m", "wattproof", *arguments],
            env={**environ, **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_what_one_home_records_another_sums_up_verifies_and_checks(wattproof: Run, tmp_path: Path) -> None:
    recorded = wattproof("one", "operation", "record", "op", "--steps", json.dumps([STEP]))
    assert (recorded.returncode, recorded.stderr) == (0, "")
    summed = json.loads(wattproof("two", "summary", "--json").stdout)
    assert (summed["request_count"], summed["token_count"]) == (1, 150)
    ended = json.loads(wattproof("two", "operation", "end", "op", "--json").stdout)
    verified = json.loads(wattproof("one", "verify", ended["receipt_id"], "--json").stdout)
    assert verified["outcome"] == "established"
    assert wattproof("two", "ledger", "fsck").returncode == 0
    assert not list(tmp_path.rglob("ledger.sqlite3"))


def test_keys_are_never_made_for_a_shared_ledger(wattproof: Run) -> None:
    done = wattproof("one", "operation", "begin", "op", WATTPROOF_ISSUER_KEY="", WATTPROOF_LOG_KEY="")
    assert done.returncode == 1
    assert "WATTPROOF_ISSUER_KEY" in done.stderr


def test_another_kind_of_address_is_refused_without_showing_it(wattproof: Run) -> None:
    done = wattproof("one", "summary", WATTPROOF_LEDGER="mysql://me:secret@somewhere/ledger")
    assert done.returncode == 2
    assert "WATTPROOF_LEDGER" in done.stderr
    assert "secret" not in done.stderr


def test_the_doctor_warns_of_a_role_that_row_security_does_not_bind(wattproof: Run, server: Server) -> None:
    bound = wattproof("one", "doctor")
    free = wattproof("one", "doctor", WATTPROOF_LEDGER=server.superuser)

    assert "row-level security" not in bound.stdout
    assert "passes row-level security, which keeps logs apart" in " ".join(free.stdout.split())
    assert "BYPASSRLS" in free.stdout
