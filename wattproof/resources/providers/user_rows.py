"""A user's own deployments and exchange rates, from `providers.toml` in WATTPROOF_HOME.

`providers.example.toml` beside this file documents every key. A row with the id of a bundled one replaces it. The file
is read as a whole: one wrong field, and none of it is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattproof.methodology.errors import InvalidInput, UnknownModel
from wattproof.methodology.models import find_model
from wattproof.resources.providers.exchange import ExchangeRate
from wattproof.resources.providers.records import Deployment

if TYPE_CHECKING:
    from wattproof.resources.providers.toml_table import Table

__all__ = ["NO_USER_ROWS", "UserRows", "load_user_rows", "user_rows_from"]

_MOST_BYTES = 1024 * 1024
_RATE_KEYS = ("currency", "usd_per_unit", "source", "checked_at")


@dataclass(frozen=True, slots=True)
class UserRows:
    """What the file states. `notes` say in words what is allowed but has a consequence."""

    deployments: tuple[Deployment, ...] = ()
    rates: tuple[ExchangeRate, ...] = ()
    notes: tuple[str, ...] = ()


NO_USER_ROWS = UserRows()


def load_user_rows(path: Path) -> UserRows:
    """The rows of the file at `path`; none where there is no such file.

    Raises:
        InvalidInput: the file cannot be read, is no TOML, or a field is wrong; names file, table, field and what would
            work. Nothing of it is loaded.
    """
    fix = "correct the file, or move it away"
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return NO_USER_ROWS
    except OSError as error:
        raise InvalidInput(path.name, f"cannot be read ({error.strerror})", fix) from None
    if len(raw) > _MOST_BYTES:
        raise InvalidInput(path.name, "is larger than 1 MiB", fix)
    return _rows_of(raw, path.name)


# Every run asks for the exchange rates: the file is read then, and parsed when it has changed.
@lru_cache(maxsize=2)
def _rows_of(raw: bytes, file: str) -> UserRows:
    import tomllib

    try:
        content = tomllib.loads(raw.decode(), parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        said = str(error).split("\n", 1)[0][:80]
        raise InvalidInput(file, f"is no TOML in UTF-8 ({said!r})", "correct the file, or move it away") from None
    return user_rows_from(content, file)


def user_rows_from(content: Mapping[str, Any], file: str = "providers.toml") -> UserRows:
    """The rows of a parsed file called `file`.

    Raises:
        InvalidInput: a field is wrong.
    """
    # Most homes have no such file: what reads one is imported only then.
    from wattproof.resources.providers.toml_table import Table, shown
    from wattproof.resources.providers.user_deployment import PROVIDER_KEYS, deployment_of

    top = Table(content, file)
    top.only(("provider", "exchange"))
    deployments: dict[str, Deployment] = {}
    for table in top.tables("provider", "provider"):
        table.only(PROVIDER_KEYS)
        models = table.tables("model", "provider.model")
        if not models:
            raise table.wrong("model", "is missing", "add at least one [[provider.model]]")
        for model in models:
            row = deployment_of(table, model)
            if row.id in deployments:
                raise model.wrong("model", f"repeats {shown(row.id)}", "tell the two apart by variant")
            deployments[row.id] = row
    rates: dict[str, ExchangeRate] = {}
    for table in top.tables("exchange", "exchange"):
        rate = _rate(table)
        if rate.currency in rates:
            raise table.wrong("currency", f"repeats {rate.currency}", "keep one row for each currency")
        rates[rate.currency] = rate
    found = tuple(deployments.values())
    return UserRows(found, tuple(rates.values()), tuple(note for row in found if (note := _note(row))))


def _rate(table: Table) -> ExchangeRate:
    from wattproof.resources.providers.user_deployment import checked_date

    table.only(_RATE_KEYS)
    currency = table.needed("currency", "(?!USD)[A-Z]{3}", "a code of three capitals other than USD, such as EUR")
    usd_per_unit = table.decimal("usd_per_unit", "0.000000000001", "1000000")
    if usd_per_unit is None:
        raise table.wrong("usd_per_unit", "is missing", "give the USD that one unit costs")
    return ExchangeRate(currency, usd_per_unit, table.needed("source"), checked_date(table))


def _note(row: Deployment) -> str | None:
    try:
        find_model(row.model)
    except UnknownModel:
        return f"{row.id}: no edition lists the model {row.model!r}, so it has no estimate and is never chosen"
    return None
