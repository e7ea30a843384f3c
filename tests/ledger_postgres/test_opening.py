"""Opening a ledger in PostgreSQL: keys are given, tables are made once, and what does not fit is named."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from wattproof.methodology.errors import InvalidInput, KeyUnusable, LedgerUnusable
from wattproof.resources.ledger import Ledger, SummaryQuery
from wattproof.resources.ledger.postgres import PostgresLedger, open_postgres_ledger
from wattproof.resources.ledger.postgres.opening import prepare
from wattproof.resources.ledger.postgres.tables import tables
from wattproof.resources.ledger.schema import VERSION
from wattproof.resources.receipts import Issuer, keys_from_jwks, parse
from wattproof.resources.receipts.jws import verify

if TYPE_CHECKING:
    from tests.ledger_postgres.conftest import Server

ISSUER, LOG_KEY = Issuer(b"\x05" * 32), Issuer(b"\x06" * 32)
NOW = "2026-11-22T06:00:00Z"


@pytest.mark.parametrize(
    ("keys", "missing"),
    [
        ({"issuer": None, "log_keys": ()}, "needs WATTPROOF_ISSUER_KEY and WATTPROOF_LOG_KEY in"),
        ({"issuer": None, "log_keys": (LOG_KEY,)}, "needs WATTPROOF_ISSUER_KEY in"),
        ({"issuer": ISSUER, "log_keys": ()}, "needs WATTPROOF_LOG_KEY in"),
    ],
)
def test_no_process_makes_a_key_of_its_own(
    server: Server, tmp_path: Path, clock: Any, keys: dict[str, Any], missing: str
) -> None:
    with pytest.raises(KeyUnusable, match=missing):
        open_postgres_ledger(server.owner, tmp_path / "home", clock=clock, random_bytes=os.urandom, **keys)
    assert not (tmp_path / "home").exists()


async def test_every_machine_knows_the_keys_of_all(
    open_home: Callable[..., PostgresLedger], drafts: Any, home: Path, tmp_path: Path
) -> None:
    async with open_home() as one:
        before = await drafts.settle(one, "r1")
    newer = Issuer(b"\x07" * 32)
    other = tmp_path / "elsewhere" / home.name
    async with open_home(home=other, keep=True, issuer=newer) as two:
        after = await drafts.settle(two, "r2")
        assert [*keys_from_jwks(two.jwks)] == [ISSUER.kid, newer.kid]
        assert (await two.fsck()).findings == ()
    async with open_home(issuer=newer) as again:
        for settled in (before, after):
            verify(parse(settled.jws or ""), keys_from_jwks(again.jwks))
    assert sorted(path.name for path in (other / "keys").iterdir()) == ["jwks.json", "log.jwks.json", "log.vkey"]


async def test_a_key_is_rotated_with_the_one_that_the_operator_gives(
    open_home: Callable[..., PostgresLedger], drafts: Any, home: Path, tmp_path: Path
) -> None:
    newer, newer_log = Issuer(b"\x07" * 32), Issuer(b"\x08" * 32)
    async with open_home() as ledger:
        await drafts.settle(ledger, "r1", log_id="alice")
        await drafts.settle(ledger, "r1", log_id="bob")
        with pytest.raises(InvalidInput, match="WATTPROOF_ISSUER_KEY_NEXT"):
            await ledger.log.rotate_issuer()
        change = await ledger.log.rotate_issuer(newer)
        assert [(entry.log_id, entry.draft.kind) for entry in change.entries] == [("alice", "key"), ("bob", "key")]
        await ledger.log.rotate_log_key(newer_log)
        assert [key.kid for key in ledger.keyring.signers("log")] == [newer_log.kid, LOG_KEY.kid]
        assert parse((await drafts.settle(ledger, "r2", log_id="alice")).jws or "").kid == newer.kid
        assert (await ledger.summary(SummaryQuery("alice"))).total.request_count == 2
    given = {"issuer": newer, "log_keys": (newer_log, LOG_KEY)}
    async with open_home(home=tmp_path / "elsewhere" / home.name, keep=True, **given) as other:
        assert (await other.fsck()).findings == ()
        published = {jwk["kid"]: jwk for jwk in other.jwks["keys"]}
        assert "exp" in published[ISSUER.kid]
        assert len((await other.log.checkpoint("bob")).split("\n\n")[1].splitlines()) == 2


@pytest.fixture
def fresh(server: Server) -> Iterator[str]:
    """A schema in which nobody made tables."""
    yield "fresh"
    server.sql("DROP SCHEMA IF EXISTS fresh CASCADE")


def test_eight_processes_make_the_tables_once(server: Server, fresh: str) -> None:
    failed: list[BaseException] = []

    def open_it() -> None:
        try:
            prepare(server.owner, fresh, now=NOW, simulation=False)
        except LedgerUnusable as error:
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with psycopg.connect(server.superuser) as connection:
        row = connection.execute("SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'fresh'").fetchone()
    assert row == (len(tables()) + 2,)


def test_a_role_that_may_not_make_the_tables_is_told_what_it_lacks(server: Server, fresh: str) -> None:
    with pytest.raises(LedgerUnusable, match=r"refuses this role: permission denied .*--print-schema"):
        prepare(server.user, fresh, now=NOW, simulation=False)


@pytest.mark.parametrize("simulation", [False, True])
def test_a_database_of_one_kind_takes_none_of_the_other(server: Server, fresh: str, simulation: bool) -> None:
    prepare(server.owner, fresh, now=NOW, simulation=simulation)
    with pytest.raises(LedgerUnusable, match=f"made for {'simulations' if simulation else 'real runs'} and cannot"):
        prepare(server.owner, fresh, now=NOW, simulation=not simulation)


def test_tables_of_a_newer_version_are_refused(server: Server, fresh: str) -> None:
    prepare(server.owner, fresh, now=NOW, simulation=False)
    server.sql("UPDATE fresh.installation SET value = '99' WHERE name = 'version'")
    with pytest.raises(LedgerUnusable, match=f"has schema 99; this version of wattproof reads up to {VERSION}"):
        prepare(server.owner, fresh, now=NOW, simulation=False)


async def test_tables_of_an_older_version_are_brought_up_to_date_with_their_totals(
    server: Server, fresh: str, tmp_path: Path, clock: Any, drafts: Any
) -> None:
    prepare(server.owner, fresh, now=NOW, simulation=False)

    def opened() -> PostgresLedger:
        given: dict[str, Any] = {"issuer": ISSUER, "log_keys": (LOG_KEY,), "schema": fresh}
        return open_postgres_ledger(server.owner, tmp_path / "home", clock=clock, random_bytes=os.urandom, **given)

    async with opened() as ledger:
        for number in range(3):
            await drafts.settle(ledger, f"r{number}", tags=("t",), operation_id="op")
        before = await ledger.summary(SummaryQuery("local"))
    # As before the step that added the tables of closed months and made the rollups again.
    server.sql(
        "DROP TABLE fresh.closed_period, fresh.restatement, fresh.erasure, fresh.archive, fresh.restoration",
        "DROP INDEX fresh.entry_adjustment, fresh.entry_adjusts",
        "SET session_replication_role = replica; DELETE FROM fresh.rollup",
        "UPDATE fresh.installation SET value = '4' WHERE name = 'version'",
    )
    async with opened() as ledger:
        assert await ledger.summary(SummaryQuery("local")) == before
        assert (await ledger.fsck()).findings == ()


@pytest.mark.skipif("WATTPROOF_TEST_POSTGRES" in os.environ, reason="the server is shared with other test processes")
def test_a_server_that_may_lose_what_it_acknowledged_is_refused(server: Server, fresh: str) -> None:
    def open_until_the_server_has_read_its_settings() -> None:
        for _ in range(1000):
            prepare(server.owner, fresh, now=NOW, simulation=False)

    server.sql("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
    try:
        with pytest.raises(LedgerUnusable, match="runs with fsync = off: it may lose what it acknowledged"):
            open_until_the_server_has_read_its_settings()
    finally:
        server.sql("ALTER SYSTEM RESET fsync", "SELECT pg_reload_conf()")
        with psycopg.connect(server.superuser) as connection:
            while connection.execute("SELECT pg_reload_conf(), current_setting('fsync')").fetchone() != (True, "on"):
                connection.commit()


def _synchronous_commit(connection: Any) -> Any:
    return connection.execute("SELECT current_setting('synchronous_commit')").fetchone()


async def test_a_role_with_lax_commits_commits_durably_all_the_same(
    server: Server, open_home: Callable[..., Ledger], drafts: Any
) -> None:
    server.sql(f"ALTER ROLE {server.user_role} SET synchronous_commit = off")
    try:
        async with open_home() as ledger:
            await drafts.settle(ledger, "r1")
            shown = await ledger._read_every(_synchronous_commit)  # pyright: ignore[reportPrivateUsage]
    finally:
        server.sql(f"ALTER ROLE {server.user_role} RESET synchronous_commit")
    assert shown == ("on",)


def test_without_psycopg_the_command_that_installs_it_is_named() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from wattproof.methodology.errors import Unavailable\n"
        "from wattproof.resources.ledger import postgres\n"
        "try: postgres.open_postgres_ledger\n"
        "except Unavailable as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "A ledger in PostgreSQL needs psycopg, which is not installed: pip install 'wattproof[postgres]'\n"
    )


async def test_a_closed_ledger_leaves_no_connection(
    server: Server, open_home: Callable[..., Ledger], drafts: Any
) -> None:
    async with open_home() as ledger:
        await drafts.settle(ledger, "r1")
        await ledger.head("local")
    with psycopg.connect(server.superuser) as connection:
        left = "SELECT COUNT(*) FROM pg_stat_activity WHERE usename = %s AND state <> 'idle'"
        assert connection.execute(left, (server.user_role,)).fetchone() == (0,)
