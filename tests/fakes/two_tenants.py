"""Two callers of one server, and everything that one of them could try on what is the other's."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import PromptReference, ResourceTemplateReference, TextContent

from wattproof.server.app import build_server
from wattproof.server.auth.api_keys import ApiKey, ApiKeys, draw_key
from wattproof.server.auth.entrance import Entrance
from wattproof.server.http import build_http_app
from wattproof.server.tool_table import PROFILE_TOOLS

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from tests.fakes.installation import Installation

ALICE, BOB = "t_" + "a" * 26, "t_" + "b" * 26
REQUEST = "request-of-alice"
OPERATION = "operation-of-alice"
TAG = "tag-of-alice"
UNKNOWN = "r_" + "7" * 26
RUN: dict[str, Any] = {
    "model": "gpt-oss-120b",
    "messages": [{"role": "user", "content": "hello"}],
    "max_output_tokens": 50,
    "request_id": REQUEST,
}
STEP: dict[str, Any] = {"step_id": "s1", "model": "gpt-5.1", "usage": {"input_tokens": 3000, "output_tokens": 800}}


class Keys:
    """Keys in memory."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._keys: dict[str, ApiKey] = {}

    def add(self, name: str, tenant: str, scopes: tuple[str, ...] = ("estimate", "infer", "audit", "admin")) -> str:
        """A key of `name`, who acts on `tenant`."""
        key_id, text, sha256 = draw_key()
        self._keys[key_id] = ApiKey(
            id=key_id,
            sha256=sha256,
            name=name,
            subject=name,
            tenant=tenant,
            scopes=scopes,
            created_at=0,
            last_used_at=0,
        )
        self.texts[name] = text
        return text

    async def find(self, key_id: str) -> ApiKey | None:
        """As KeyLookup asks."""
        return self._keys.get(key_id)

    async def used(self, key_id: str, now_s: int) -> None:
        """As KeyLookup asks."""
        raise AssertionError(f"{key_id} was used at {now_s}, within the minute")


def app_of(installation: Installation, keys: Keys, state_key: bytes | None = None) -> Starlette:
    """A server of these keys."""
    return build_http_app(
        build_server(installation.open, PROFILE_TOOLS, "on", state_key=state_key),
        entrance=Entrance(keys=ApiKeys(keys, lambda: 0.0), state_key=state_key),
        host="127.0.0.1",
        port=8321,
        allow_keyed_runs=True,
    )


@asynccontextmanager
async def client_of(app: Starlette, text: str, **options: Any) -> AsyncGenerator[Client]:
    """A client of an application that runs, with this key."""
    headers = {"Authorization": f"Bearer {text}"}
    async with (
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), headers=headers) as http,
        Client(streamable_http_client("http://127.0.0.1:8321/mcp", http_client=http), **options) as client,
    ):
        yield client


async def called(client: Client, tool: str, arguments: dict[str, Any]) -> tuple[bool, str, dict[str, Any]]:
    """Whether it failed, its text, and its data."""
    result = await client.call_tool(tool, arguments)
    text = "".join(block.text for block in result.content if isinstance(block, TextContent))
    return result.is_error is True, text, result.structured_content or {}


async def answer(client: Client, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The data of a call that must succeed."""
    failed, text, data = await called(client, tool, arguments)
    assert not failed, text
    return data


async def read(client: Client, uri: str) -> str:
    """What reading a resource gives: its text, or the error's."""
    try:
        found = await client.read_resource(uri)
    except MCPError as error:
        return f"{error.code} {error.message} {error.data}"
    return "".join(getattr(content, "text", "") for content in found.contents)


async def completions(client: Client) -> list[list[str]]:
    """What is offered where the id of a receipt is typed."""
    places = (
        (ResourceTemplateReference(uri="wattproof://receipts/{id}"), "id"),
        (PromptReference(name="audit_a_receipt"), "receipt"),
    )
    return [
        (await client.complete(place, {"name": argument, "value": "r_"})).completion.values
        for place, argument in places
    ]


async def fill(alice: Client) -> dict[str, str]:
    """A run, an operation that goes on and one that ended: the ids of the receipts."""
    run = await answer(alice, "run_inference", {**RUN, "tags": [TAG]})
    budget = {"unit": "tokens", "limit": 400_000}
    await answer(alice, "track_operation", {"action": "begin", "operation_id": OPERATION, "budget": budget})
    await answer(alice, "track_operation", {"action": "record", "operation_id": OPERATION, "steps": [STEP]})
    await answer(alice, "track_operation", {"action": "record", "operation_id": "ended", "steps": [STEP]})
    ended = await answer(alice, "track_operation", {"action": "end", "operation_id": "ended"})
    return {"run": run["receipt_id"], "ended": ended["receipt_id"]}


async def tried_on_receipts(bob: Client, receipts: dict[str, str]) -> None:
    """Whatever is another's answers exactly as what nobody has."""
    for receipt in receipts.values():
        for tool, arguments in (
            ("verify_receipt", {"receipt": receipt}),
            ("verify_receipt", {"receipt": {"receipt_id": receipt}}),
            ("explain", {"subject": receipt}),
            ("check_claim", {"text": "It took 3 Wh.", "receipt_id": receipt}),
        ):
            theirs = await called(bob, tool, arguments)
            nobodys = await called(bob, tool, json.loads(json.dumps(arguments).replace(receipt, UNKNOWN)))
            assert theirs[0], theirs
            assert theirs[1].replace(receipt, UNKNOWN) == nobodys[1]
        uri = "wattproof://receipts/"
        assert (await read(bob, uri + receipt)).replace(receipt, UNKNOWN) == await read(bob, uri + UNKNOWN)


async def tried_on_operations(bob: Client) -> None:
    """An operation of another's is one that was never begun, and its receipts are not offered."""
    for operation in (OPERATION, "ended"):
        theirs = await called(bob, "track_operation", {"action": "status", "operation_id": operation})
        nobodys = await called(bob, "track_operation", {"action": "status", "operation_id": "nobodys"})
        assert theirs[1].replace(operation, "nobodys") == nobodys[1], (theirs, nobodys)
    assert await completions(bob) == [[], []]


async def seen_of_totals(bob: Client, receipts: dict[str, str]) -> None:
    """Nothing of another's is in any sum, row or page."""
    period = {"since": "2026-01-01", "until": "2027-01-01"}
    tries: list[tuple[str, dict[str, Any]]] = [
        ("summarize_ledger", period),
        ("summarize_ledger", {**period, "operation_id": OPERATION}),
        ("summarize_ledger", {**period, "tag": TAG}),
        ("summarize_ledger", {**period, "group_by": "model", "cursor": "1"}),
        ("restate_period", {"method": "wattproof/param", "period": "2026"}),
        ("export_evidence", {**period, "size": 25, "seed": "s"}),
        *(("ledger_rows", {**period, "rows": rows}) for rows in ("bars", "groups", "entries")),
        ("ledger_rows", {**period, "rows": "entries", "cursor": "3"}),
    ]
    for tool, arguments in tries:
        _, text, data = await called(bob, tool, arguments)
        whole = text + json.dumps(data)
        for secret in (*receipts.values(), ALICE, REQUEST):
            assert secret not in whole, (tool, secret)
        assert data.get("request_count", 0) == 0, (tool, data)
        assert not data.get("entries"), tool
        assert not data.get("groups"), tool


async def took_over(bob: Client, receipts: dict[str, str]) -> dict[str, Any]:
    """The same ids are free for him: nothing is replayed, added to or closed. Returns his run."""
    own = await answer(bob, "run_inference", {**RUN, "max_output_tokens": 40})
    assert own["receipt_id"] not in receipts.values()
    assert not own.get("replayed")
    await answer(bob, "track_operation", {"action": "begin", "operation_id": OPERATION})
    status = await answer(bob, "track_operation", {"action": "status", "operation_id": OPERATION})
    assert "400" not in json.dumps(status.get("budget"))
    await answer(bob, "track_operation", {"action": "record", "operation_id": "ended", "steps": [STEP]})
    return own
