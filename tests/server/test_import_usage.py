"""Importing over the real SDK: a conversation with dry run, import and summary; and who is refused over HTTP."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.fakes.two_tenants import ALICE, Keys, answer, app_of, called, client_of
from tests.tools.test_import_usage import session
from wattproof.server.app import build_server
from wattproof.server.http import build_http_app
from wattproof.server.tool_table import PROFILE_TOOLS

if TYPE_CHECKING:
    from tests.fakes.installation import Installation

TOKEN = "a-long-random-word-for-tests"
DRY: dict[str, Any] = {"format": "claude-code"}
REAL: dict[str, Any] = {**DRY, "dry_run": False}


@pytest.fixture
def logged(installation: Installation, tmp_path: Path) -> Installation:
    """A user with two sessions of Claude Code: two answers of one model, one of another."""
    folder = tmp_path / "user" / ".claude" / "projects" / "-home-ada-engine"
    folder.mkdir(parents=True)
    installation.environ["HOME"] = str(tmp_path / "user")
    (folder / "s-1.jsonl").write_text(session("msg_1", "msg_2"))
    (folder / "s-2.jsonl").write_text(session("msg_3", model="claude-haiku-4-5"))
    for log in folder.iterdir():
        os.utime(log, (installation.now_s - 86_400, installation.now_s - 86_400))
    return installation


@asynccontextmanager
async def over_http(
    installation: Installation,
    era: Any,
    *,
    token: str | None = TOKEN,
    peer: str = "127.0.0.1",
    headers: dict[str, str] | None = None,
) -> AsyncGenerator[Client]:
    """A client whose requests come from `peer`, with the token that the server was started with."""
    app = build_http_app(
        build_server(installation.open, PROFILE_TOOLS),
        token=token,
        host="127.0.0.1",
        port=8321,
        allow_keyed_runs=token is not None,
    )
    installation.allow_keyed_runs = token is not None
    transport = httpx2.ASGITransport(app, client=(peer, 5000))
    sent = {**({} if token is None else {"Authorization": f"Bearer {token}"}), **(headers or {})}
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, headers=sent) as http,
        Client(streamable_http_client("http://127.0.0.1:8321/mcp", http_client=http), mode=era) as client,
    ):
        yield client


async def test_a_conversation_looks_imports_once_and_sums_up_by_model(logged: Installation, era: Any) -> None:
    told: list[tuple[float, float | None]] = []

    async def listen(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total))

    async with Client(build_server(logged.open, ("ops",)), mode=era) as client:
        shown = await answer(client, "import_usage", DRY)
        assert (shown["dry_run"], shown["records"], shown["appended"]) == (True, 3, 0)
        assert (await answer(client, "summarize_ledger", {"since": "2026-11-01"}))["request_count"] == 0

        result = await client.call_tool("import_usage", REAL, progress_callback=listen)
        assert result.structured_content is not None
        assert result.structured_content["appended"] == 3
        assert told == sorted(told)
        assert told[-1][0] == told[-1][1]

        again = await answer(client, "import_usage", REAL)
        assert (again["appended"], again["already_known"]) == (0, 3)

        asked = {"since": "2026-11-01", "group_by": "model", "detail": "full"}
        summary = await answer(client, "summarize_ledger", asked)
        assert summary["request_count"] == 3
        counts = {row["model"]: row["request_count"] for row in summary["groups"]}
        assert counts == {"claude-sonnet-4-6": 2, "claude-haiku-4-5-20251001": 1}


async def test_a_path_outside_and_a_broken_file_are_told_in_words(
    logged: Installation, era: Any, tmp_path: Path
) -> None:
    (tmp_path / "user" / "usage.json").write_text('{"secret')
    async with Client(build_server(logged.open, ("ops",)), mode=era) as client:
        failed, text, _ = await called(client, "import_usage", {**DRY, "paths": ["/etc/passwd"]})
        assert failed
        assert "may not read" in text
        assert "`wattproof import` in a terminal" in text
        failed, text, _ = await called(client, "import_usage", {"format": "openai-usage", "paths": ["~/usage.json"]})
        assert failed
        assert "usage.json" in text
        assert "secret" not in text
        failed, text, _ = await called(client, "import_usage", {"format": "claude"})
        assert failed
        assert "claude-code" in text


async def test_over_http_the_user_of_the_machine_may_import(logged: Installation, era: Any) -> None:
    async with over_http(logged, era) as client:
        assert (await answer(client, "import_usage", REAL))["appended"] == 3
        assert (await answer(client, "summarize_ledger", {"since": "2026-11-01"}))["request_count"] == 3


@pytest.mark.parametrize(
    "unlike",
    [{"peer": "192.0.2.7"}, {"headers": {"X-Forwarded-For": "192.0.2.7"}}, {"token": None}],
    ids=["from elsewhere", "through a proxy", "without a token"],
)
async def test_over_http_nobody_else_may(logged: Installation, era: Any, unlike: dict[str, Any]) -> None:
    async with over_http(logged, era, **unlike) as client:
        failed, text, _ = await called(client, "import_usage", DRY)
        assert failed
        assert "user of that machine only" in text


@pytest.mark.parametrize("tenant", [ALICE, "local"])
async def test_an_api_key_reads_no_files_whatever_it_may(logged: Installation, era: Any, tenant: str) -> None:
    keys = Keys()
    keys.add("alice", tenant)
    keys.add("auditor", tenant, ("estimate", "infer", "audit"))
    app = app_of(logged, keys)
    async with app.router.lifespan_context(app):
        async with client_of(app, keys.texts["alice"], mode=era) as alice:
            failed, text, _ = await called(alice, "import_usage", DRY)
            assert failed
            assert "user of that machine only" in text
        async with client_of(app, keys.texts["auditor"], mode=era) as auditor:
            failed, text, _ = await called(auditor, "import_usage", DRY)
            assert failed
            assert "needs the scope admin" in text
