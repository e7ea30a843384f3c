"""Raw bytes on the socket: whatever comes, the server answers it or hangs up, and goes on serving."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import select
import socket
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wattproof.server.app import build_server
from wattproof.server.http import build_http_app
from wattproof.server.serving.calls import Calls
from wattproof.server.serving.drain import Drain
from wattproof.server.serving.health import Remembered
from wattproof.server.serving.house import House
from wattproof.server.serving.limits import Limits
from wattproof.server.serving.process import ServingProcess
from wattproof.server.serving.rates import RateTable
from wattproof.server.serving.watch import ServerWatch

if TYPE_CHECKING:
    from tests.fakes.installation import Installation

TOKEN = "a-long-random-word-for-tests"
HEAD = f"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {TOKEN}\r\n"
KINDS = "content-type: application/json\r\naccept: application/json, text/event-stream\r\n"
MOST_BYTES = 200_000


@dataclass(frozen=True)
class Wire:
    """A server in a thread, with little patience: 0.15 s for a head, 0.3 s for a body, 20 connections."""

    port: int

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def send(self, data: bytes, *, then_close: bool = True) -> bytes:
        """What comes back for these bytes, until the server closes or is silent; b"" when it hangs up."""
        with self.connect() as connection:
            with contextlib.suppress(OSError):
                connection.sendall(data)
                if then_close:
                    connection.shutdown(socket.SHUT_WR)
            return drained(connection)

    def post(self, body: bytes, more: str = KINDS) -> bytes:
        head = f"{HEAD}{more}connection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode("latin-1")
        return self.send(head + body, then_close=False)

    def alive(self) -> None:
        assert httpx2.get(f"http://127.0.0.1:{self.port}/healthz", timeout=10).status_code == 200


def drained(connection: socket.socket) -> bytes:
    received = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65536):
            received += data
    return bytes(received)


def statuses(answer: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Generator[Wire]:
    """One server for all the tests of this module: they also show that it outlives each of them."""
    from tests.fakes.installation import Installation

    installation = Installation(tmp_path_factory.mktemp("fuzz") / "home")
    with serving(installation) as wire:
        yield wire


@contextlib.contextmanager
def serving(installation: Installation) -> Generator[Wire]:
    limits = Limits(calls=None, runs=None, at_once=None, at_once_all=None, grace_s=0)
    house = House(limits, RateTable(time.monotonic), Drain(), None, Calls(), ServerWatch(None))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Inherited by each connection, so that few unread answers fill it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        port: int = listener.getsockname()[1]
        opened = Remembered(installation.open)
        server = build_server(opened)
        app = build_http_app(
            server,
            token=TOKEN,
            host="127.0.0.1",
            port=port,
            allow_keyed_runs=True,
            allowed_hosts=["127.0.0.1"],
            house=house,
        )
        front = house.front(app, opened, max_body_bytes=MOST_BYTES, body_s=0.3)
        process = ServingProcess(front, house.drain, grace_s=0, head_s=0.15, unread_s=0.3, most_connections=20)
        thread = threading.Thread(target=process.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Wire(port)
        finally:
            process.stop()
            thread.join(20)
            house.rates.close()


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Generator[None]:
    """Nothing that a client sends is an error of the server's."""
    yield
    loud = [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info]
    assert not loud, loud


LINES = {
    "nothing": b"\r\n\r\n",
    "words": b"hello there\r\n\r\n",
    "no version": b"GET /healthz\r\n\r\n",
    "wrong version": b"GET /healthz HTTP/9.9\r\n\r\n",
    "bare line feeds": b"GET /healthz HTTP/1.1\nhost: x\n\n",
    "control bytes": b"GET /\x00\x01 HTTP/1.1\r\nhost: x\r\n\r\n",
    "high bytes": b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\nhost x\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nhost: x\r\n folded\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nhost : x\r\n\r\n",
    "two lengths": b"POST /mcp HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    "a negative length": b"POST /mcp HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\nhello",
    "a length and chunks": b"POST /mcp HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n"
    b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "an unknown encoding": b"POST /mcp HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + b"\x00" * 64,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a proxy line": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n",
    "CONNECT": b"CONNECT example.test:443 HTTP/1.1\r\nhost: example.test\r\n\r\n",
    "a long method": b"A" * 20_000 + b" / HTTP/1.1\r\nhost: x\r\n\r\n",
    "endless headers": b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 30_000,
    "one endless header": b"GET / HTTP/1.1\r\nx: " + b"y" * 200_000,
    "a whole head that is too large": b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 60_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("data", LINES.values(), ids=LINES.keys())
def test_what_is_no_request_is_refused_or_hung_up_on(wire: Wire, data: bytes) -> None:
    answer = wire.send(data)
    assert all(status < 500 for status in statuses(answer))
    assert b"Traceback" not in answer
    assert answer.count(b"nosniff") == len(statuses(answer))
    wire.alive()


CHUNKS = {
    "no size": b"\r\nhello\r\n",
    "a size that is no number": b"zz\r\nhello\r\n",
    "a negative size": b"-5\r\nhello\r\n",
    "a huge size": b"fffffffffffffffffffff\r\nhello\r\n",
    "a wrong size": b"3\r\nhello\r\n0\r\n\r\n",
    "a long extension": b"5;" + b"x" * 50_000 + b"\r\nhello\r\n",
    "too many bytes": (b"8000\r\n" + b"x" * 0x8000 + b"\r\n") * 8 + b"0\r\n\r\n",
    "an end that does not come": b"5\r\nhello\r\n",
}


@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS.keys())
def test_bad_chunks_are_refused(wire: Wire, chunks: bytes) -> None:
    answer = wire.send(f"{HEAD}{KINDS}transfer-encoding: chunked\r\n\r\n".encode() + chunks, then_close=False)
    assert all(status in (400, 408, 413) for status in statuses(answer))
    assert len(statuses(answer)) <= 1
    wire.alive()


EXPLAIN = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"explain","arguments":{"subject":'
BODIES = {
    "nothing": b"",
    "no JSON": b"hello",
    "invalid UTF-8": b'{"jsonrpc":"2.0","id":1,"method":"\xff\xfe"}',
    "UTF-16": '{"jsonrpc":"2.0","id":1,"method":"ping"}'.encode("utf-16"),
    "a zero byte": b'{"jsonrpc":"2.0","id":1,"method":"ping"}\x00',
    "deep lists": b"[" * 90_000,
    "deep objects": b'{"a":' * 30_000 + b"1" + b"}" * 30_000,
    "deep arguments": EXPLAIN + b"[" * 900 + b"]" * 900 + b"}}}",
    "a huge number": b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"ping"}',
    "infinity": b'{"jsonrpc":"2.0","id":1e999,"method":"ping"}',
    "a list": b"[1,2,3]",
    "an empty object": b"{}",
    "a null": b"null",
    "an answer": b'{"jsonrpc":"2.0","id":1,"result":{}}',
    "an object as id": b'{"jsonrpc":"2.0","id":{},"method":"ping"}',
    "a method that is no text": b'{"jsonrpc":"2.0","id":1,"method":7}',
    "a name that is an object": b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":{},"arguments":{}}}',
    "a name that is a list": b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":[1],"arguments":[]}}',
    "a method that is a list": b'{"jsonrpc":"2.0","id":1,"method":["tools/call"],"params":[]}',
    "parameters that are no object": b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":"x"}',
    "a lone surrogate": EXPLAIN + b'"\\ud800"}}}',
    "twice the same key": b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}',
}


@pytest.mark.parametrize("version", ["", "mcp-protocol-version: 2026-07-28\r\n", "mcp-protocol-version: no\r\n"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_body_that_is_no_message_is_a_client_s_error(wire: Wire, body: bytes, version: str) -> None:
    answer = wire.post(body, KINDS + version)
    assert len(statuses(answer)) == 1
    assert statuses(answer)[0] < 500
    assert b"Traceback" not in answer
    assert b'File "' not in answer


@pytest.mark.parametrize(
    "kinds",
    [
        "content-type: text/plain\r\naccept: application/json, text/event-stream\r\n",
        "content-type: application/json; charset=utf-7\r\naccept: application/json, text/event-stream\r\n",
        "content-type: \xff\r\naccept: \xff\r\n",
        "accept: application/json, text/event-stream\r\n",
        "content-type: application/json\r\naccept: text/html\r\n",
        "content-type: application/json\r\naccept: " + "a/b, " * 3000 + "\r\n",
        KINDS + "content-encoding: gzip\r\n",
        KINDS + "expect: 100-continue\r\n",
        KINDS + "upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-key: x\r\n",
        KINDS + "mcp-session-id: \xff\x80\r\n",
        KINDS + "mcp-session-id: 1\r\nmcp-session-id: 2\r\n",
        KINDS + "last-event-id: 7\r\n",
        KINDS + "origin: null\r\n",
        KINDS + "host: evil.example\r\n",
    ],
)
def test_odd_headers_are_answered(wire: Wire, kinds: str) -> None:
    answer = wire.post(b'{"jsonrpc":"2.0","id":1,"method":"ping"}', kinds)
    assert statuses(answer)[-1] < 500
    assert b"Traceback" not in answer
    wire.alive()


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /healthz HTTP/1.0", 200),
        ("GET http://127.0.0.1/healthz HTTP/1.1", 404),
        ("GET //healthz HTTP/1.1", 404),
        ("GET /mcp/../healthz HTTP/1.1", 404),
        ("GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1", 404),
        ("GET /healthz%00 HTTP/1.1", 404),
        ("GET /healthz?x=%ff HTTP/1.1", 200),
        ("OPTIONS * HTTP/1.1", 404),
        ("HEAD /readyz HTTP/1.1", 200),
        ("TRACE /mcp HTTP/1.1", 405),
        ("GET /metrics/ HTTP/1.1", 404),
    ],
)
def test_odd_request_lines_have_plain_answers(wire: Wire, request_line: str, status: int) -> None:
    known = f"host: 127.0.0.1\r\nauthorization: Bearer {TOKEN}\r\nconnection: close\r\n\r\n"
    answer = wire.send(f"{request_line}\r\n{known}".encode(), then_close=False)
    found = statuses(answer)
    assert found in ([status], [307] if request_line.startswith("GET /metrics/") else [status])
    if request_line.startswith("HEAD"):
        assert answer.endswith(b"\r\n\r\n")


def test_pipelined_requests_are_answered_in_their_order(wire: Wire) -> None:
    first = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    missing = f"GET /missing HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n".encode()
    last = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    assert statuses(wire.send(first + missing + last, then_close=False)) == [200, 404, 200]


def test_a_smuggled_request_is_not_answered(wire: Wire) -> None:
    inner = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    both = f"{HEAD}{KINDS}content-length: {len(inner)}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".encode()
    assert statuses(wire.send(both + inner, then_close=False)) == [400]


# -- slow and silent clients -------------------------------------------------------------------------------------------


def ended_within(connection: socket.socket, at_most_s: float) -> bytes:
    began = time.monotonic()
    received = drained(connection)
    assert time.monotonic() - began < at_most_s
    return received


@pytest.mark.parametrize("begun", [b"", b"GET /hea", b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-a: "])
def test_a_head_that_does_not_come_to_its_end_is_hung_up_on(wire: Wire, begun: bytes) -> None:
    with wire.connect() as connection:
        connection.sendall(begun)
        assert ended_within(connection, 5) == b""


def test_dripping_a_head_wins_no_time(wire: Wire) -> None:
    with wire.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        began = time.monotonic()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while time.monotonic() - began < 5:
                connection.sendall(b"x: y\r\n")
                select.select([connection], [], [], 0.02)
        assert time.monotonic() - began < 3


def test_a_second_request_has_the_same_time_as_the_first(wire: Wire) -> None:
    with wire.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /heal")
        assert statuses(ended_within(connection, 5)) == [200]


@pytest.mark.parametrize("length", ["content-length: 100", "transfer-encoding: chunked"])
def test_a_body_that_does_not_come_to_its_end_is_answered_and_hung_up_on(wire: Wire, length: str) -> None:
    with wire.connect() as connection:
        connection.sendall(f"{HEAD}{KINDS}{length}\r\n\r\n5\r\nhello".encode())
        answer = ended_within(connection, 5)
    assert statuses(answer) == [408]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["data"] == {"limit": "body_s"}


def test_whoever_is_refused_cannot_go_on_sending_for_ever(wire: Wire) -> None:
    with wire.connect() as connection:
        connection.sendall(b"POST /mcp HTTP/1.1\r\nhost: x\r\ncontent-length: 150000\r\n\r\n")
        began = time.monotonic()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while time.monotonic() - began < 5:
                connection.sendall(b"x")
                select.select([connection], [], [], 0.02)
        assert time.monotonic() - began < 3


def test_a_client_that_closes_its_half_is_answered_or_let_go(wire: Wire) -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    head = f"{HEAD}{KINDS}content-length: {len(body)}\r\n\r\n".encode()
    assert statuses(wire.send(head + body)) in ([], [200])
    wire.alive()


def test_a_client_that_reads_nothing_is_given_up(wire: Wire) -> None:
    ask = f"GET /missing HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n".encode()
    with wire.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(0.5)
        began = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - began < 8:
                connection.sendall(ask * 200)
        # It stopped reading from us once nobody read its answers, and then hung up.
        connection.settimeout(10)
        drained(connection)
    wire.alive()


def test_more_connections_than_are_allowed_are_closed_and_the_rest_served(wire: Wire) -> None:
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(wire.connect()) for _ in range(40)]
        closed = 0
        for connection in held:
            connection.settimeout(5)
            with contextlib.suppress(ConnectionResetError):
                connection.recv(1)
            closed += 1
        assert closed == 40
    wire.alive()


# -- anything ----------------------------------------------------------------------------------------------------------

PARTS = st.sampled_from(
    [
        b"GET ", b"POST ", b"/mcp", b"/healthz", b" HTTP/1.1", b"\r\n", b"\r\n\r\n", b"host: x\r\n", b"\n", b":", b" ",
        b"content-length: 5\r\n", b"content-length: 99999999999999999999\r\n", b"transfer-encoding: chunked\r\n",
        b"5\r\nhello\r\n", b"0\r\n\r\n", b"expect: 100-continue\r\n", b"connection: close\r\n", b"\x00", b"\xff",
        HEAD.encode(), KINDS.encode(), b"{", b'"', b"[" * 50, b'{"jsonrpc":"2.0","id":1,"method":"ping"}',
    ]
)  # fmt: skip


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.lists(PARTS | st.binary(max_size=20), max_size=12).map(b"".join))
def test_no_sequence_of_bytes_is_answered_with_an_error_of_the_server(wire: Wire, data: bytes) -> None:
    answer = wire.send(data)
    assert all(status < 500 for status in statuses(answer))
    assert b"Traceback" not in answer


def test_after_all_of_it_the_server_answers_and_its_memory_is_bounded(wire: Wire) -> None:
    wire.alive()
    before = resident_bytes()
    large = EXPLAIN + b'"' + b"x" * (MOST_BYTES - 200) + b'"}}}'
    for _ in range(40):
        wire.post(large)
        wire.send(b"x" * 100_000)
    wire.alive()
    assert resident_bytes() - before < 60 << 20


def resident_bytes() -> int:
    fields = Path("/proc/self/statm").read_text().split() if Path("/proc/self/statm").exists() else ["0", "0"]
    return int(fields[1]) * 4096
