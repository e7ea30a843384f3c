"""Who sees the views: in both protocol eras, by each setting, over HTTP without a session; and what it costs others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import httpx2
import pytest
from mcp import Client
from mcp.client.extension import advertise
from mcp.shared.exceptions import MCPError

from tests.apps.world import SHOWS_VIEWS
from wattproof.server.app import build_server
from wattproof.server.apps.offered import EXTENSION, VIEW_MIME, AppsSetting
from wattproof.server.apps.views import VIEW_OF, VIEWS
from wattproof.server.http import build_http_app

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.fakes.installation import Installation

Era = Literal["auto", "legacy"]
Wire = dict[str, Any]
ERAS = pytest.mark.parametrize("era", ["auto", "legacy"])
TEXT_ONLY = advertise(EXTENSION, {"mimeTypes": ["text/plain"]})


async def lists(
    installation: Installation, era: Era = "auto", apps: AppsSetting = "auto", extensions: tuple[Any, ...] = ()
) -> dict[str, Any]:
    async with Client(build_server(installation.open, (), apps), mode=era, extensions=extensions) as client:
        tools, resources = await client.list_tools(), await client.list_resources()
        return {
            "tools": {tool.name: wire(tool) for tool in tools.tools},
            "resources": {str(resource.uri): wire(resource) for resource in resources.resources},
            "scopes": {tools.cache_scope, resources.cache_scope},
            "extensions": client.server_capabilities.extensions,
        }


def wire(item: Any) -> Wire:
    return item.model_dump(mode="json", by_alias=True, exclude_none=True)


def assert_without_views(found: dict[str, Any]) -> None:
    assert "ledger_rows" not in found["tools"]
    assert "ui" not in {key for tool in found["tools"].values() for key in tool["_meta"]}
    assert list(found["resources"]) == ["wattproof://providers"]


@ERAS
async def test_a_client_that_shows_views_is_told_which_tool_has_which(installation: Installation, era: Era) -> None:
    found = await lists(installation, era, extensions=(SHOWS_VIEWS,))
    shown = {name: tool["_meta"]["ui"] for name, tool in found["tools"].items() if "ui" in tool["_meta"]}
    assert shown == {
        **{name: {"resourceUri": uri} for name, uri in VIEW_OF.items()},
        "ledger_rows": {"visibility": ["app"]},
    }
    for view in VIEWS:
        resource = found["resources"][view.uri]
        assert resource["mimeType"] == VIEW_MIME
        assert resource["_meta"]["ui"] == {"csp": {}, "prefersBorder": True}


@ERAS
@pytest.mark.parametrize("extensions", [(), (TEXT_ONLY,)], ids=["nothing", "other types"])
async def test_any_other_client_sees_what_it_would_see_if_there_were_none(
    installation: Installation, era: Era, extensions: tuple[Any, ...]
) -> None:
    found, off = await lists(installation, era, extensions=extensions), await lists(installation, era, "off")
    assert_without_views(found)
    for name in ("tools", "resources"):
        assert json.dumps(found[name]) == json.dumps(off[name])


@ERAS
async def test_the_definitions_are_otherwise_the_same_for_both(installation: Installation, era: Era) -> None:
    with_views = (await lists(installation, era, extensions=(SHOWS_VIEWS,)))["tools"]
    without = (await lists(installation, era))["tools"]
    del with_views["ledger_rows"]
    for tool in with_views.values():
        tool["_meta"].pop("ui", None)
    assert list(with_views) == list(without)
    assert with_views == without


async def test_a_setting_offers_them_to_all_or_to_none(installation: Installation) -> None:
    assert "ledger_rows" in (await lists(installation, apps="on"))["tools"]
    off = await lists(installation, apps="off", extensions=(SHOWS_VIEWS,))
    assert_without_views(off)
    assert not off["extensions"]
    assert (await lists(installation))["extensions"] == {EXTENSION: {}}


async def test_where_there_are_none_neither_view_nor_tool_answers(installation: Installation) -> None:
    async with Client(build_server(installation.open, (), "off"), extensions=[SHOWS_VIEWS]) as client:
        assert (await client.call_tool("ledger_rows", {"rows": "bars"})).is_error
        with pytest.raises(MCPError):
            await client.read_resource(VIEWS[0].uri)


async def test_a_list_that_depends_on_the_client_is_not_kept_for_others(installation: Installation) -> None:
    assert (await lists(installation))["scopes"] == {"private"}
    assert (await lists(installation, apps="on"))["scopes"] == {"public"}
    assert (await lists(installation, apps="off"))["scopes"] == {"public"}


@ERAS
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
async def test_a_view_is_read_as_it_ships(installation: Installation, era: Era, view: Any) -> None:
    async with Client(build_server(installation.open), mode=era, extensions=[SHOWS_VIEWS]) as client:
        (content,) = (await client.read_resource(view.uri)).contents
    shown = wire(content)
    assert shown["mimeType"] == VIEW_MIME
    assert shown["text"] == view.path.read_text("utf-8")
    assert shown["_meta"]["ui"] == {"csp": {}, "prefersBorder": True}


async def test_a_tool_says_the_same_in_text_to_both(installation: Installation) -> None:
    said: list[Wire] = []
    for extensions in ((), (SHOWS_VIEWS,)):
        async with Client(build_server(installation.open), extensions=extensions) as client:
            said.append(wire(await client.call_tool("summarize_ledger", {})))
    assert said[0] == said[1]
    assert said[0]["content"][0]["text"].startswith("All time: 0 requests")


@pytest.fixture
async def http(installation: Installation) -> AsyncGenerator[httpx2.AsyncClient]:
    app = build_http_app(
        build_server(installation.open), token=None, host="127.0.0.1", port=8321, allow_keyed_runs=False
    )
    transport = httpx2.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8321") as client,
    ):
        yield client


ACCEPTS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
MODERN = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list"}


async def listed(http: httpx2.AsyncClient, params: Wire, headers: dict[str, str]) -> set[str]:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params}
    answer = await http.post("/mcp", json=body, headers=ACCEPTS | headers)
    assert answer.status_code == 200, answer.text
    data = answer.text if answer.text.startswith("{") else answer.text.partition("data: ")[2]
    return {tool["name"] for tool in json.loads(data)["result"]["tools"]}


async def test_over_http_each_request_says_what_its_client_shows(http: httpx2.AsyncClient) -> None:
    def params(extensions: Wire) -> Wire:
        return {
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {"extensions": extensions},
            }
        }

    assert "ledger_rows" in await listed(http, params({EXTENSION: {"mimeTypes": [VIEW_MIME]}}), MODERN)
    assert "ledger_rows" not in await listed(http, params({}), MODERN)


async def test_an_older_request_without_a_session_is_not_offered_what_its_client_may_not_show(
    http: httpx2.AsyncClient,
) -> None:
    names = await listed(http, {}, {"MCP-Protocol-Version": "2025-11-25"})
    assert "verify_receipt" in names
    assert "ledger_rows" not in names
