"""What works here and what would fix the rest. Reads only: a home that does not exist is not created."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from wattproof.methodology.errors import WattproofError
from wattproof.server.settings import Settings, load_settings, unknown_variables

__all__ = ["Check", "as_dict", "examine"]

Level = Literal["ok", "note", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `fail` stops something that was asked for; `note` is worth knowing. `fix` is what would work."""

    name: str
    level: Level
    detail: str
    fix: str | None = None


async def examine(environ: Mapping[str, str]) -> list[Check]:
    """Look at this installation, its home, its ledger, the models in reach and the keys in the environment.

    Contacts nothing but the usual ports of local model servers on 127.0.0.1.
    """
    found = [Check("version", "ok", _versions())]
    try:
        settings = load_settings(environ)
    except WattproofError as error:
        return [*found, Check("settings", "fail", str(error))]
    found += _settings(settings, environ)
    found.append(_home(settings))
    found.append(await _ledger(settings))
    found.append(_attempted("data", lambda: Check("data", "ok", _edition())))
    found.append(_embedded(settings))
    found.append(await _local_servers(settings))
    found.append(_keys(settings))
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
    detail = f"zone {zone}, at most {settings.max_cost_usd:g} USD per run{offline}"
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
    from wattproof.server.open import LOG_ID, ledger_exists, open_existing_ledger

    if not ledger_exists(settings):
        return Check("ledger", "ok", "none yet; the first run makes it")
    try:
        async with open_existing_ledger(settings) as ledger:
            size, root = await ledger.head(LOG_ID)
    except WattproofError as error:
        return Check("ledger", "fail", str(error), "wattproof ledger fsck says more.")
    return Check("ledger", "ok", f"{size} entries, root {root.hex()[:16]}…, key {ledger.issuer.kid[:12]}…")


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


def _keys(settings: Settings) -> Check:
    from wattproof.resources.providers.catalogue import key_for, load_catalogue

    keyed = {row.provider: row for row in load_catalogue() if row.key_env}
    ready = sorted(name for name, row in keyed.items() if key_for(row, settings.environ))
    missing = [f"{name} ({row.key_env[0]})" for name, row in sorted(keyed.items()) if name not in ready]
    detail = f"keys for {', '.join(ready)}" if ready else "no provider key is set; every provider can be dry-run"
    return Check("providers", "ok", f"{detail}. Without: {', '.join(missing)}" if missing else detail)


def _attempted(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except WattproofError as error:
        return Check(name, "fail", str(error))
