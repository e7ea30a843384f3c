"""Callers over HTTP where the ledger is in PostgreSQL: their logs behind row-level security, their keys in a table."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.conninfo import make_conninfo

from tests.fakes.installation import Installation
from tests.fakes.two_tenants import (
    ALICE,
    BOB,
    Keys,
    answer,
    app_of,
    client_of,
    fill,
    seen_of_totals,
    took_over,
    tried_on_operations,
    tried_on_receipts,
)
from wattproof.methodology.errors import InvalidInput, LedgerUnusable
from wattproof.server.auth.api_keys import ApiKey, ApiKeys, draw_key
from wattproof.server.auth.denial import Denial
from wattproof.server.auth.entrance import key_store
from wattproof.server.auth.instance import instance_secret
from wattproof.server.auth.key_table import KeyTable
from wattproof.server.auth.principal import Principal
from wattproof.server.settings import Settings

if TYPE_CHECKING:
    from contextlib import AsyncExitStack
    from random import Random

    from tests.fakes.provider import FakeProvider
    from tests.ledger_postgres.conftest import Server
    from wattproof.resources.ledger import Ledger
    from wattproof.tools import Deps

NOW_S = 1_793_880_000


class Shared(Installation):
    """An installation whose ledger is in PostgreSQL, opened as a role that owns nothing."""

    opening: Callable[[], Ledger]

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Deps]:
        async with super().open() as deps:
            yield replace(deps, shared_ledger=True)

    async def _ledger(self, stack: AsyncExitStack, random: Random) -> Ledger:
        assert random is not None
        ledger = self.opening()
        stack.push_async_callback(ledger.aclose)
        return ledger


@pytest.fixture
def shared(open_home: Callable[..., Ledger], home: Path, fake_provider: FakeProvider, clock: Any) -> Shared:
    made = Shared(home, deployments=(fake_provider.deployment(),), now_s=clock())
    made.opening = open_home
    return made


async def test_nothing_of_one_caller_can_be_had_by_another(shared: Shared) -> None:
    keys = Keys()
    app = app_of(shared, keys)
    texts = [keys.add(name, tenant) for name, tenant in (("alice", ALICE), ("bob", BOB))]
    async with (
        app.router.lifespan_context(app),
        client_of(app, texts[0]) as alice,
        client_of(app, texts[1]) as bob,
    ):
        receipts = await fill(alice)
        await tried_on_receipts(bob, receipts)
        await tried_on_operations(bob)
        await seen_of_totals(bob, receipts)
        own = await took_over(bob, receipts)
        await tried_on_receipts(alice, {"run": own["receipt_id"]})
        for receipt in receipts.values():
            assert (await answer(alice, "verify_receipt", {"receipt": receipt}))["outcome"] == "established"
        assert (await answer(alice, "summarize_ledger", {}))["request_count"] == 3


def made() -> tuple[str, ApiKey]:
    key_id, text, sha256 = draw_key()
    key = ApiKey(
        id=key_id, sha256=sha256, name="ci", subject="ci", tenant=ALICE, scopes=("infer", "audit"), created_at=NOW_S
    )
    return text, key


@pytest.fixture
def schema(server: Server, home: Path) -> str:
    name = server.emptied(f"ledger_{home.name}")
    server.sql(f"DROP TABLE IF EXISTS {name}.api_key")
    return name


async def test_every_server_of_one_database_sees_a_key_and_its_end_at_once(server: Server, schema: str) -> None:
    owner, one, two = (KeyTable(dsn, schema) for dsn in (server.owner, server.user, server.user))
    text, key = made()
    readers = [ApiKeys(table, lambda: float(NOW_S)) for table in (one, two)]
    try:
        # Before any key was made there is no table.
        assert isinstance(await readers[0].principal(text), Denial)
        assert owner.all() == ()
        owner.add(key)
        owner.add(made()[1])
        for reader in readers:
            found = await reader.principal(text)
            assert isinstance(found, Principal)
            assert (found.tenant, found.scopes) == (ALICE, {"infer", "audit"})
        kept = {each.id: each for each in owner.all()}
        assert kept[key.id] == replace(key, last_used_at=NOW_S)
        one.revoke(key.id, NOW_S)
        for reader in readers:
            told = await reader.principal(text)
            assert isinstance(told, Denial)
            assert "revoked" in told.description
    finally:
        for table in (owner, one, two):
            table.close()


async def test_a_connection_that_broke_is_opened_again(server: Server, schema: str) -> None:
    table = KeyTable(server.owner, schema)
    text, key = made()
    table.add(key)
    server.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        "AND pid <> pg_backend_pid()"
    )
    try:
        assert isinstance(await ApiKeys(table, lambda: float(NOW_S)).principal(text), Principal)
    finally:
        table.close()


async def test_a_database_that_cannot_be_reached_makes_no_key_wrong(server: Server, schema: str) -> None:
    text, _ = made()
    nowhere = make_conninfo(server.user, port="1", host="127.0.0.1")
    table = KeyTable(nowhere, schema)
    told = await ApiKeys(table, lambda: float(NOW_S)).principal(text)
    assert isinstance(told, Denial)
    assert (told.status, told.retry_after_s) == (503, 5)
    with pytest.raises(LedgerUnusable):
        table.all()


def test_a_role_that_may_make_no_table_is_told_what_its_owner_runs(server: Server, schema: str) -> None:
    table = KeyTable(server.user, schema)
    try:
        with pytest.raises(LedgerUnusable, match="CREATE TABLE IF NOT EXISTS api_key") as caught:
            table.add(made()[1])
    finally:
        table.close()
    assert f"search_path = {schema}" in str(caught.value)


def test_servers_of_one_database_are_given_their_secret(server: Server, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, environ={"WATTPROOF_LEDGER": server.user})
    with pytest.raises(InvalidInput, match="give every server the same 32 or more random characters"):
        instance_secret(settings)
    assert list(tmp_path.iterdir()) == []
    store: Any = key_store(settings)
    assert isinstance(store, KeyTable)
