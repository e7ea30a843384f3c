"""Where a simulation writes: a folder of its own, marked for ever, and a key that nobody keeps."""

from __future__ import annotations

from pathlib import Path

from wattproof.methodology.errors import InvalidInput, LedgerUnusable

__all__ = ["check_home"]


def check_home(home: Path, own_home: Path) -> None:
    """Refuse a folder that is not for simulations. `own_home` is where this installation records real runs.

    Raises:
        InvalidInput: it is the installation's own home, a home of real runs, or a folder that holds something else.
    """
    if _same(home, own_home):
        raise _refused(home, "is where this installation records real runs")
    if not home.exists():
        return
    if not home.is_dir():
        raise _refused(home, "is a file")
    if (home / "ledger.sqlite3").exists():
        _check_kind(home)
    elif any(home.iterdir()):
        raise _refused(home, "holds something else")


def _check_kind(home: Path) -> None:
    from wattproof.resources.ledger.driver import open_reader, sqlite_errors

    path = home / "ledger.sqlite3"
    try:
        with sqlite_errors(path):
            connection = open_reader(path)
            try:
                found = connection.execute("SELECT value FROM meta WHERE name = 'kind'").fetchone()
            finally:
                connection.close()
    except LedgerUnusable as error:
        raise _refused(home, "holds a ledger that cannot be read") from error
    if found != ("simulation",):
        raise _refused(home, "was made for real runs")


def _same(one: Path, other: Path) -> bool:
    return one.expanduser().resolve() == other.expanduser().resolve()


def _refused(home: Path, problem: str) -> InvalidInput:
    return InvalidInput(
        "--home", f"{home} {problem}", "give a folder that does not exist yet, or one that `simulate` made"
    )
