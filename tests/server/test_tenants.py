"""One server, many callers: each sees its own log, and what is another's is as if it were not there."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client
from mcp.types import ElicitRequestParams, ElicitResult

from tests.fakes.two_tenants import (
    ALICE,
    BOB,
    REQUEST,
    RUN,
    Keys,
    answer,
    app_of,
    called,
    client_of,
    completions,
    fill,
    read,
    seen_of_totals,
    took_over,
    tried_on_operations,
    tried_on_receipts,
)
from wattproof.methodology.errors import InvalidInput
from wattproof.resources.ledger.budget_book import BudgetDraft
from wattproof.resources.ledger.budget_records import BudgetKey
from wattproof.server.auth.instance import instance_secret, request_state_key, secret_at_hand, tenant_of
from wattproof.server.mcp_deps import of_tenant
from wattproof.server.settings import Settings

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from tests.fakes.installation import Installation
    from tests.fakes.provider import FakeProvider

KEY = b"k" * 32


@pytest.fixture
def keys() -> Keys:
    made = Keys()
    made.add("alice", ALICE)
    made.add("bob", BOB)
    return made


@pytest.fixture
async def app(at_fake: Installation, keys: Keys) -> AsyncGenerator[Starlette]:
    running = app_of(at_fake, keys)
    async with running.router.lifespan_context(running):
        yield running


async def test_nothing_of_one_caller_can_be_had_by_another(app: Starlette, keys: Keys, era: Any) -> None:
    async with (
        client_of(app, keys.texts["alice"], mode=era) as alice,
        client_of(app, keys.texts["bob"], mode=era) as bob,
    ):
        # Before there is anything, and then again.
        await tried_on_receipts(bob, {"run": "r_" + "a" * 26})
        receipts = await fill(alice)
        await tried_on_receipts(bob, receipts)
        await tried_on_operations(bob)
        await seen_of_totals(bob, receipts)
        own = await took_over(bob, receipts)
        assert await completions(alice) != await completions(bob)
        await tried_on_receipts(alice, {"run": own["receipt_id"]})

        # And whoever it belongs to has all of it.
        for receipt in receipts.values():
            assert (await answer(alice, "verify_receipt", {"receipt": receipt}))["outcome"] == "established"
            assert json.loads(await read(alice, f"wattproof://receipts/{receipt}"))["receipt_id"] == receipt
        assert (await answer(alice, "summarize_ledger", {}))["request_count"] == 3
        assert set(receipts.values()) <= set((await completions(alice))[0])


async def test_an_answer_is_replayed_to_whoever_asked_and_to_nobody_else(
    app: Starlette, keys: Keys, fake_provider: FakeProvider
) -> None:
    async with client_of(app, keys.texts["alice"]) as alice, client_of(app, keys.texts["bob"]) as bob:
        first = await answer(alice, "run_inference", RUN)
        again = await answer(alice, "run_inference", RUN)
        assert again["receipt_id"] == first["receipt_id"]
        assert len(fake_provider.received) == 1
        other = await answer(bob, "run_inference", RUN)
        assert other["receipt_id"] != first["receipt_id"]
        assert len(fake_provider.received) == 2


async def test_callers_of_one_request_id_do_not_wait_for_one_another(
    app: Starlette, keys: Keys, fake_provider: FakeProvider
) -> None:
    found: list[str] = []

    async def run(client: Client) -> None:
        found.append((await answer(client, "run_inference", RUN))["receipt_id"])

    async with (
        client_of(app, keys.texts["alice"]) as alice,
        client_of(app, keys.texts["bob"]) as bob,
        anyio.create_task_group() as group,
    ):
        group.start_soon(run, alice)
        group.start_soon(run, bob)
    assert len(set(found)) == 2
    assert len(fake_provider.received) == 2


async def test_a_budget_holds_for_the_log_that_it_was_set_for(
    at_fake: Installation, keys: Keys, fake_provider: FakeProvider
) -> None:
    await limit(at_fake, ALICE)
    app = app_of(at_fake, keys)
    async with (
        app.router.lifespan_context(app),
        client_of(app, keys.texts["alice"]) as alice,
        client_of(app, keys.texts["bob"]) as bob,
    ):
        refused, text, _ = await called(alice, "run_inference", RUN)
        assert refused
        assert "tokens left" in text
        await answer(bob, "run_inference", RUN)
    assert len(fake_provider.received) == 1


async def test_a_pasted_receipt_of_another_is_judged_as_a_strangers(app: Starlette, keys: Keys) -> None:
    async with client_of(app, keys.texts["alice"]) as alice, client_of(app, keys.texts["bob"]) as bob:
        receipts = await fill(alice)
        view = json.loads(await read(alice, f"wattproof://receipts/{receipts['run']}"))
        mine = await answer(alice, "verify_receipt", {"receipt": view["jws"]})
        theirs = await answer(bob, "verify_receipt", {"receipt": view["jws"]})
    assert mine["verdicts"]["inclusion"]["verdict"] == "pass"
    assert theirs["verdicts"]["inclusion"]["verdict"] == "unknown"


async def test_credentials_never_reach_a_provider(app: Starlette, keys: Keys, fake_provider: FakeProvider) -> None:
    async with client_of(app, keys.texts["alice"]) as alice:
        await answer(alice, "run_inference", RUN)
    (received,) = fake_provider.received
    secret = keys.texts["alice"]
    assert secret not in repr(received)
    assert secret[14:] not in repr(received)


async def test_a_session_id_is_no_credential(app: Starlette, keys: Keys) -> None:
    """There are no sessions to take over: whose call it is, its own credentials say each time."""
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "run_inference", "arguments": RUN},
    }
    async with (
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:8321") as http,
        client_of(app, keys.texts["bob"]) as bob,
    ):
        headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {keys.texts['alice']}"}
        reply = await http.post("/mcp", json=call, headers={**headers, "Mcp-Session-Id": "0" * 32})
        assert reply.status_code == 200
        assert "mcp-session-id" not in reply.headers
        anonymous = {"Accept": headers["Accept"], "Mcp-Session-Id": "0" * 32}
        assert (await http.post("/mcp", json=call, headers=anonymous)).status_code == 401
        assert (await answer(bob, "summarize_ledger", {}))["request_count"] == 0


async def test_what_did_not_pass_the_guard_is_not_served(at_fake: Installation) -> None:
    """An application that somebody puts together without the guard must not act on the local log."""
    from wattproof.server.app import build_server

    app = build_server(at_fake.open).streamable_http_app(stateless_http=True)
    call: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:8000") as http,
    ):
        reply = await http.post("/mcp", json=call, headers={"Accept": "application/json, text/event-stream"})
    assert "does not know who sent this request" in reply.text


async def test_what_costs_to_open_is_shared_between_callers(at_fake: Installation) -> None:
    async with at_fake.open() as deps:
        alice, bob = of_tenant(deps, ALICE), of_tenant(deps, BOB)
        assert (alice.log_id, bob.log_id) == (ALICE, BOB)
        assert of_tenant(deps, deps.log_id) is deps
        runs = [await each.runs() for each in (deps, alice, bob)]
        assert [each.log_id for each in runs] == ["local", ALICE, BOB]
        for part in ("ledger", "client", "catalogue", "answers", "health", "embedded"):
            assert len({id(getattr(each, part)) for each in runs}) == 1, part
        assert await alice.ledger() is await bob.ledger()


async def limit(installation: Installation, tenant: str) -> None:
    async with installation.open() as deps:
        key = BudgetKey(tenant, "tenant", "", "total", "tokens")
        await (await deps.ledger()).budgets.set(BudgetDraft(key, 20), by="owner")


@asynccontextmanager
async def running(app: Starlette) -> AsyncGenerator[None]:
    async with app.router.lifespan_context(app):
        yield


def rpc(app: Starlette, text: str) -> httpx2.AsyncClient:
    """Raw requests of 2026-07-28, so that a question can be answered elsewhere than where it was put."""
    headers = {
        "Accept": "application/json, text/event-stream",
        "Authorization": f"Bearer {text}",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "run_inference",
    }
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:8321", headers=headers, timeout=30
    )


async def run_raw(http: httpx2.AsyncClient, **more: Any) -> dict[str, Any]:
    meta: dict[str, Any] = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    }
    params: dict[str, Any] = {"name": "run_inference", "arguments": RUN, "_meta": meta, **more}
    reply = await http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    found: dict[str, Any] = reply.json()
    return found


def answered(question: dict[str, Any]) -> dict[str, Any]:
    """What a client sends with its next call: the user said yes."""
    result = question["result"]
    assert result["resultType"] == "input_required", question
    yes = {"action": "accept", "content": {"approve": True}}
    return {"requestState": result["requestState"], "inputResponses": dict.fromkeys(result["inputRequests"], yes)}


async def test_a_question_of_one_worker_is_answered_to_another(at_fake: Installation, keys: Keys) -> None:
    await limit(at_fake, ALICE)
    first, second = app_of(at_fake, keys, KEY), app_of(at_fake, keys, KEY)
    async with running(first), rpc(first, keys.texts["alice"]) as http:
        question = await run_raw(http)
    async with running(second), rpc(second, keys.texts["alice"]) as http:
        done = await run_raw(http, **answered(question))
    assert done["result"]["structuredContent"]["receipt_id"].startswith("r_"), done


@pytest.mark.parametrize("other", ["secret", "principal", "no secret"])
async def test_an_answer_with_another_secret_or_of_another_caller_is_refused(
    at_fake: Installation, keys: Keys, other: str, fake_provider: FakeProvider
) -> None:
    for tenant in (ALICE, BOB):
        await limit(at_fake, tenant)
    first = app_of(at_fake, keys, KEY)
    second = app_of(at_fake, keys, {"secret": b"x" * 32, "principal": KEY, "no secret": None}[other])
    who = "bob" if other == "principal" else "alice"
    async with running(first), rpc(first, keys.texts["alice"]) as http:
        question = await run_raw(http)
    async with running(second), rpc(second, keys.texts[who]) as http:
        refused = await run_raw(http, **answered(question))
    assert refused["error"]["message"] == "Invalid or expired requestState"
    assert fake_provider.received == []


async def test_without_admin_nobody_is_asked_to_exceed_a_budget(app: Starlette, at_fake: Installation) -> None:
    await limit(at_fake, ALICE)
    keys = Keys()
    keys.add("alice", ALICE, ("infer",))
    asked: list[str] = []

    async def user(context: Any, params: ElicitRequestParams) -> ElicitResult:
        assert context is not None
        asked.append(params.message)
        return ElicitResult(action="accept", content={"approve": True})

    own = app_of(at_fake, keys)
    async with running(own), client_of(own, keys.texts["alice"], elicitation_callback=user) as alice:
        refused, text, _ = await called(alice, "run_inference", RUN)
    assert refused
    assert "lack the scope admin" in text
    assert asked == []
    assert app is not own


async def test_a_key_without_audit_completes_no_receipt_and_reads_none(at_fake: Installation) -> None:
    keys = Keys()
    keys.add("alice", ALICE)
    keys.add("poor", ALICE, ("estimate",))
    app = app_of(at_fake, keys)
    async with (
        running(app),
        client_of(app, keys.texts["alice"]) as alice,
        client_of(app, keys.texts["poor"]) as poor,
    ):
        receipts = await fill(alice)
        assert await completions(poor) == [[], []]
        assert "needs the scope audit" in await read(poor, f"wattproof://receipts/{receipts['run']}")
        for refused in ("check_claim", "explain"):
            given = {"text": "3 Wh", "receipt_id": receipts["run"]} if refused == "check_claim" else None
            _, text, _ = await called(poor, refused, given or {"subject": receipts["run"]})
            assert "needs the scope audit" in text
        assert REQUEST not in await read(poor, "wattproof://providers")
        assert "gco2e" in await read(poor, "wattproof://zones/FR")


def test_a_tenant_does_not_tell_who_it_is_and_depends_on_the_secret() -> None:
    one = tenant_of(KEY, "https://login.example", "alice")
    assert one == tenant_of(KEY, "https://login.example", "alice")
    others = {
        tenant_of(KEY, "https://login.example", "bob"),
        tenant_of(KEY, "https://other.example", "alice"),
        tenant_of(b"x" * 32, "https://login.example", "alice"),
    }
    assert one not in others
    assert len(others) == 3
    assert len(one) == 28


@given(st.tuples(st.text(min_size=1), st.text(min_size=1)), st.tuples(st.text(min_size=1), st.text(min_size=1)))
def test_no_two_identities_share_a_tenant(one: tuple[str, str], other: tuple[str, str]) -> None:
    found: list[str] = []
    for issuer, subject in (one, other):
        try:
            found.append(tenant_of(KEY, issuer, subject))
        except InvalidInput:
            assert "\0" in issuer + subject
    if len(found) == 2:
        assert (found[0] == found[1]) == (one == other)


def test_the_secret_is_drawn_once_and_the_variable_wins(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    assert secret_at_hand(settings) is None
    assert not (tmp_path / "home").exists()
    drawn = instance_secret(settings)
    assert drawn == instance_secret(settings) == secret_at_hand(settings)
    given_secret = Settings(home=tmp_path / "home", environ={"WATTPROOF_INSTANCE_SECRET": "x" * 32})
    assert instance_secret(given_secret) == b"x" * 32
    assert len(request_state_key(drawn)) == 32
    assert request_state_key(drawn) != request_state_key(b"x" * 32)
    # What the file holds can be carried to another machine as the variable.
    text = (tmp_path / "home" / "keys" / "instance.secret").read_text().strip()
    elsewhere = Settings(home=tmp_path / "other", environ={"WATTPROOF_INSTANCE_SECRET": text})
    assert instance_secret(elsewhere) == drawn


async def test_processes_that_start_at_once_agree_on_the_secret(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    found: list[bytes] = []

    async def draw() -> None:
        found.append(await anyio.to_thread.run_sync(instance_secret, settings))

    async with anyio.create_task_group() as group:
        for _ in range(16):
            group.start_soon(draw)
    assert len(set(found)) == 1
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["instance.secret"]
