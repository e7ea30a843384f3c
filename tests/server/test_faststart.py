"""The fast start over real pipes: what a client sees while the SDK loads and after."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.types import ElicitResult

from tests.server.stdio_process import StdioProcess, environment, initialize, request, stateless

if TYPE_CHECKING:
    from tests.fakes.provider import FakeProvider

LISTS = ("tools/list", "prompts/list", "resources/list", "resources/templates/list")
ESTIMATE = {"name": "estimate_request", "arguments": {"model": "gpt-oss-120b", "input_tokens": 9, "output_tokens": 9}}
RUN = {
    "name": "run_inference",
    "arguments": {
        "model": "gpt-oss-120b",
        "messages": [{"role": "user", "content": "hello"}],
        "max_output_tokens": 50,
    },
}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


def cancelled(request_id: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": request_id}}


VIEWS: dict[str, Any] = {"extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}}}

# What is not a message; the server says nothing to it and goes on.
NOISE = (
    b"\n",
    b"{\n",
    b"nonsense\r\n",
    b"\xff\xfe\x00\n",
    b"[]\n",
    b'[{"jsonrpc":"2.0","id":77,"method":"ping"}]\n',
    b'{"jsonrpc":"2.0","id":true,"method":"ping"}\n',
    b'{"jsonrpc":"2.0","id":null,"method":"ping"}\n',
    b'{"jsonrpc":"1.0","id":78,"method":"ping"}\n',
    b'{"jsonrpc":"2.0","id":"\\ud800","method":"ping"}\n',
    b'{"jsonrpc":"2.0","method":"notifications/no/such","params":{}}\n',
    b'{"jsonrpc":"2.0","id":79,"result":{}}\n',
    b"[" * 100_000 + b"]" * 100_000 + b"\n",
    b'{"jsonrpc":"2.0","method":"x","params":{"a":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001 + b"}\n",
)


def ids_of(session: list[Any]) -> list[Any]:
    return [message["id"] for message in session if "id" in message]


def spoken(session: list[Any], env: dict[str, str]) -> dict[str, Any]:
    with StdioProcess(env) as server:
        server.send(*session)
        answers = server.answers(ids_of(session))
        status, rest, _ = server.end()
    assert (status, rest) == (0, b"")
    return answers


@pytest.mark.parametrize("era", ["handshake", "stateless"])
def test_a_session_goes_as_it_does_on_the_sdks_own_transport(tmp_path: Path, era: str) -> None:
    if era == "handshake":
        opening, ask = [initialize("a"), INITIALIZED], request
    else:
        opening, ask = [stateless("a", "server/discover")], stateless
    session = [*opening, *(ask(method, method) for method in (*LISTS, "ping")), ask(9, "tools/call", ESTIMATE)]
    fast = spoken(session, environment(tmp_path))
    assert fast == spoken(session, environment(tmp_path, WATTPROOF_FAST_START="0"))


@pytest.mark.parametrize("gate", [False, True], ids=["after loading", "while loading"])
def test_noise_is_passed_over_and_costs_no_answer(tmp_path: Path, gate: bool) -> None:
    first, ask = (initialize(1), request) if gate else (stateless(1, "server/discover"), stateless)
    with StdioProcess(environment(tmp_path), gate=gate) as server:
        server.send(first)
        assert server.receive()["id"] == 1
        for number, noise in enumerate(NOISE):
            server.send(noise, ask(number, "tools/list"), noise)
        if gate:
            server.let_load()
        answers = server.answers(range(len(NOISE)))
        assert all(answer["result"]["tools"] for answer in answers.values())
        status, rest, _ = server.end()
    assert (status, rest) == (0, b"")


def test_lists_are_answered_before_anything_is_loaded(tmp_path: Path) -> None:
    with StdioProcess(environment(tmp_path), gate=True) as server:
        server.send(initialize("first"), INITIALIZED, *(request(method, method) for method in LISTS))
        found = [server.receive()["id"] for _ in range(1 + len(LISTS))]
        assert found == ["first", *LISTS]
        server.send(request("call", "tools/call", ESTIMATE), request(5, "ping"))
        assert server.receive() == {"jsonrpc": "2.0", "id": 5, "result": {}}
        server.let_load()
        assert not server.receive()["result"].get("isError")


def test_the_end_of_input_while_loading_ends_the_process_at_once(tmp_path: Path) -> None:
    with StdioProcess(environment(tmp_path), gate=True) as server:
        server.send(initialize(1), INITIALIZED)
        server.receive()
        status, rest, text = server.end()
    assert (status, rest) == (0, b"")
    assert "Traceback" not in text


@pytest.mark.parametrize("gate", [False, True])
def test_requests_before_the_end_of_input_are_answered(tmp_path: Path, gate: bool) -> None:
    session = [initialize(1), INITIALIZED, *(request(number, "tools/call", ESTIMATE) for number in range(2, 12))]
    with StdioProcess(environment(tmp_path), gate=gate) as server:
        server.send(*session)
        # The last line has no end.
        server.send(json.dumps(request("last", "ping")).encode())
        server.stdin.close()
        if gate:
            server.let_load()
        answers = server.answers([*ids_of(session), "last"])
        assert server.stdout.read() == b""
        assert server.process.wait(60) == 0
    assert all("result" in answer for answer in answers.values())


def test_a_request_cancelled_while_loading_is_never_started(tmp_path: Path, fake_provider: FakeProvider) -> None:
    env = environment(tmp_path, WATTPROOF_OFFLINE="0")
    with StdioProcess(env, gate=True, base_url=fake_provider.base_url) as server:
        server.send(initialize(1), INITIALIZED, request(2, "tools/call", RUN), cancelled("2"))
        server.send(request(3, "tools/call", ESTIMATE))
        server.let_load()
        assert server.answers([1, 3]).keys() == {"1", "3"}
        server.send(request(4, "tools/call", RUN))
        assert not server.receive()["result"].get("isError")
        status, rest, _ = server.end()
    assert (status, rest) == (0, b"")
    assert len(fake_provider.received) == 1


def test_stray_prints_never_reach_the_client(tmp_path: Path) -> None:
    with StdioProcess(environment(tmp_path), gate=True) as server:
        server.send(stateless(1, "server/discover"))
        server.receive()
        server.let_load()
        server.send(stateless(2, "tools/call", ESTIMATE))
        server.answers([2])
        status, rest, text = server.end()
    assert (status, rest) == (0, b"")
    for where in ("while loading", "while serving"):
        assert f"stray print {where}" in text
        assert f"stray child {where}" in text


def test_the_sdk_knows_the_client_that_was_answered_before_it_was_there(tmp_path: Path) -> None:
    code = (
        "import os\nfrom wattproof.server import faststart\n"
        "def load(settings):\n"
        "    from mcp.server import MCPServer\n"
        "    from mcp.server.mcpserver import Context\n"
        "    async def who(ctx: Context) -> str:\n"
        "        client = ctx.session.client_params\n"
        "        return client.model_dump_json(by_alias=True, exclude_none=True)\n"
        "    server = MCPServer('x')\n    server.add_tool(who, structured_output=False)\n    return server\n"
        "faststart.load_server = load\nraise SystemExit(faststart.serve_stdio(os.environ))\n"
    )
    script = tmp_path / "who.py"
    script.write_text(code)
    capabilities: dict[str, Any] = {"elicitation": {"form": {}}, "roots": {"listChanged": True}, **VIEWS}
    with StdioProcess(environment(tmp_path), arguments=[str(script)]) as server:
        server.send(initialize(1, "2025-06-18", capabilities), INITIALIZED)
        server.send(request(2, "tools/call", {"name": "who", "arguments": {}}))
        answer = server.answers([1, 2])["2"]
    known = json.loads(answer["result"]["content"][0]["text"])
    assert known["clientInfo"] == {"name": "test", "version": "1"}
    assert known["capabilities"] == capabilities
    assert known["protocolVersion"] == "2025-06-18"


@pytest.mark.parametrize("gate", [False, True])
def test_a_client_that_no_longer_reads_ends_the_process_quietly(tmp_path: Path, gate: bool) -> None:
    with StdioProcess(environment(tmp_path), gate=gate) as server:
        server.send(initialize(1), INITIALIZED)
        server.receive()
        if not gate:
            server.send(request(2, "tools/call", ESTIMATE))
            server.receive()
        server.stdout.close()
        server.send(request(3, "tools/list"))
        assert server.process.wait(60) == 0
        assert "Traceback" not in server.stderr.read().decode()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_closes_what_is_open(tmp_path: Path, number: signal.Signals, status: int) -> None:
    with StdioProcess(environment(tmp_path), gate=True) as server:
        server.let_load()
        server.send(initialize(1), request(2, "tools/call", ESTIMATE))
        server.answers([1, 2])
        server.process.send_signal(number)
        assert server.process.wait(60) == status
        text = server.stderr.read().decode()
    assert text.endswith("closed\n")
    assert "Traceback" not in text


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, -15), (signal.SIGINT, 130)])
def test_a_signal_while_loading_ends_the_process(tmp_path: Path, number: signal.Signals, status: int) -> None:
    with StdioProcess(environment(tmp_path), gate=True) as server:
        server.send(initialize(1), request(2, "tools/call", ESTIMATE))
        assert server.receive()["id"] == 1
        while "stray child" not in server.stderr.readline().decode():
            continue
        server.process.send_signal(number)
        assert server.process.wait(60) == status
        assert "Traceback" not in server.stderr.read().decode()


def test_a_message_longer_than_the_limit_is_dropped_and_said(tmp_path: Path) -> None:
    with StdioProcess(environment(tmp_path)) as server:
        server.send(initialize(1), b"x" * (17 * 2**20) + b"\n", request(2, "tools/list"))
        assert server.receive()["id"] == 1
        refused = server.receive()
        assert refused["id"] is None
        assert "longer than 16777216 bytes" in refused["error"]["message"]
        assert server.receive()["id"] == 2


def test_a_large_answer_reaches_a_client_that_reads_slowly(tmp_path: Path) -> None:
    with StdioProcess(environment(tmp_path)) as server:
        server.send(initialize(1), request(0, "tools/call", ESTIMATE))
        server.answers([1, 0])
        # Far more than a pipe holds, before the first line is read.
        server.send(*(request(number, "resources/read", {"uri": "wattproof://providers"}) for number in range(2, 40)))
        answers = server.answers(range(2, 40))
    assert len({json.dumps(answer["result"]) for answer in answers.values()}) == 1


@pytest.mark.parametrize("fast", ["1", "0"])
def test_a_wrong_setting_is_told_before_anything_is_served(tmp_path: Path, fast: str) -> None:
    env = environment(tmp_path, WATTPROOF_PROFILES="opps", WATTPROOF_FAST_START=fast)
    with StdioProcess(env) as server:
        assert server.process.wait(60) == 2
        assert server.stdout.read() == b""
        text = server.stderr.read().decode()
    assert "opps" in text
    assert text.count("\n") == 1


def test_profiles_of_the_configuration_are_listed_before_anything_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('profiles = ["ops"]\napps = "on"\n')
    with StdioProcess(environment(tmp_path), gate=True) as server:
        server.send(initialize(1), request(2, "tools/list"))
        answer = server.answers([1, 2])["2"]
    tools = {tool["name"]: tool for tool in answer["result"]["tools"]}
    assert "recommend_window" in tools
    assert "ui" in tools["run_inference"]["_meta"]


HEAVY = (
    "asyncio",
    "anyio",
    "pydantic",
    "mcp",
    "wattproof.server.open",
    "wattproof.tools",
    "wattproof.methodology.methods",
)


def test_nothing_heavy_is_imported_before_the_first_reply(tmp_path: Path) -> None:
    code = (
        "import json, os, sys\nfrom wattproof.server import faststart\n"
        "def load(settings):\n    sys.stderr.write(json.dumps(sorted(sys.modules)) + '\\n')\n    os._exit(0)\n"
        "faststart.load_server = load\nfaststart.serve_stdio(os.environ)\n"
    )
    with StdioProcess(environment(tmp_path), arguments=["-c", code]) as server:
        server.send(initialize(1))
        assert server.receive()["result"]["serverInfo"]["name"] == "wattproof"
        loaded = json.loads(server.stderr.readline())
    assert [name for name in HEAVY if name in loaded] == []


def test_with_a_stale_snapshot_the_sdk_answers_everything(tmp_path: Path) -> None:
    code = (
        "import sys, wattproof\nwattproof.__version__ = '9.9.9'\n"
        "from wattproof.__main__ import main\nsys.exit(main([]))\n"
    )
    session = [initialize(1), INITIALIZED, request(2, "tools/list"), request(3, "tools/call", ESTIMATE)]
    with StdioProcess(environment(tmp_path), arguments=["-c", code]) as server:
        server.send(*session)
        answers = server.answers([1, 2, 3])
        status, rest, _ = server.end()
    assert (status, rest) == (0, b"")
    assert answers["1"]["result"]["serverInfo"]["version"] == "9.9.9"
    assert not answers["3"]["result"].get("isError")


def test_a_file_of_requests_is_served_to_its_end(tmp_path: Path) -> None:
    lines = [initialize(1), INITIALIZED, request(2, "tools/call", ESTIMATE), request(3, "ping")]
    path = tmp_path / "requests.jsonl"
    path.write_text("\r\n".join(json.dumps(line) for line in lines))
    env = environment(tmp_path)
    with path.open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-m", "wattproof"], stdin=file, capture_output=True, env=env, timeout=60, check=False
        )
    assert done.returncode == 0
    assert {json.loads(line)["id"] for line in done.stdout.splitlines()} == {1, 2, 3}


def test_sockets_that_do_not_block_serve_as_well_as_pipes(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    command, env, end = [sys.executable, "-m", "wattproof"], environment(tmp_path), theirs.fileno()
    with ours, subprocess.Popen(command, stdin=end, stdout=end, stderr=subprocess.DEVNULL, env=env) as process:
        theirs.close()
        with ours.makefile("rwb") as stream:
            for number in range(3):
                stream.write(json.dumps(request(f"early {number}", "ping")).encode() + b"\n")
            stream.write(json.dumps(initialize(0)).encode() + b"\n")
            for number in range(1, 40):
                read = request(number, "resources/read", {"uri": "wattproof://providers"})
                stream.write(json.dumps(read).encode() + b"\n")
            stream.flush()
            found = [json.loads(stream.readline())["id"] for _ in range(43)]
            assert sorted(map(str, found)) == sorted(map(str, [*range(40), "early 0", "early 1", "early 2"]))
            ours.shutdown(socket.SHUT_WR)
            assert stream.readline() == b""
        assert process.wait(60) == 0


def test_a_run_that_outlasts_the_input_is_cut_short_and_settled(tmp_path: Path, fake_provider: FakeProvider) -> None:
    fake_provider.script("hang")
    env = environment(tmp_path, WATTPROOF_OFFLINE="0")
    with StdioProcess(env, gate=True, base_url=fake_provider.base_url) as server:
        server.let_load()
        server.send(initialize(1), request(2, "tools/call", RUN))
        assert server.receive()["id"] == 1
        status, rest, text = server.end()
    fake_provider.release()
    assert status == 0
    assert json.loads(rest)["error"]["message"] == "Connection closed"
    assert text.endswith("closed\n")


ASKING = """
import os
from pydantic import BaseModel
from wattproof.server import faststart

class Answer(BaseModel):
    approve: bool

def load(settings):
    from mcp.server import MCPServer
    from mcp.server.mcpserver import Context
    async def ask(ctx: Context) -> str:
        answer = await ctx.elicit("May I?", Answer)
        return f"{answer.action} {answer.data}"
    server = MCPServer("asking")
    server.add_tool(ask, structured_output=False)
    return server

faststart.load_server = load
raise SystemExit(faststart.serve_stdio(os.environ))
"""


async def test_a_client_that_was_answered_early_can_be_asked(tmp_path: Path) -> None:
    asked: list[str] = []

    async def approve(context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action="accept", content={"approve": True})

    parameters = StdioServerParameters(command=sys.executable, args=["-c", ASKING], env=environment(tmp_path))
    async with Client(parameters, mode="legacy", elicitation_callback=approve) as client:
        assert client.server_info is not None
        assert client.server_info.name == "wattproof"
        result = await client.call_tool("ask", {})
    assert asked == ["May I?"]
    assert result.content[0].model_dump()["text"] == "accept approve=True"
