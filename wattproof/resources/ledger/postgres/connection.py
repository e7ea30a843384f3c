"""PostgreSQL connections that take the ledger's statements, and their errors as ours."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import orjson
import psycopg
from psycopg import sql
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.numeric import Int8Dumper

from wattproof.methodology.errors import InvalidInput, LedgerError, LedgerLocked, LedgerUnusable
from wattproof.resources.ledger.postgres.dialect import spell

__all__ = [
    "EVERY_LOG",
    "SETTING",
    "Raw",
    "Session",
    "Snapshot",
    "connect",
    "no_transaction",
    "place_of",
    "postgres_errors",
]

Raw: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"
Values: TypeAlias = "Sequence[Any] | Mapping[str, Any]"

SETTING = "wattproof.log_id"
"""The setting by which a transaction names the log whose rows it sees."""
EVERY_LOG = "*"
"""What it names to see the rows of every log."""

LOCK_TIMEOUT_S = 10
# A process that stops in the middle of a transaction must not keep the head of a log for ever.
_IDLE_TIMEOUT_S = 60
_CONNECT_TIMEOUT_S = 10
_ROWS_AT_ONCE = 64
_INSERT = re.compile(
    r"INSERT INTO (?P<table>\w+)\s*(?:\((?P<columns>[^)]*)\))?\s*VALUES \((?P<literals>.*?)(?P<places>\?(?:, \?)*)\)",
    re.DOTALL,
)
_BEGIN = sql.SQL(f"BEGIN; SELECT set_config('{SETTING}', {{}}, true)")


class _Number(Loader):
    """SUM of integers is `numeric` in PostgreSQL: an integer again, exactly."""

    def load(self, data: Buffer) -> int | float:
        text = bytes(data)
        return int(text) if text.lstrip(b"-").isdigit() else float(text)


class _Flag(Int8Dumper):
    """A flag is stored as 0 or 1, as SQLite has it."""

    def dump(self, obj: bool) -> bytes:
        return b"1" if obj else b"0"


def connect(dsn: str, schema: str) -> Raw:
    """A connection in autocommit mode that finds the tables in `schema`.

    Raises:
        LedgerUnusable: the server cannot be reached, refuses, or does not keep what it acknowledged.
    """
    with postgres_errors(dsn):
        raw: Raw = psycopg.connect(dsn, autocommit=True, connect_timeout=_CONNECT_TIMEOUT_S, prepare_threshold=2)
        try:
            raw.adapters.register_loader("numeric", _Number)
            raw.adapters.register_dumper(bool, _Flag)
            settings = {
                "search_path": schema,
                "lock_timeout": f"{LOCK_TIMEOUT_S}s",
                "idle_in_transaction_session_timeout": f"{_IDLE_TIMEOUT_S}s",
                "timezone": "UTC",
                # A plan that was made while a table was small would be kept while it grows.
                "plan_cache_mode": "force_custom_plan",
            }
            _configure(raw, settings)
            _require_durable(raw, dsn)
        except BaseException:
            raw.close()
            raise
    return raw


def _configure(raw: Raw, settings: Mapping[str, str]) -> None:
    """Set what a connection is to keep, in one round trip."""
    each = ", ".join(["set_config(%s, %s, false)"] * len(settings))
    raw.execute(f"SELECT {each}".encode(), [word for setting in settings.items() for word in setting])


def _require_durable(raw: Raw, dsn: str) -> None:
    """A receipt promises that its entry is on disk."""
    row = raw.execute("SELECT current_setting('fsync'), current_setting('synchronous_commit')").fetchone()
    fsync, commit = row or ("on", "on")
    if fsync != "on":
        raise LedgerUnusable(
            f"{place_of(dsn)} runs with fsync = {fsync}: it may lose what it acknowledged. Turn it on."
        )
    if commit == "off":
        raw.execute("SET synchronous_commit = on")


def place_of(dsn: str) -> str:
    """Which database a DSN names, without its password: ``PostgreSQL database wattproof on db.example``."""
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.Error:
        return "PostgreSQL"
    return f"PostgreSQL database {parts.get('dbname') or '(default)'} on {parts.get('host') or 'this machine'}"


@contextmanager
def postgres_errors(dsn: str) -> Generator[None]:
    """Turn what PostgreSQL reports into an error that says what would work.

    Raises:
        LedgerUnusable: the server or its tables.
        LedgerLocked: another process kept the head of a log.
        LedgerError: PostgreSQL does not understand a statement.
        InvalidInput: a value that PostgreSQL cannot store.
    """
    try:
        yield
    except psycopg.errors.LockNotAvailable as error:
        raise LedgerLocked(
            f"Another process has kept a log of {place_of(dsn)} for {LOCK_TIMEOUT_S} s. Ask again; "
            "pg_stat_activity shows who it is."
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise LedgerUnusable(
            f"{place_of(dsn)} refuses this role: {_first_line(error)}. Grant it what "
            "`wattproof ledger migrate --print-schema` lists."
        ) from error
    except psycopg.ProgrammingError as error:
        raise LedgerError(
            f"The ledger in PostgreSQL cannot do this ({_first_line(error)}); nothing was written. "
            "The one in SQLite may: please report it."
        ) from error
    except psycopg.DataError as error:
        raise InvalidInput("entry", f"cannot be stored ({_first_line(error)})", "correct that value") from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise LedgerUnusable(
            f"{place_of(dsn)} cannot be used: {_first_line(error)}. Check that the server runs and WATTPROOF_LEDGER."
        ) from error


def _first_line(error: psycopg.Error) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300].rstrip(".")


@contextmanager
def no_transaction(raw: Raw) -> Generator[None]:
    """Leave no transaction open on the way out, however that is."""
    try:
        yield
    finally:
        if not raw.closed and raw.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            raw.execute("ROLLBACK")


class Session:
    """A connection for transactions that write: `execute` and `executemany` as sqlite3 has them."""

    def __init__(self, raw: Raw) -> None:
        self.raw = raw
        self._columns: dict[str, tuple[str, ...]] = {}

    def prefer_indexes(self) -> None:
        """Have few rows looked up one by one, which tables without statistics would not suggest to PostgreSQL."""
        _configure(self.raw, {f"enable_{way}": "off" for way in ("seqscan", "bitmapscan", "hashjoin", "mergejoin")})

    def begin(self, log_id: str) -> None:
        """Begin a transaction that sees the rows of `log_id`, or of every log."""
        self.raw.execute(_BEGIN.format(sql.Literal(log_id)))

    def execute(self, statement: str, values: Values = ()) -> psycopg.Cursor[tuple[Any, ...]]:
        """Run one statement."""
        return self.raw.execute(spell(statement), values)

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for every row; an INSERT of several rows, or with literals, becomes one statement."""
        given = list(rows)
        insert = _insert_of(statement)
        if given and insert is not None and (len(given) > 1 or insert.literals):
            self._insert(insert, given)
            return
        for row in given:
            self.execute(statement, row)

    def _insert(self, insert: _Insert, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows that travel as one JSON text: PostgreSQL refuses COPY into a table with row-level security."""
        columns = insert.columns or self._columns_of(insert.table)
        names = columns[len(columns) - insert.width :]
        text = orjson.dumps([dict(zip(names, row, strict=True)) for row in rows], default=_hex)
        statement = (
            f"INSERT INTO {insert.table} ({', '.join(columns)}) SELECT {insert.literals}{', '.join(names)} "  # noqa: S608
            f"FROM json_populate_recordset(CAST(NULL AS {insert.table}), CAST(%s AS json))"
        )
        self.raw.execute(statement.encode(), (text.decode(),))

    def _columns_of(self, table: str) -> tuple[str, ...]:
        known = self._columns.get(table)
        if known is None:
            described = self.raw.execute(f"SELECT * FROM {table} WHERE false".encode()).description  # noqa: S608
            known = self._columns[table] = tuple(column.name for column in described or ())
        return known


class _Insert(NamedTuple):
    """An INSERT of literals, which come first and are escaped for psycopg, and of `width` parameters after them."""

    table: str
    columns: tuple[str, ...]
    literals: str
    width: int


@lru_cache(maxsize=64)
def _insert_of(statement: str) -> _Insert | None:
    match = _INSERT.fullmatch(statement.strip())
    if match is None:
        return None
    columns = tuple(name.strip() for name in (match["columns"] or "").split(",") if name.strip())
    return _Insert(match["table"], columns, match["literals"].replace("%", "%%"), match["places"].count("?"))


def _hex(value: bytes) -> str:
    return f"\\x{value.hex()}"


class Snapshot:
    """A connection for a transaction that reads, in which the database stands still.

    A statement runs when its rows are asked for. Whoever goes through them gets them a few at a time, so that
    a log need not fit into memory.
    """

    def __init__(self, raw: Raw) -> None:
        self.raw = raw

    def execute(self, statement: str, values: Values = ()) -> Rows:
        """The rows of a query."""
        return Rows(self.raw, spell(statement), values)


class Rows:
    """What a query gives: one row, all rows, or one after the other."""

    def __init__(self, raw: Raw, statement: bytes, values: Values) -> None:
        self._raw = raw
        self._statement = statement
        self._values = values

    def fetchone(self) -> tuple[Any, ...] | None:
        """The first row."""
        return self._raw.execute(self._statement, self._values).fetchone()

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows."""
        return self._raw.execute(self._statement, self._values).fetchall()

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        cursor = self._raw.execute(self._statement, self._values) if self._is_short() else self._portal()
        with cursor:
            yield from cursor

    def _is_short(self) -> bool:
        return b" LIMIT " in self._statement or b"GROUP BY" in self._statement

    def _portal(self) -> psycopg.Cursor[tuple[Any, ...]]:
        cursor = self._raw.cursor(name=f"rows_{id(self):x}")
        cursor.itersize = _ROWS_AT_ONCE
        return cursor.execute(self._statement, self._values)
