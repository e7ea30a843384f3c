"""The first to come makes the home; whatever cannot be used is named, and nothing is half-written."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wattproof.methodology.errors import KeyUnusable, LedgerUnusable
from wattproof.resources.ledger import Ledger, SummaryQuery
from wattproof.resources.receipts import Issuer

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts


async def test_only_the_owner_can_read_what_is_made(ledger: Ledger, drafts: Drafts, home: Path) -> None:
    await drafts.settle(ledger)
    made = {path.name: path.stat().st_mode & 0o777 for path in (home, *home.rglob("*"))}
    for name in ("home", "keys"):
        assert made[name] == 0o700
    for name in ("ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm", "ledger.lock", "issuer.key"):
        assert made[name] == 0o600


async def test_a_home_keeps_its_key_and_its_entries(open_home: Callable[..., Ledger], drafts: Drafts) -> None:
    async with open_home() as first:
        settled = await drafts.settle(first)
    async with open_home() as second:
        assert second.issuer.kid == first.issuer.kid
        assert await second.get("local", seq=0) == settled


async def test_a_closed_home_is_one_file_without_a_log(
    open_home: Callable[..., Ledger], drafts: Drafts, home: Path
) -> None:
    async with open_home() as ledger:
        await drafts.settle(ledger)
    assert sorted(path.name for path in home.iterdir()) == ["keys", "ledger.lock", "ledger.sqlite3"]


async def test_two_ledgers_on_one_home_take_turns(open_home: Callable[..., Ledger], drafts: Drafts) -> None:
    async with open_home() as one, open_home() as other:
        for number in range(6):
            await drafts.settle(one if number % 2 else other, f"r{number}", zone=f"Z{number // 2}")
        assert await one.head("local") == await other.head("local")
        assert (await other.fsck()).findings == ()


async def test_sixteen_processes_start_on_an_empty_home_and_append(
    child: Callable[..., subprocess.Popen[str]], open_home: Callable[..., Ledger], home: Path
) -> None:
    processes = [child("child_append.py", home, f"p{number}", 4) for number in range(16)]
    for process in processes:
        _, stderr = process.communicate(timeout=100)
        assert (process.returncode, stderr) == (0, "")
    async with open_home() as ledger:
        report = await ledger.fsck()
    assert (report.entry_count, report.findings, report.notes) == (64, (), ())


async def test_an_operators_key_is_used_and_published(open_home: Callable[..., Ledger], home: Path) -> None:
    issuer = Issuer(b"\x07" * 32)
    async with open_home(issuer=issuer) as ledger:
        assert [key["kid"] for key in ledger.jwks["keys"]] == [issuer.kid]
    assert not (home / "keys" / "issuer.key").exists()


async def test_a_retired_key_stays_published(open_home: Callable[..., Ledger], drafts: Drafts) -> None:
    async with open_home() as before:
        await drafts.settle(before)
    async with open_home(issuer=Issuer(b"\x07" * 32)) as after:
        assert {before.issuer.kid, after.issuer.kid} == {key["kid"] for key in after.jwks["keys"]}
        assert (await after.fsck()).findings == ()


async def test_a_key_that_went_missing_is_not_replaced(
    open_home: Callable[..., Ledger], drafts: Drafts, home: Path
) -> None:
    async with open_home() as ledger:
        await drafts.settle(ledger)
    (home / "keys" / "issuer.key").unlink()
    with pytest.raises(KeyUnusable, match=r"issuer\.key"):
        open_home()
    assert not (home / "keys" / "issuer.key").exists()


async def test_a_key_that_others_can_read_is_refused(open_home: Callable[..., Ledger], home: Path) -> None:
    await open_home().aclose()
    (home / "keys" / "issuer.key").chmod(0o644)
    with pytest.raises(KeyUnusable, match="chmod 600"):
        open_home()


def test_a_home_that_is_a_file_is_named(open_home: Callable[..., Ledger], home: Path) -> None:
    home.write_text("notes")
    with pytest.raises(LedgerUnusable, match=r"home is a file, not a folder. Set WATTPROOF_HOME"):
        open_home()
    assert home.read_text() == "notes"


def test_a_home_below_a_file_is_named(open_home: Callable[..., Ledger], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("notes")
    with pytest.raises(LedgerUnusable, match="WATTPROOF_HOME"):
        open_home(home=tmp_path / "file" / "home")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that nobody can write to")
def test_a_home_where_nothing_can_be_made_is_named(open_home: Callable[..., Ledger]) -> None:
    with pytest.raises(LedgerUnusable, match="/proc/wattproof cannot be used"):
        open_home(home=Path("/proc/wattproof"))


_AS_NOBODY = """
import os, sys, time
from pathlib import Path
import wattproof.resources.ledger.opening, wattproof.resources.ledger.driver, nacl.signing, sqlite_utils
from wattproof.methodology.errors import LedgerUnusable
from wattproof.resources.ledger import open_ledger
if os.geteuid() == 0:
    os.setuid(65534)
try:
    open_ledger(Path(sys.argv[1]), clock=time.time, random_bytes=os.urandom)
except LedgerUnusable as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs file modes")
@pytest.mark.parametrize("exists", [False, True])
async def test_a_home_that_this_user_cannot_write_is_named(
    open_home: Callable[..., Ledger], tmp_path_factory: pytest.TempPathFactory, exists: bool
) -> None:
    # Root may write everywhere, so another user opens it; every folder above must let that user pass.
    home = Path(shutil.copytree(tmp_path_factory.mktemp("empty"), f"/tmp/wattproof-readonly-{os.getpid()}-{exists}"))
    try:
        if exists:
            await open_home(home=home).aclose()
        for path in (home, *home.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        done = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, str(home)],
            cwd=Path(__file__).parent.parent.parent,
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"{home}/ledger.lock cannot be used: Permission denied" in done.stdout
        assert "set WATTPROOF_HOME" in done.stdout
    finally:
        for path in (home, *home.rglob("*")):
            path.chmod(0o755)
        shutil.rmtree(home)


def test_a_file_that_is_no_database_is_named_and_left_alone(open_home: Callable[..., Ledger], home: Path) -> None:
    home.mkdir()
    (home / "ledger.sqlite3").write_bytes(b"not a database, but long enough to be read as one" * 40)
    with pytest.raises(LedgerUnusable, match=r"ledger\.sqlite3 cannot be used: file is not a database. Restore it"):
        open_home()
    assert (home / "ledger.sqlite3").read_bytes().startswith(b"not a database")
    assert not (home / "keys").exists()


def test_the_database_of_another_program_is_left_as_it_was(open_home: Callable[..., Ledger], home: Path) -> None:
    home.mkdir()
    path = home / "ledger.sqlite3"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE invoices (id)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(LedgerUnusable, match="another program"):
        open_home()
    assert path.read_bytes() == before


async def test_a_newer_schema_is_refused(open_home: Callable[..., Ledger], home: Path) -> None:
    await open_home().aclose()
    _execute(home, "PRAGMA user_version = 99")
    with pytest.raises(LedgerUnusable, match=r"schema 99.*Upgrade wattproof"):
        open_home()


async def test_a_real_home_takes_no_simulation(open_home: Callable[..., Ledger]) -> None:
    await open_home().aclose()
    with pytest.raises(LedgerUnusable, match="made for real runs and cannot hold simulations"):
        open_home(simulation=True)


async def test_a_simulation_home_takes_no_real_run(open_home: Callable[..., Ledger]) -> None:
    await open_home(simulation=True).aclose()
    with pytest.raises(LedgerUnusable, match="made for simulations and cannot hold real runs"):
        open_home()


async def test_a_start_that_was_cut_off_is_completed(open_home: Callable[..., Ledger], home: Path) -> None:
    home.mkdir()
    (home / "ledger.sqlite3").touch()
    async with open_home() as ledger:
        assert await ledger.logs() == ()


async def test_a_database_that_was_cut_short_is_named(
    open_home: Callable[..., Ledger], drafts: Drafts, home: Path
) -> None:
    async with open_home() as ledger:
        for number in range(20):
            await drafts.settle(ledger, f"r{number}")
    path = home / "ledger.sqlite3"
    os.truncate(path, path.stat().st_size // 3)

    async def use() -> None:
        async with open_home() as ledger:
            await ledger.get("local", seq=19)
            await drafts.settle(ledger, "next")

    with pytest.raises(LedgerUnusable, match=r"ledger\.sqlite3 cannot be used: .*malformed.*Restore it"):
        await use()


async def test_a_home_of_an_earlier_start_needs_no_migration_tool(
    open_home: Callable[..., Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    await open_home().aclose()
    monkeypatch.setitem(sys.modules, "sqlite_utils", None)
    await open_home().aclose()


async def test_a_home_with_fewer_sums_gets_them_from_its_entries(
    open_home: Callable[..., Ledger], drafts: Drafts, home: Path
) -> None:
    async with open_home() as ledger:
        for number in range(3):
            await drafts.settle(ledger, f"r{number}", kind="imported", operation_id="op", tags=("a",))
        before = await ledger.summary(SummaryQuery("local"))
    for table in ("rollup", "operation_rollup", "tag_rollup"):
        for column in ("imported_count", "water_nl_low"):
            _execute(home, f"ALTER TABLE {table} DROP COLUMN {column}")
    for statement in (
        "DROP TABLE closed_period",
        "DROP TABLE restatement",
        "DROP TABLE erasure",
        "DROP TABLE archive",
        "DROP TABLE restoration",
        "DROP INDEX entry_adjustment",
        "DROP INDEX entry_adjusts",
        "DELETE FROM _sqlite_migrations WHERE name >= '0005'",
        "PRAGMA user_version = 4",
    ):
        _execute(home, statement)
    async with open_home() as ledger:
        assert await ledger.summary(SummaryQuery("local")) == before
        assert (await ledger.summary(SummaryQuery("local", tag="a"))).total.request_count == 3
        assert (await ledger.fsck()).findings == ()


def _execute(home: Path, sql: str) -> None:
    connection = sqlite3.connect(home / "ledger.sqlite3")
    connection.execute(sql)
    connection.commit()
    connection.close()
