"""Static API keys: made once, kept as a hash, refused the moment that they are revoked."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import string
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent

from wattproof.methodology.errors import InvalidInput, KeyUnusable, LedgerUnusable
from wattproof.server.app import build_server
from wattproof.server.auth.api_keys import KEY_ISSUER, ApiKey, ApiKeys, draw_key, key_id_of, scopes_from
from wattproof.server.auth.denial import Denial
from wattproof.server.auth.entrance import Entrance
from wattproof.server.auth.key_file import KeyFile
from wattproof.server.auth.principal import SCOPES, Principal
from wattproof.server.auth.scopes import TOOL_SCOPES, needed_by
from wattproof.server.cli import run_command
from wattproof.server.http import build_http_app
from wattproof.server.tool_table import PROFILE_TOOLS, tools_of

if TYPE_CHECKING:
    from tests.fakes.installation import Installation

NOW_S = 1_793_880_000
ESTIMATE: dict[str, Any] = {"model": "gpt-oss-120b", "input_tokens": 1000, "output_tokens": 400, "zone": "FR"}


def made(**changes: Any) -> tuple[str, ApiKey]:
    """The text of a new key, and what is kept of it."""
    key_id, text, sha256 = draw_key()
    key = ApiKey(
        id=key_id,
        sha256=sha256,
        name="ci",
        subject="ci",
        tenant="t_" + "a" * 26,
        scopes=("estimate",),
        created_at=NOW_S,
    )
    return text, replace(key, **changes)


@pytest.fixture
def store(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "home")


@pytest.fixture
def keys(store: KeyFile) -> ApiKeys:
    return ApiKeys(store, lambda: float(NOW_S))


async def refused(keys: ApiKeys, text: str) -> str:
    found = await keys.principal(text)
    assert isinstance(found, Denial)
    assert (found.status, found.error) == (401, "invalid_token")
    return found.description


def test_a_key_has_256_random_bits_and_its_hash_is_all_that_is_kept(store: KeyFile, tmp_path: Path) -> None:
    text, key = made()
    store.add(key)
    assert len(text[14:]) * 6 >= 256
    kept = (tmp_path / "home" / "apikeys.sqlite3").read_bytes()
    assert key.sha256.encode() in kept
    assert text.encode() not in kept
    assert text[14:].encode() not in kept
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "home" / "apikeys.sqlite3").stat().st_mode) == 0o600


def test_no_two_keys_are_alike() -> None:
    assert len({draw_key()[1] for _ in range(100)}) == 100


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=7, max_size=7))
def test_every_key_that_is_drawn_is_read_again(secret: bytes, name: bytes) -> None:
    key_id, text, _ = draw_key(lambda size: secret if size == 32 else name)
    assert key_id_of(text) == key_id


@given(st.text(max_size=80))
def test_no_text_breaks_the_reading_of_a_key(text: str) -> None:
    assert key_id_of(text) is None


@given(st.text(alphabet=string.ascii_letters + string.digits + "_-= \n\u0131", min_size=0, max_size=60))
def test_what_looks_like_a_key_is_one_only_when_it_is_whole(tail: str) -> None:
    key_id = key_id_of(f"wp_{tail}")
    if key_id is not None:
        secret = tail[len(key_id) + 1 :]
        assert len(secret) == 43
        assert set(secret) <= set(string.ascii_letters + string.digits + "_-")


@given(st.integers(0, 56), st.sampled_from(string.ascii_letters + "\n=é"))
def test_a_key_with_one_character_changed_is_not_that_key(place: int, other: str) -> None:
    key_id, text, _ = draw_key()
    changed = text[:place] + other + text[place + 1 :]
    assert changed == text or key_id_of(changed) != key_id or changed[14:] != text[14:]


async def test_a_key_stands_for_its_subject(store: KeyFile, keys: ApiKeys) -> None:
    text, key = made(scopes=("estimate", "audit"), subject="team", name="laptop")
    store.add(key)
    found = await keys.principal(text)
    assert found == Principal(KEY_ISSUER, "team", frozenset({"estimate", "audit"}), key.tenant, "laptop")


async def test_an_unknown_id_and_a_wrong_secret_get_the_same_answer(store: KeyFile, keys: ApiKeys) -> None:
    text, key = made()
    store.add(key)
    stranger, _ = made()
    wrong = f"wp_{key.id}_{stranger[14:]}"
    assert await refused(keys, stranger) == await refused(keys, wrong)
    assert "whole" in await refused(keys, text[:-1])


async def test_looking_for_a_key_makes_no_file(keys: ApiKeys, tmp_path: Path) -> None:
    text, _ = made()
    await refused(keys, text)
    assert not (tmp_path / "home").exists()


async def test_a_revoked_key_is_refused_at_once_and_an_expired_one_in_time(store: KeyFile, tmp_path: Path) -> None:
    now = [float(NOW_S)]
    keys = ApiKeys(store, lambda: now[0])
    text, key = made(expires_at=NOW_S + 10)
    store.add(key)
    other, revoked = made()
    store.add(revoked)
    assert isinstance(await keys.principal(text), Principal)
    now[0] += 10
    assert "has expired" in await refused(keys, text)
    assert isinstance(await keys.principal(other), Principal)
    # As another process does it.
    KeyFile(tmp_path / "home").revoke(revoked.id, NOW_S)
    assert "was revoked" in await refused(keys, other)


async def test_the_last_use_is_noted_once_a_minute(store: KeyFile) -> None:
    now = [float(NOW_S)]
    keys = ApiKeys(store, lambda: now[0])
    text, key = made()
    store.add(key)
    noted: list[int | None] = []
    for step in (0, 30, 31):
        now[0] += step
        await keys.principal(text)
        noted.append(store.all()[0].last_used_at)
    assert noted == [NOW_S, NOW_S, NOW_S + 61]


async def test_a_key_works_where_its_use_cannot_be_noted(store: KeyFile, keys: ApiKeys, tmp_path: Path) -> None:
    text, key = made()
    store.add(key)
    held = sqlite3.connect(tmp_path / "home" / "apikeys.sqlite3", isolation_level=None)
    held.execute("BEGIN IMMEDIATE")
    try:
        assert isinstance(await keys.principal(text), Principal)
    finally:
        held.close()
    assert store.all()[0].last_used_at is None


async def test_keys_that_cannot_be_read_are_not_taken_for_wrong_ones(
    store: KeyFile, keys: ApiKeys, tmp_path: Path
) -> None:
    text, key = made()
    store.add(key)
    path = tmp_path / "home" / "apikeys.sqlite3"
    path.chmod(0o644)
    found = await keys.principal(text)
    assert isinstance(found, Denial)
    assert (found.status, found.retry_after_s) == (503, 5)
    with pytest.raises(KeyUnusable, match="chmod 600"):
        store.all()
    path.unlink()
    path.touch(0o600)
    path.write_bytes(b"not a database, whatever its name says" * 20)
    with pytest.raises(LedgerUnusable, match="Restore it from a backup"):
        store.all()


async def test_a_file_put_in_its_place_counts(store: KeyFile, keys: ApiKeys, tmp_path: Path) -> None:
    text, key = made()
    store.add(key)
    assert isinstance(await keys.principal(text), Principal)
    other, brought = made()
    KeyFile(tmp_path / "other").add(brought)
    (tmp_path / "other" / "apikeys.sqlite3").replace(tmp_path / "home" / "apikeys.sqlite3")
    assert "No API key" in await refused(keys, text)
    assert isinstance(await keys.principal(other), Principal)
    store.close()


@pytest.mark.parametrize("text", ["", "admin,root", "Estimate", "estimate;infer"])
def test_unknown_scopes_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="--scopes"):
        scopes_from(text)


def test_scopes_are_kept_in_their_order_and_once() -> None:
    assert scopes_from("audit, estimate audit") == ("estimate", "audit")


def test_every_tool_has_a_row_and_what_has_none_needs_admin() -> None:
    from wattproof.server.apps.views import APP_TOOLS

    served = {spec.name for spec in (*tools_of(PROFILE_TOOLS), *APP_TOOLS)}
    assert served == TOOL_SCOPES.keys()
    for params in ({"name": "drop_ledger"}, {"name": 7}, {}):
        assert needed_by("tools/call", params) == "admin"
    assert needed_by("resources/read", {"uri": "wattproof://secrets"}) == "admin"
    assert needed_by("tools/list", {}) is None


Serving = Callable[..., Any]


@pytest.fixture
def serving(at_fake: Installation, store: KeyFile) -> Serving:
    """A client with a key of these scopes."""

    @asynccontextmanager
    async def connected(scopes: tuple[str, ...], era: Any) -> AsyncGenerator[Client]:
        text, key = made(scopes=scopes)
        store.add(key)
        app = build_http_app(
            build_server(at_fake.open, PROFILE_TOOLS),
            entrance=Entrance(keys=ApiKeys(store, lambda: float(NOW_S)), close=store.close),
            host="127.0.0.1",
            port=8321,
            allow_keyed_runs=True,
        )
        headers = {"Authorization": f"Bearer {text}"}
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app), headers=headers) as http,
            Client(streamable_http_client("http://127.0.0.1:8321/mcp", http_client=http), mode=era) as client,
        ):
            yield client

    return connected


async def test_a_call_beyond_the_scopes_of_a_key_says_which_is_missing(serving: Serving, era: Any) -> None:
    async with serving(("estimate",), era) as client:
        assert not (await client.call_tool("estimate_request", ESTIMATE)).is_error
        for tool, needed in TOOL_SCOPES.items():
            if needed == "estimate":
                continue
            result = await client.call_tool(tool, {})
            assert result.is_error
            (block,) = result.content
            assert isinstance(block, TextContent)
            assert f"needs the scope {needed}; these credentials have estimate" in block.text, tool


async def test_lists_are_the_same_whatever_a_key_may(serving: Serving, era: Any) -> None:
    found: list[Any] = []
    for scopes in (("estimate",), SCOPES, ()):
        async with serving(scopes, era) as client:
            tools, resources = await client.list_tools(), await client.list_resources()
            templates, prompts = await client.list_resource_templates(), await client.list_prompts()
            found.append([each.model_dump_json() for each in (tools, resources, templates, prompts)])
    assert found[0] == found[1] == found[2]


def test_the_commands_make_list_and_revoke_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WATTPROOF_HOME", str(tmp_path / "home"))
    for name in ("WATTPROOF_LEDGER", "WATTPROOF_INSTANCE_SECRET", "WATTPROOF_HTTP_AUTH"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = run_command(arguments)
        said = capfd.readouterr()
        return code, said.out, said.err

    assert run("apikey") == (0, "", "No API key was made yet: wattproof apikey create NAME.\n")
    code, out, err = run("apikey", "create", "laptop", "--subject", "alice", "--days", "30")
    text = out.strip()
    assert code == 0
    assert key_id_of(text) is not None
    assert "only time" in err
    assert text not in err
    again = json.loads(run("apikey", "create", "desk", "--subject", "alice", "--scopes", "estimate", "--json")[1])
    listed = json.loads(run("apikey", "list", "--json")[1])
    assert sorted(row["name"] for row in listed) == ["desk", "laptop"]
    assert {row["tenant"] for row in listed} == {again["tenant"]}
    assert {row["name"]: row["scopes"] for row in listed}["laptop"] == ["estimate", "infer", "audit"]
    shown = run("apikey", "list")[1]
    assert text[14:34] not in shown
    assert "laptop of alice" in shown
    local = json.loads(run("apikey", "create", "mine", "--tenant", "local", "--json")[1])
    assert local["tenant"] == "local"
    whose = json.loads(run("tenants", "--json")[1])
    assert whose[0] == {"tenant": "local", "entries": 0, "subjects": ["mine"]}
    assert whose[1]["subjects"] == ["alice"]
    named = run("tenants", "--subject", "alice", "--issuer", KEY_ISSUER)[1].strip()
    assert named == again["tenant"]
    # The whole key is often what is at hand.
    assert run("apikey", "revoke", text)[0] == 0
    states = {row["name"]: row["state"] for row in json.loads(run("apikey", "list", "--json")[1])}
    assert states == {"laptop": "revoked", "desk": "active", "mine": "active"}
    code, _, err = run("apikey", "revoke", "laptop")
    assert code == 2
    assert "names no key that could be revoked" in err
    for wrong in (("create", "x", "--scopes", "root"), ("create", " x"), ("create", "x", "--tenant", "t_x")):
        assert run("apikey", *wrong)[0] == 2
    assert run("tenants", "--subject", "a")[0] == 2
    assert run("tenants", "--issuer", "a")[0] == 2
