"""What works here and what would fix the rest. Reads only: a home that does not exist is not created."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from wattproof.methodology.errors import WattproofError
from wattproof.server.settings import Settings, load_settings, unknown_variables

if TYPE_CHECKING:
    from wattproof.resources.grid import SourceStatus

__all__ = ["Check", "as_dict", "examine"]

Level = Literal["ok", "note", "fail"]

# Between them every source covers one.
_ASKED_ABOUT = ("FR", "GB", "US-CAL-CISO")
_HELP = {
    "connect": "Look at the network and proxy settings; without a source the annual edition is used.",
    "unauthorized": "The source refused the key: set another one.",
    "plan": "The key works, but its plan does not cover this zone or endpoint.",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `fail` stops something that was asked for; `note` is worth knowing. `fix` is what would work."""

    name: str
    level: Level
    detail: str
    fix: str | None = None


async def examine(environ: Mapping[str, str]) -> list[Check]:
    """Look at this installation, its home, its ledger, the models in reach and the keys in the environment.

    Contacts the usual ports of local model servers on 127.0.0.1, and the grid sources that are in use.
    """
    found = [Check("version", "ok", _versions())]
    try:
        settings = load_settings(environ)
    except WattproofError as error:
        return [*found, Check("settings", "fail", str(error))]
    found += _settings(settings, environ)
    found.append(_home(settings))
    found.append(await _ledger(settings))
    found.append(_attempted("serve --http", lambda: _callers(settings)))
    found.append(_sqlite())
    found.append(_attempted("data", lambda: Check("data", "ok", _edition())))
    found.append(_embedded(settings))
    found.append(await _local_servers(settings))
    found += _providers(settings)
    found += await _grid(settings)
    return found


def as_dict(checks: list[Check]) -> dict[str, Any]:
    """For ``--json``."""
    return {"ok": all(check.level != "fail" for check in checks), "checks": [asdict(check) for check in checks]}


def _versions() -> str:
    from importlib.metadata import version

    from wattproof import __version__

    return (
        f"wattproof {__version__}, Python {platform.python_version()} ({sys.executable}), MCP SDK {version('mcp')}, "
        f"{platform.system()} {platform.machine()}"
    )


def _settings(settings: Settings, environ: Mapping[str, str]) -> Iterator[Check]:
    zone = settings.zone or "not set"
    offline = ", offline" if settings.offline else ""
    profiles = f", profiles {', '.join(settings.profiles)}" if settings.profiles else ""
    detail = f"zone {zone}, at most {settings.max_cost_usd:g} USD per run{offline}{profiles}"
    fix = None if settings.zone else "Set WATTPROOF_ZONE (such as FR) to place what runs on this machine."
    yield Check("settings", "ok" if settings.zone else "note", detail, fix)
    for name in unknown_variables(environ):
        yield Check("settings", "note", f"{name} is set but nothing reads it", "Check its spelling.")


def _home(settings: Settings) -> Check:
    home = settings.home
    if not home.exists():
        parent = next(folder for folder in home.parents if folder.exists())
        if parent.is_dir() and os.access(parent, os.W_OK):
            return Check("home", "ok", f"{home} (not made yet; the first run makes it)")
        obstacle = "is read-only" if parent.is_dir() else "is not a folder"
        return Check("home", "fail", f"{home} cannot be made: {parent} {obstacle}", "Set WATTPROOF_HOME.")
    if not home.is_dir():
        return Check("home", "fail", f"{home} is not a folder", "Move it away or set WATTPROOF_HOME.")
    if not os.access(home, os.W_OK):
        return Check("home", "fail", f"{home} is read-only", "Make it writable or set WATTPROOF_HOME.")
    return Check("home", "ok", str(home))


async def _ledger(settings: Settings) -> Check:
    from wattproof.server.open import ledger_exists, open_existing_ledger

    if not ledger_exists(settings):
        return Check("ledger", "ok", "none yet; the first run makes it")
    try:
        async with open_existing_ledger(settings) as ledger:
            size, root = await ledger.head(settings.log_id)
        unguarded = _unguarded(settings)
    except WattproofError as error:
        return Check("ledger", "fail", str(error), "wattproof ledger fsck says more.")
    said = f"{size} entries, root {root.hex()[:16]}…, key {ledger.issuer.kid[:12]}…"
    if unguarded:
        fix = "Use a role without SUPERUSER and BYPASSRLS; its grants: `wattproof ledger migrate --print-schema`."
        return Check("ledger", "note", f"{said}; its role passes row-level security, which keeps logs apart", fix)
    return Check("ledger", "ok", said)


def _unguarded(settings: Settings) -> bool:
    """Whether nothing but our own statements keeps the logs of a shared ledger apart."""
    if settings.ledger_dsn is None:
        return False
    from wattproof.resources.ledger.postgres import passes_row_security

    return passes_row_security(settings.ledger_dsn)


def _callers(settings: Settings) -> Check:
    """How `serve --http` would know its callers. Asks nobody, and draws no secret."""
    from wattproof.server.auth.entrance import key_store
    from wattproof.server.auth.instance import VARIABLE, secret_at_hand
    from wattproof.server.auth.settings import oauth_settings, ways_in

    ways = ways_in(settings)
    said = ["one token for everybody" + ("" if settings.http_token else ", drawn at start")] if "token" in ways else []
    if "keys" in ways:
        store = key_store(settings)
        try:
            active = sum(key.state(time.time()) == "active" for key in store.all())
        finally:
            store.close()
        said.append(f"{active} active API keys")
    if "oauth" in ways:
        oauth = oauth_settings(settings)
        said.append(f"access tokens of {oauth.issuer} for {oauth.audience}")
    detail = "; ".join(said)
    if ways != ("token",) and secret_at_hand(settings) is None:
        if settings.ledger_dsn is not None:
            return Check("serve --http", "fail", f"{detail}; {VARIABLE} is not set", f"Set {VARIABLE} on every server.")
        detail += "; its secret is drawn at the first start"
    return Check("serve --http", "ok", detail)


def _sqlite() -> Check:
    from wattproof.resources.ledger.driver import sqlite3, sqlite_note

    note = sqlite_note()
    if note is None:
        return Check("sqlite", "ok", f"SQLite {sqlite3.sqlite_version}, from {sqlite3.__name__.partition('.')[0]}")
    return Check("sqlite", "note", note, "For a fixed one: pip install 'wattproof[sqlite]'.")


def _edition() -> str:
    from wattproof.methodology.data import EDITION, edition_sha256

    return f"edition {EDITION}, sha256 {edition_sha256()[:16]}…"


def _embedded(settings: Settings) -> Check:
    from wattproof.resources.providers.embedded import embedded_status

    status = embedded_status(settings.environ)
    if status.available:
        return Check("embedded model", "ok", "smollm2-135m-instruct is ready")
    return Check("embedded model", "note", status.reason or "not available", status.fix)


async def _local_servers(settings: Settings) -> Check:
    from wattproof.resources.providers.local import probe_local
    from wattproof.resources.providers.transport import open_client

    async with open_client() as client:
        deployments = await probe_local(client, settings.environ)
    if not deployments:
        return Check("local models", "ok", "no Ollama, vLLM or llama.cpp answers on its usual port")
    return Check("local models", "ok", ", ".join(deployment.id for deployment in deployments))


def _providers(settings: Settings) -> Iterator[Check]:
    """Which providers can be run, what each of the others lacks, and what the user's own rows give cause to say."""
    from wattproof.resources.providers import catalogue_with, is_stale, load_user_rows, unusable_reason

    path = settings.home / "providers.toml"
    try:
        own = load_user_rows(path)
    except WattproofError as error:
        yield Check("providers.toml", "fail", str(error), f"Correct {path}; until then nothing can be run.")
        return
    rows = [row for row in catalogue_with(own) if not row.local and row.protocol != "embedded"]
    lacking = {row.provider: reason for row in rows if (reason := unusable_reason(row, settings.environ)) is not None}
    ready = sorted({row.provider for row in rows} - lacking.keys())
    said = f"ready: {', '.join(ready)}" if ready else "none is ready to run; every one can be dry-run"
    missing = "; ".join(f"{name}: {reason}" for name, reason in sorted(lacking.items()))
    yield Check("providers", "ok", f"{said}. Not ready: {missing}" if missing else said)
    stale = sorted({f"{row.id}: {reason}" for row in rows if (reason := is_stale(row, time.time())) is not None})
    if stale:
        more = f"; and {len(stale) - 3} more" if len(stale) > 3 else ""
        fix = "Check these, and state what holds now in providers.toml."
        yield Check("catalogue", "note", "; ".join(stale[:3]) + more, fix)
    for note in own.notes:
        yield Check("providers.toml", "note", note)


async def _grid(settings: Settings) -> list[Check]:
    """How each source of live grid readings fares, asked now about a place that it covers."""
    from wattproof.resources.grid import Place
    from wattproof.server.open import open_deps

    async with open_deps(settings) as deps:
        if deps.grid is None:
            why = "WATTPROOF_OFFLINE is set" if settings.offline else "WATTPROOF_GRID is annual"
            return [Check("grid", "ok", f"the annual edition only: {why}")]
        grid = await deps.grid()
        await grid.refresh([Place(zone) for zone in _ASKED_ABOUT])
        return [_source(status) for status in grid.status()]


def _source(status: SourceStatus) -> Check:
    if status.state == "no_key":
        return Check("grid", "note", f"{status.title}: no key", f"Set {' and '.join(status.key_env)}.")
    if status.state in ("ok", "untried"):
        return Check("grid", "ok", f"{status.title}: {'answers' if status.state == 'ok' else 'not asked'}")
    return Check("grid", "note", f"{status.title}: {status.detail or status.state}", _HELP.get(status.state))


def _attempted(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except WattproofError as error:
        return Check(name, "fail", str(error))
