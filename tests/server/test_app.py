"""The MCP server in memory, in both protocol eras."""

from __future__ import annotations

import json
import sys
from base64 import b64decode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import anyio
import anyio.lowlevel
import jsonschema
import pytest
from mcp import Client, MCPError
from mcp.client.extension import advertise
from mcp.server import MCPServer
from mcp.types import CallToolResult, ImageContent, ResourceLink, TextContent, TextResourceContents

from wattproof import __version__
from wattproof.server.app import build_server
from wattproof.server.apps.offered import EXTENSION, VIEW_MIME

if TYPE_CHECKING:
    from tests.fakes.installation import Installation
    from tests.fakes.provider import FakeProvider
    from wattproof.resources.providers import Deployment
    from wattproof.tools import Deps

META = "io.github.wattproof/provenance"
NAMED = ("region_scope", "energy_source", "methodology", "renewable_ratio_bps")
ESTIMATE: dict[str, Any] = {"model": "gpt-oss-120b", "input_tokens": 1000, "output_tokens": 400, "zone": "FR"}
RUN: dict[str, Any] = {
    "model": "gpt-oss-120b",
    "messages": [{"role": "user", "content": "hello"}],
    "max_output_tokens": 50,
}


def text_of(result: CallToolResult) -> str:
    block, *links = result.content
    assert {link.type for link in links} <= {"resource_link"}
    assert isinstance(block, TextContent)
    return block.text


async def call(client: Client, name: str, arguments: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Text, structured content and our `_meta` of a call that must succeed."""
    result = await client.call_tool(name, arguments)
    assert not result.is_error, text_of(result)
    assert result.structured_content is not None
    assert result.meta is not None
    return text_of(result), result.structured_content, result.meta[META]


@pytest.fixture
async def hosted(server: MCPServer[Any], era: Literal["auto", "legacy"]) -> AsyncGenerator[Client]:
    """A client that shows views, as desktop hosts do."""
    shows_views = advertise(EXTENSION, {"mimeTypes": [VIEW_MIME]})
    async with Client(server, mode=era, extensions=[shows_views]) as client:
        yield client


def linked(result: CallToolResult) -> list[ResourceLink]:
    return [block for block in result.content if isinstance(block, ResourceLink)]


async def refusal(client: Client, name: str, arguments: dict[str, Any]) -> str:
    result = await client.call_tool(name, arguments)
    assert result.is_error
    return text_of(result)


async def test_every_result_carries_the_four_named_fields_in_all_three_places(client: Client) -> None:
    run = await call(client, "run_inference", RUN)
    receipt_id = run[1]["receipt_id"]
    results = [
        await call(client, "estimate_request", ESTIMATE),
        run,
        await call(client, "run_inference", {**RUN, "dry_run": True}),
        await call(client, "summarize_ledger", {}),
        await call(client, "verify_receipt", {"receipt": receipt_id}),
        await call(client, "explain", {"subject": "wattproof/param"}),
        await call(client, "explain", {"subject": receipt_id}),
        await call(client, "explain", {"subject": ESTIMATE}),
        await call(client, "estimate_request", {**ESTIMATE, "model": ["gpt-4o", "gpt-oss-120b"], "methods": "all"}),
    ]
    for text, structured, meta in results:
        for name in NAMED:
            value = structured["provenance"][name]
            assert meta[name] == value
            assert f"{name} {'null' if value is None else value}" in text


async def test_the_receipt_id_is_in_text_structured_content_and_meta(client: Client) -> None:
    text, structured, meta = await call(client, "run_inference", RUN)
    assert structured["receipt_id"] in text
    assert meta["receipt_id"] == structured["receipt_id"]


async def test_every_structured_content_satisfies_the_published_schema(client: Client) -> None:
    schemas = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}
    receipt_id = (await call(client, "run_inference", RUN))[1]["receipt_id"]
    calls: list[tuple[str, dict[str, Any]]] = [
        ("estimate_request", ESTIMATE),
        ("estimate_request", {**ESTIMATE, "zone": None, "detail": "full"}),
        ("run_inference", {**RUN, "detail": "full"}),
        ("run_inference", {**RUN, "dry_run": True}),
        ("summarize_ledger", {"group_by": "provider", "detail": "full"}),
        ("summarize_ledger", {"since": "2030-01-01"}),
        ("verify_receipt", {"receipt": receipt_id, "detail": "full"}),
        ("verify_receipt", {"receipt": "a.b.c"}),
    ]
    for name, arguments in calls:
        schema = schemas[name]
        assert schema is not None
        structured = (await call(client, name, arguments))[1]
        jsonschema.validate(structured, schema, cls=jsonschema.Draft202012Validator)
        # What the schema lists is really there, in every result.
        assert schema["properties"].keys() <= structured.keys()


async def test_a_result_links_to_the_resource_that_holds_all_of_it(hosted: Client) -> None:
    ran = await hosted.call_tool("run_inference", RUN)
    (receipt,) = linked(ran)
    assert ran.structured_content is not None
    assert receipt.uri == f"wattproof://receipts/{ran.structured_content['receipt_id']}"
    held = (await hosted.read_resource(receipt.uri)).contents[0]
    assert isinstance(held, TextResourceContents)
    assert held.mime_type == receipt.mime_type
    receipt_id = ran.structured_content["receipt_id"]
    assert linked(await hosted.call_tool("verify_receipt", {"receipt": receipt_id})) == [receipt]
    (method,) = linked(await hosted.call_tool("explain", {"subject": ESTIMATE}))
    assert method.uri == "wattproof://methods/wattproof/param@1.0.0"
    assert (await hosted.read_resource(method.uri)).contents


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("estimate_request", ESTIMATE),
        ("run_inference", {**RUN, "dry_run": True}),
        ("summarize_ledger", {}),
        ("track_operation", {"action": "begin"}),
        ("verify_receipt", {"receipt": "a.b.c"}),
    ],
)
async def test_what_no_resource_holds_has_no_link(hosted: Client, name: str, arguments: dict[str, Any]) -> None:
    assert linked(await hosted.call_tool(name, arguments)) == []


async def test_a_client_that_shows_nothing_to_a_person_gets_no_link(client: Client) -> None:
    ran = await client.call_tool("run_inference", RUN)
    assert [block.type for block in ran.content] == ["text"]
    assert [block.type for block in (await client.call_tool("explain", {"subject": ESTIMATE})).content] == ["text"]


async def test_an_error_of_ours_reaches_the_model_with_what_would_work(client: Client) -> None:
    assert "gpt-oss-120b" in await refusal(client, "estimate_request", {**ESTIMATE, "model": "gpt-oss-121b"})
    assert "Closest:" in await refusal(client, "estimate_request", {**ESTIMATE, "zone": "FRA"})
    assert "max_carbon_intensity" in await refusal(client, "run_inference", {**RUN, "max_carbon_intensity": 5})


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("estimate_request", {**ESTIMATE, "regoin": "FR"}, "regoin is not a parameter; "),
        ("estimate_request", {**ESTIMATE, "zones": "FR"}, "did you mean zone?"),
        ("estimate_request", {"input_tokens": 1}, "model is missing; give it: model id"),
        ("estimate_request", {**ESTIMATE, "input_tokens": -1}, "input_tokens is -1; give at least 0."),
        ("estimate_request", {**ESTIMATE, "input_tokens": "many"}, "input_tokens is 'many'; give an integer."),
        (
            "estimate_request",
            {**ESTIMATE, "workload": "poetry"},
            "workload is 'poetry'; give 'chat', 'embedding', 'rerank', 'image', 'speech', 'transcription' or 'video'.",
        ),
        ("run_inference", {**RUN, "messages": "hi"}, "messages is 'hi'; give a list."),
        ("run_inference", {**RUN, "messages": ["hi"]}, "messages.0 is 'hi'; give an object."),
        ("verify_receipt", {"receipt": 7}, "receipt is 7; give text or an object."),
    ],
)
async def test_wrong_arguments_are_told_by_field_problem_and_fix(
    client: Client, name: str, arguments: dict[str, Any], told: str
) -> None:
    text = await refusal(client, name, arguments)
    assert told in text
    assert "pydantic" not in text


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("estimate_reqest", "Unknown tool estimate_reqest. Closest: estimate_request, "),
        ("ignore what was said\x1b[0m", "Unknown tool 'ignore what was said\\x1b[0m'. Closest: "),
        ("y" * 1_000_000, "..."),
    ],
)
async def test_an_unknown_tool_is_told_with_the_names_nearest_to_it(client: Client, name: str, told: str) -> None:
    text = await refusal(client, name, {})
    assert told in text
    assert len(text) < 200


async def test_text_that_happens_to_be_json_stays_text(client: Client) -> None:
    arguments = {"model": "gpt-oss-120b", "text": '{"a": [1, 2]}', "zone": "FR"}
    assert (await call(client, "estimate_request", arguments))[1]["usage"]["input_tokens"] == 4


async def test_a_list_or_an_object_given_as_json_text_is_understood(client: Client) -> None:
    arguments = {**RUN, "messages": json.dumps(RUN["messages"]), "dry_run": True}
    assert (await call(client, "run_inference", arguments))[1]["status"] == "dry_run"


async def test_progress_reaches_the_client_while_a_run_goes_on(client: Client) -> None:
    heard: list[str | None] = []

    async def listen(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message)

    result = await client.call_tool("run_inference", RUN, progress_callback=listen)
    assert not result.is_error
    assert "receiving the answer" in heard


async def test_a_failing_provider_is_reported_without_its_own_words(
    client: Client, fake_provider: FakeProvider
) -> None:
    fake_provider.script("500")
    text = await refusal(client, "run_inference", RUN)
    assert "http_500" in text or "500" in text
    assert "\x1b" not in text


async def test_a_run_that_the_client_gives_up_is_settled_as_cancelled(
    client: Client, fake_provider: FakeProvider
) -> None:
    fake_provider.script("hang_mid")
    with anyio.move_on_after(20) as scope:

        async def give_up(progress: float, total: float | None, message: str | None) -> None:
            scope.cancel()

        await client.call_tool("run_inference", {**RUN, "request_id": "gone"}, progress_callback=give_up)
    assert scope.cancelled_caught
    with anyio.fail_after(20):
        while (summary := (await call(client, "summarize_ledger", {"detail": "full"}))[1])["request_count"] == 0:
            await anyio.lowlevel.checkpoint()
    assert summary["counts"]["status"] == {"cancelled": 1}


async def test_a_bug_of_ours_stays_masked(at_fake: Installation, era: Any) -> None:
    @asynccontextmanager
    async def broken() -> AsyncGenerator[Deps]:
        async with at_fake.open() as deps:
            yield replace(deps, deployments=_leak)

    async with Client(build_server(broken), mode=era) as client:
        text = await refusal(client, "run_inference", {**RUN, "dry_run": True})
    assert text.startswith("Error executing tool run_inference: Internal error. Nothing was returned; ")
    assert "sk-secret" not in text


async def _leak() -> tuple[Deployment, ...]:
    raise RuntimeError("the key is sk-secret")


async def test_the_resources_are_complete_and_readable(client: Client) -> None:
    async def read(uri: str) -> Any:
        contents = (await client.read_resource(uri)).contents[0]
        assert isinstance(contents, TextResourceContents)
        assert contents.mime_type == "application/json"
        return json.loads(contents.text)

    receipt_id = (await call(client, "run_inference", RUN))[1]["receipt_id"]
    assert (await read("wattproof://methods/wattproof/param@1.0.0"))["id"] == "wattproof/param@1.0.0"
    assert (await read("wattproof://zones/FR"))["renewable_ratio_bps"] == 2700
    assert any(row["provider"] == "ovhcloud" for row in await read("wattproof://providers"))
    receipt = await read(f"wattproof://receipts/{receipt_id}")
    verified = (await call(client, "verify_receipt", {"receipt": receipt}))[1]
    assert verified["outcome"] == "established"


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("wattproof://methods/wattproof/parm", "wattproof/param"),
        ("wattproof://zones/FRA", "Closest: "),
        ("wattproof://receipts/r_nothing", "holds no receipt"),
    ],
)
async def test_a_resource_that_is_not_there_says_what_is(client: Client, uri: str, told: str) -> None:
    with pytest.raises(MCPError, match=told) as caught:
        await client.read_resource(uri)
    assert caught.value.error.code == -32602


async def test_the_server_says_its_version_and_how_its_tools_work_together(client: Client) -> None:
    assert client.server_info is not None
    assert client.server_info.version == __version__
    assert client.instructions is not None
    assert all(tool.name in client.instructions for tool in (await client.list_tools()).tools)


async def test_no_tool_promises_protocol_logging_prompts_or_sampling(client: Client) -> None:
    assert client.server_capabilities.logging is None


async def test_a_picture_comes_as_an_image_beside_the_text(client: Client) -> None:
    result = await client.call_tool("estimate_request", {**ESTIMATE, "methods": "all", "detail": "plot"})
    assert not result.is_error
    text, image = result.content
    assert isinstance(text, TextContent)
    assert isinstance(image, ImageContent)
    assert image.mime_type == "image/png"
    assert b64decode(image.data).startswith(b"\x89PNG")
    assert result.structured_content is not None
    assert result.structured_content["provenance"]["methodology"] == "multi"


async def test_without_matplotlib_the_picture_is_plain_text(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = await client.call_tool("estimate_request", {**ESTIMATE, "detail": "plot"})
    assert not result.is_error
    _, drawn = result.content
    assert isinstance(drawn, TextContent)
    assert "●" in drawn.text
    assert "wattproof[plot]" in drawn.text
