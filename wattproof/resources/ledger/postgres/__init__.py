"""The ledger in PostgreSQL, for several server processes on one database; needs the extra ``postgres``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wattproof.methodology.errors import Unavailable

if TYPE_CHECKING:
    from wattproof.resources.ledger.postgres.ledger import PostgresLedger
    from wattproof.resources.ledger.postgres.opening import open_postgres_ledger, passes_row_security

__all__ = ["PostgresLedger", "open_postgres_ledger", "passes_row_security"]

_ELSEWHERE = {"PostgresLedger": "ledger", "open_postgres_ledger": "opening", "passes_row_security": "opening"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_ELSEWHERE[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] == "psycopg":
            raise Unavailable(
                "A ledger in PostgreSQL needs psycopg, which is not installed: pip install 'wattproof[postgres]'"
            ) from error
        raise
