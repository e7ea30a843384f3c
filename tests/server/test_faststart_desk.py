"""The desk and the SDK's server in memory: what is answered early is what the SDK would have answered."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.shared.message import SessionMessage
from mcp.types import InitializeRequestParams, jsonrpc_message_adapter
from mcp.types.methods import validate_client_request

from tests.server.stdio_process import initialize, request, stateless
from wattproof.server.app import build_server
from wattproof.server.bake import HOW, clients, live_answers, settings_groups
from wattproof.server.faststart_answers import BAKED_FILE, load_answers, settings_key
from wattproof.server.faststart_desk import Desk
from wattproof.server.faststart_wire import Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fakes.installation import Installation

LISTS = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")
ESTIMATE = {"name": "estimate_request", "arguments": {"model": "gpt-oss-120b", "input_tokens": 9, "output_tokens": 9}}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
VIEWS: Any = {"extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}}}

# Whole sessions, message by message.
SESSIONS: dict[str, list[Any]] = {
    "handshake": [
        initialize("a"),
        INITIALIZED,
        *(request(number, method) for number, method in enumerate((*LISTS, "ping"))),
        request(9, "tools/call", ESTIMATE),
    ],
    "the oldest handshake": [initialize(0, "2024-11-05"), INITIALIZED, request("t", "tools/list", {})],
    "a client with views": [initialize(1, capabilities=VIEWS), request(2, "tools/list"), request(3, "resources/list")],
    "a version that nobody knows": [initialize(1, "2099-01-01"), request(2, "tools/list")],
    "cursors": [
        initialize(1),
        request(2, "tools/list", {"cursor": "x"}),
        request(3, "prompts/list", {"cursor": ""}),
        request(4, "tools/list", {"cursor": 7}),
        request(5, "tools/list", {"_meta": {"progressToken": "p"}}),
        request(6, "tools/list", {"_meta": {"progressToken": [1]}}),
    ],
    "before initialize": [request(1, "tools/list"), request(2, "ping"), initialize(3), request(4, "tools/list")],
    "initialize twice": [initialize(1), initialize(2, "2024-11-05"), request(3, "tools/list")],
    "initialize without a client": [
        request(1, "initialize", {"protocolVersion": "2025-11-25", "capabilities": {}}),
        request(2, "tools/list"),
    ],
    "capabilities of a wrong shape": [initialize(1, capabilities={"roots": []}), request(2, "tools/list")],
    "capabilities that nobody knows": [initialize(1, capabilities={"telepathy": 1}), request(2, "tools/list")],
    "unknown methods": [initialize(1), request(2, "no/such"), request(3, "server/discover"), request(4, "tools/lists")],
    "an unknown tool": [initialize(1), request(2, "tools/call", {"name": "none", "arguments": {}})],
    "stateless": [
        stateless("d", "server/discover"),
        *(stateless(number, method) for number, method in enumerate(LISTS)),
        stateless(9, "tools/call", ESTIMATE),
        stateless(10, "ping"),
    ],
    "stateless with views": [stateless(1, "tools/list", capabilities=VIEWS), stateless(2, "tools/list")],
    "stateless, of a version that nobody knows": [
        request(1, "server/discover", {"_meta": {"io.modelcontextprotocol/protocolVersion": "2099-01-01"}}),
        stateless(2, "server/discover"),
    ],
    "discover, then initialize": [stateless(1, "server/discover"), initialize(2), request(3, "tools/list")],
    "discover of the older era, then initialize": [
        request(1, "server/discover"),
        initialize(2),
        INITIALIZED,
        request(3, "tools/list"),
    ],
    "initialize, then an envelope": [initialize(1), stateless(2, "tools/list"), request(3, "tools/list")],
    "a bare request among enveloped ones": [stateless(1, "tools/list"), request(2, "tools/list")],
}


async def spoken(installation: Installation, session: Sequence[Any], desk: Desk) -> dict[str, str]:
    """Each answer as the client reads it, by id. What the desk forwards goes to the SDK's server."""
    into, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](math.inf)
    outgoing, out = anyio.create_memory_object_stream[SessionMessage](math.inf)
    lowlevel: Any = build_server(installation.open)._lowlevel_server  # pyright: ignore[reportPrivateUsage]
    lines: list[str] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lowlevel.run, incoming, outgoing, lowlevel.create_initialization_options())
        for message in session:
            outcome = desk.take(json.dumps(message).encode())
            if outcome.reply is not None:
                lines.append(outcome.reply.decode().removesuffix("\n"))
            if outcome.forward is None:
                continue
            forwarded = jsonrpc_message_adapter.validate_json(outcome.forward, by_name=False)
            await into.send(SessionMessage(forwarded))
            if "id" in message:
                answer = (await out.receive()).message
                if getattr(answer, "id", None) != desk.opening_id:
                    lines.append(answer.model_dump_json(by_alias=True, exclude_unset=True))
        into.close()
    out.close()
    answers = {json.dumps(json.loads(line)["id"]): line for line in lines}
    assert len(answers) == len(lines) == len([message for message in session if "id" in message])
    return answers


@pytest.mark.parametrize("session", SESSIONS.values(), ids=SESSIONS)
async def test_a_session_has_the_same_answers_with_the_desk_and_without(
    installation: Installation, session: list[Any]
) -> None:
    with_desk = await spoken(installation, session, Desk(load_answers((), "auto")))
    assert with_desk == await spoken(installation, session, Desk(None)), f"If a definition has changed: {HOW}"


@pytest.mark.parametrize(("profiles", "apps"), settings_groups(), ids=lambda value: str(value))
async def test_the_baked_answers_are_those_of_the_server(profiles: tuple[str, ...], apps: Any) -> None:
    baked = load_answers(profiles, apps)
    assert baked is not None, f"the baked file is missing or stale; run: {HOW}"
    server = build_server(Installed, profiles, apps)
    for version, shows_views in clients():
        offered = shows_views if apps == "auto" else apps == "on"
        for method, text in (await live_answers(server, version, shows_views)).items():
            same = baked.result(version, offered, method) == text
            assert same, f"{method} at {version} is no longer what is baked. If this is meant, run: {HOW}"


class Installed:
    """An installation that nothing asks for anything."""

    async def __aenter__(self) -> Any:
        return None

    async def __aexit__(self, *_error: object) -> None:
        return None


def test_the_baked_file_has_every_group_of_settings_and_no_other() -> None:
    baked = json.loads(Path(BAKED_FILE).read_bytes())
    assert list(baked["answers"]) == [settings_key(*group) for group in settings_groups()], f"run: {HOW}"


@pytest.mark.parametrize(
    "change",
    [
        {"format": 0},
        {"wattproof": "0.0.1"},
        {"sdk": "2.2"},
        {"sdk": "3"},
        {"answers": {}},
        {"answers": []},
        {"wattproof": None},
    ],
)
def test_a_stale_file_answers_nothing(tmp_path: Path, change: dict[str, Any]) -> None:
    baked = json.loads(Path(BAKED_FILE).read_bytes())
    path = tmp_path / "answers.json"
    path.write_text(json.dumps(baked))
    assert load_answers((), "auto", str(path)) is not None
    assert load_answers(("unknown",), "auto", str(path)) is None
    path.write_text(json.dumps(baked | change))
    assert load_answers((), "auto", str(path)) is None


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_broken_file_answers_nothing(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "answers.json"
    if content is not None:
        path.write_bytes(content)
    assert load_answers((), "auto", str(path)) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
CAPABILITY_NAMES = ("experimental", "extensions", "elicitation", "roots", "sampling", "tasks", "else")
INNER_NAMES = ("form", "url", "listChanged", "context", "tools", "list", "cancel", "requests", "sampling", "create")
NOTHING: dict[str, Any] = {}
OBJECTS = st.dictionaries(st.sampled_from(INNER_NAMES), st.just(NOTHING) | st.booleans() | JSON, max_size=3)
CAPABILITIES = st.dictionaries(st.sampled_from(CAPABILITY_NAMES), OBJECTS | JSON, max_size=4)
ICON: dict[str, st.SearchStrategy[Any]] = {"src": st.text(max_size=3), "theme": st.just("dark") | JSON}
ICONS: st.SearchStrategy[Any] = st.lists(st.fixed_dictionaries(NOTHING, optional=cast("Any", ICON)))
INFOS = st.fixed_dictionaries(
    NOTHING,
    optional={
        "name": st.text(max_size=3) | JSON,
        "version": st.text(max_size=3),
        "title": st.text(max_size=3) | JSON,
        "icons": ICONS | JSON,
    },
)
METAS = st.dictionaries(st.sampled_from(("progressToken", "traceparent")), st.text(max_size=3) | JSON)
VERSIONS = st.sampled_from(("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"))


@given(VERSIONS, CAPABILITIES, INFOS, METAS)
def test_a_client_that_the_desk_lets_in_is_let_in_by_the_sdk(
    version: str, capabilities: Any, info: Any, meta: Any
) -> None:
    params = {"protocolVersion": version, "capabilities": capabilities, "clientInfo": info, "_meta": meta}
    outcome = Desk(load_answers((), "auto")).take(json.dumps(request(1, "initialize", params)).encode())
    assert outcome.forward is not None
    if outcome.reply is not None:
        validate_client_request("initialize", "2025-11-25", params)
        InitializeRequestParams.model_validate(params, by_name=False)


@given(CAPABILITIES, INFOS, METAS)
def test_an_envelope_that_the_desk_reads_is_read_by_the_sdk(capabilities: Any, info: Any, meta: Any) -> None:
    envelope = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": info,
        "io.modelcontextprotocol/clientCapabilities": capabilities,
        **meta,
    }
    outcome = Desk(load_answers((), "auto")).take(json.dumps(request(1, "tools/list", {"_meta": envelope})).encode())
    if outcome.reply is not None:
        validate_client_request("tools/list", "2026-07-28", {"_meta": envelope})


@given(st.lists(st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()), max_size=5))
def test_the_desk_takes_any_line(lines: list[bytes]) -> None:
    desk = Desk(load_answers((), "auto"))
    for line in lines:
        outcome = desk.take(line)
        assert outcome.reply is None
        assert outcome.forward == line


@pytest.mark.parametrize("request_id", [0, -1, 2**53, "", "1", '\u00e9"', "x" * 300])
def test_an_id_comes_back_as_it_was(request_id: Any) -> None:
    desk = Desk(load_answers((), "auto"))
    outcome = desk.take(json.dumps(initialize(request_id)).encode())
    assert outcome.reply is not None
    assert json.loads(outcome.reply)["id"] == request_id


@pytest.mark.parametrize("request_id", [None, True, 1.5, 2**53 + 1, [], {}])
def test_an_id_of_another_kind_is_left_to_the_sdk(request_id: Any) -> None:
    desk = Desk(load_answers((), "auto"))
    line = json.dumps(initialize(request_id)).encode()
    assert (desk.take(line).reply, desk.take(line).forward) == (None, line)


def test_after_a_line_that_cannot_be_judged_everything_is_left_to_the_sdk() -> None:
    desk = Desk(load_answers((), "auto"))
    assert desk.take(b"{").forward == b"{"
    assert desk.take(json.dumps(initialize(1)).encode()).reply is None


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=6))
def test_lines_are_the_same_however_they_arrive(data: bytes, cuts: list[int]) -> None:
    lines = Lines()
    found: list[bytes] = []
    edges = [0, *sorted(cuts), len(data)]
    for start, end in pairwise(edges):
        found += lines.cut(data[start:end])[0]
    found += lines.rest()
    expected = [line.removesuffix(b"\r") for line in data.split(b"\n") if line.strip()]
    assert found == expected


def test_a_carriage_return_before_the_line_feed_is_not_part_of_the_line() -> None:
    assert Lines().cut(b'{"a":1}\r\n{"b":2}\n\r\n') == ([b'{"a":1}', b'{"b":2}'], 0)


def test_a_line_over_the_limit_is_dropped_to_its_end_and_counted_once() -> None:
    lines = Lines(most_bytes=4)
    assert lines.cut(b"12345") == ([], 1)
    assert lines.cut(b"67890") == ([], 0)
    assert lines.cut(b"\n1234\n123456\nab") == ([b"1234"], 1)
    assert lines.rest() == [b"ab"]


def test_the_rest_of_a_line_over_the_limit_is_not_a_line() -> None:
    lines = Lines(most_bytes=4)
    lines.cut(b"12345")
    assert lines.rest() == []
