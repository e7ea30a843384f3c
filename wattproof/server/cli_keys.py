"""``apikey`` and ``tenants``: who may call ``serve --http``, and whose log is whose."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wattproof.methodology.errors import InvalidInput
from wattproof.server.cli_output import print_json, print_text, say

if TYPE_CHECKING:
    from wattproof.server.auth.api_keys import ApiKey
    from wattproof.server.settings import Settings

__all__ = ["apikey_create", "apikey_list", "apikey_revoke", "tenants"]

_DAY_S = 86_400
_LONGEST_NAME = 80
_TENANT = re.compile(r"local|t_[a-z2-7]{26}", re.ASCII)

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def apikey_create(
    name: Annotated[str, typer.Argument(help="What it is called in lists: who or what will use it.")],
    scopes: Annotated[str, typer.Option(help="Some of estimate, infer, audit, admin.")] = "estimate,infer,audit",
    subject: Annotated[
        str | None, typer.Option(help="Keys of one subject share one log; the name unless given.")
    ] = None,
    tenant: Annotated[
        str | None, typer.Option(help="The log it acts on, in place of the subject's: a tenant, or local.")
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="Days until it expires; never unless given.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make an API key and print it, once: only a hash of it is kept."""
    from wattproof.server.auth.api_keys import KEY_ISSUER, ApiKey, draw_key, scopes_from
    from wattproof.server.auth.entrance import key_store
    from wattproof.server.auth.instance import instance_secret, tenant_of
    from wattproof.server.settings import load_settings

    settings = load_settings(os.environ)
    chosen = scopes_from(scopes)
    _require_name("name", name)
    who = name if subject is None else _require_name("--subject", subject)
    if tenant is not None and _TENANT.fullmatch(tenant) is None:
        raise InvalidInput("--tenant", f"is {tenant[:40]!r}", "give local, or an id that `wattproof tenants` lists")
    now_s = int(time.time())
    key_id, text, sha256 = draw_key()
    key = ApiKey(
        id=key_id,
        sha256=sha256,
        name=name,
        subject=who,
        tenant=tenant or tenant_of(instance_secret(settings), KEY_ISSUER, who),
        scopes=chosen,
        created_at=now_s,
        expires_at=None if days is None else now_s + days * _DAY_S,
    )
    store = key_store(settings)
    try:
        store.add(key)
    finally:
        store.close()
    if as_json:
        print_json({"key": text, **_shown(key, now_s)})
        return
    print_text(text)
    say(f"This is the only time that it is shown. It may {', '.join(chosen)}, on the log {key.tenant}.")
    if "keys" not in _ways(settings):
        say("WATTPROOF_HTTP_AUTH does not name keys: serve --http takes none.")


def apikey_list(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Every API key that was made: whose it is, what it may, when it was last used."""
    if context.invoked_subcommand is not None:
        return
    keys, now_s = _keys(), time.time()
    if as_json:
        print_json([_shown(key, now_s) for key in keys])
        return
    for key in keys:
        used = "never used" if key.last_used_at is None else f"last used {_instant(key.last_used_at)}"
        until = f" until {_instant(key.expires_at)}" if key.expires_at is not None else ""
        of = "" if key.subject == key.name else f" of {key.subject}"
        may = ",".join(key.scopes)
        print_text(f"{key.id}  {key.state(now_s):<8} {key.name}{of}: {may}{until}; log {key.tenant}; {used}")
    if not keys:
        say("No API key was made yet: wattproof apikey create NAME.")


def apikey_revoke(
    key: Annotated[str, typer.Argument(help="Its id, or its name where no other active key has it.")],
) -> None:
    """Have a running server refuse an API key from now on."""
    from wattproof.server.auth.entrance import key_store
    from wattproof.server.settings import load_settings

    now_s = time.time()
    active = [each for each in _keys() if each.revoked_at is None]
    # The whole key is often what is at hand.
    wanted = key.removeprefix("wp_").partition("_")[0] if key.startswith("wp_") else key
    found = [each for each in active if each.id == wanted] or [each for each in active if each.name == key]
    if len(found) != 1:
        problem = f"names {len(found)} keys" if found else "names no key that could be revoked"
        raise InvalidInput("key", problem, f"give one of {', '.join(e.id for e in found or active) or 'none yet'}")
    store = key_store(load_settings(os.environ))
    try:
        store.revoke(found[0].id, int(now_s))
    finally:
        store.close()
    say(f"{found[0].id} ({found[0].name}) is refused from now on.")


def tenants(
    subject: Annotated[
        str | None, typer.Option(help="Print the tenant of this subject instead: the sub of its access tokens.")
    ] = None,
    issuer: Annotated[
        str | None, typer.Option(help="Who names that subject; WATTPROOF_OAUTH_ISSUER unless given.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """The logs of this installation: how long each is, and which API keys act on it."""
    import anyio

    from wattproof.server.auth.instance import instance_secret, tenant_of
    from wattproof.server.settings import load_settings

    settings = load_settings(os.environ)
    if subject is not None:
        named = issuer or settings.environ.get("WATTPROOF_OAUTH_ISSUER")
        if not named:
            raise InvalidInput("--issuer", "is missing", "give it, or set WATTPROOF_OAUTH_ISSUER")
        found = tenant_of(instance_secret(settings), named, subject)
        print_json({"tenant": found}) if as_json else print_text(found)
        return
    if issuer is not None:
        raise InvalidInput("--subject", "is missing", "give it with --issuer")
    rows = _tenant_rows(anyio.run(_sizes, settings))
    if as_json:
        print_json(rows)
        return
    for row in rows:
        by = ", ".join(row["subjects"]) or ("this machine" if row["tenant"] == "local" else "not an API key's")
        print_text(f"{row['tenant']:<28}  {row['entries']:>8} entries  {by}")
    say("Subjects of access tokens are not kept: `wattproof tenants --subject SUB` says which log is theirs.")


async def _sizes(settings: Settings) -> dict[str, int]:
    from wattproof.server.open import ledger_exists, open_existing_ledger

    if not ledger_exists(settings):
        return {}
    async with open_existing_ledger(settings) as ledger:
        return {log_id: (await ledger.head(log_id))[0] for log_id in await ledger.logs()}


def _tenant_rows(sizes: dict[str, int]) -> list[dict[str, Any]]:
    subjects: dict[str, list[str]] = {}
    for key in _keys():
        of_log = subjects.setdefault(key.tenant, [])
        if key.subject not in of_log:
            of_log.append(key.subject)
    ids = sorted(sizes.keys() | subjects.keys(), key=lambda log_id: (log_id != "local", log_id))
    return [{"tenant": each, "entries": sizes.get(each, 0), "subjects": subjects.get(each, [])} for each in ids]


def _keys() -> tuple[ApiKey, ...]:
    from wattproof.server.auth.entrance import key_store
    from wattproof.server.settings import load_settings

    store = key_store(load_settings(os.environ))
    try:
        return store.all()
    finally:
        store.close()


def _ways(settings: Settings) -> tuple[str, ...]:
    from wattproof.server.auth.settings import ways_in

    return ways_in(settings)


def _shown(key: ApiKey, now_s: float) -> dict[str, Any]:
    """Everything but the hash."""
    times = {"created_at": key.created_at, "expires_at": key.expires_at, "last_used_at": key.last_used_at}
    return {
        "id": key.id,
        "name": key.name,
        "subject": key.subject,
        "tenant": key.tenant,
        "scopes": list(key.scopes),
        "state": key.state(now_s),
        **{name: None if at is None else _instant(at) for name, at in times.items()},
    }


def _instant(at_s: int) -> str:
    from wattproof.resources.ledger.times import rfc3339

    return rfc3339(float(at_s))


def _require_name(field: str, value: str) -> str:
    if not 0 < len(value) <= _LONGEST_NAME or not value.isprintable() or value != value.strip():
        raise InvalidInput(field, f"is {value[:40]!r}", f"give 1 to {_LONGEST_NAME} printable characters")
    return value
