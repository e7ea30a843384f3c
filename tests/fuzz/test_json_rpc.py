"""The layer below the tools, over real pipes: whatever bytes arrive, the server stays, and says nothing it should not.

Every test ends with a request that must be answered. `WATTPROOF_FUZZ` says how many messages are made up.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("WATTPROOF_FUZZ", "25"))
IS_LONG = "WATTPROOF_FUZZ" in os.environ
ROOT = Path(__file__).parents[2]
SECONDS = 60.0
MOST_RESIDENT_MB = 400

FOREIGN = re.compile(r"Traceback|File \\?\"|errors\.pydantic|site-packages", re.IGNORECASE)
ESTIMATE: dict[str, Any] = {"model": "gpt-oss-120b", "input_tokens": 1000, "output_tokens": 400, "zone": "FR"}
INITIALIZE: dict[str, Any] = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "fuzz", "version": "1"},
}
ENVELOPE: dict[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "fuzz", "version": "1"},
}


class Piped:
    """A server in its own process. Lines that it writes are read by a thread, so that it can never block on us."""

    def __init__(self, home: Path, **environ: str) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("WATTPROOF_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "wattproof"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**kept, "WATTPROOF_HOME": str(home), "PYTHONPATH": str(ROOT), **environ},
        )
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._number = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            for line in stdout:
                self._lines.put(line)
        self._lines.put(None)

    def send(self, *lines: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"".join(line + b"\n" for line in lines))
        self._process.stdin.flush()

    def request(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask, and give back the answer; whatever is written before it is looked at on the way."""
        self._number += 1
        asked = f"ours-{self._number}"
        self.send(json.dumps({"jsonrpc": "2.0", "id": asked, "method": method, "params": params or {}}).encode())
        return next(message for message in self.messages() if message.get("id") == asked)

    def messages(self) -> Iterator[dict[str, Any]]:
        """What the server writes, each line checked."""
        while True:
            line = self._lines.get(timeout=SECONDS)
            assert line is not None, "the server has ended"
            assert not FOREIGN.search(line.decode()), line[:500]
            message = json.loads(line)
            assert message["jsonrpc"] == "2.0"
            yield message

    def initialize(self) -> None:
        assert "result" in self.request("initialize", INITIALIZE)
        self.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')

    def require_alive(self) -> None:
        answer = self.request("tools/call", {"name": "estimate_request", "arguments": ESTIMATE})
        assert answer["result"]["structuredContent"]["provenance"]["region_scope"] == "FR"

    def resident_mb(self) -> float:
        status = Path(f"/proc/{self._process.pid}/status")
        if not status.exists():
            pytest.skip("no /proc here")
        return int(re.findall(r"VmRSS:\s+(\d+)", status.read_text())[0]) / 1024

    def end(self) -> int:
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        status = self._process.wait(SECONDS)
        self._reader.join(SECONDS)
        return status


@pytest.fixture
def piped(tmp_path: Path) -> Iterator[Piped]:
    server = Piped(tmp_path / "home")
    yield server
    assert server.end() == 0


def call(**params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()


def explain(subject: bytes) -> bytes:
    """A call whose argument is these very bytes."""
    return call(name="explain", arguments={"subject": "x"}).replace(b'"x"', subject)


MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "blank": b"   ",
    "garbage": b"garbage",
    "half": b'{"jsonrpc":"2.0","id":1,"method":',
    "array": b"[]",
    "batch": b'[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]',
    "null": b"null",
    "number": b"7",
    "text": b'"x"',
    "another version": b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
    "no version": b'{"id":1,"method":"ping"}',
    "no method": b'{"jsonrpc":"2.0","id":1}',
    "method is a number": b'{"jsonrpc":"2.0","id":1,"method":7}',
    "unknown method": b'{"jsonrpc":"2.0","id":1,"method":"no/such"}',
    "long method": b'{"jsonrpc":"2.0","id":1,"method":"' + b"m" * 100_000 + b'"}',
    "params is a number": b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":7}',
    "params is a list": b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[1]}',
    "params is null": b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":null}',
    "cursor is an object": b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":{}}}',
    "meta is a number": b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":7}}',
    "progress token is an object": call(name="explain", arguments={}, _meta={"progressToken": {}}),
    "version is a list": call(name="explain", _meta={"io.modelcontextprotocol/protocolVersion": []}),
    "id is null": b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
    "id is an object": b'{"jsonrpc":"2.0","id":{},"method":"ping"}',
    "id is a fraction": b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
    "id is huge": b'{"jsonrpc":"2.0","id":' + b"9" * 400 + b',"method":"ping"}',
    "id is long": b'{"jsonrpc":"2.0","id":"' + b"i" * 100_000 + b'","method":"ping"}',
    "answer to nothing": b'{"jsonrpc":"2.0","id":99,"result":{}}',
    "error to nothing": b'{"jsonrpc":"2.0","id":99,"error":{"code":1,"message":"x"}}',
    "unknown notification": b'{"jsonrpc":"2.0","method":"notifications/no_such","params":{}}',
    "cancels nothing": b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":12345}}',
    "cancels an object": b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{}}}',
    "call without a name": call(arguments={}),
    "name is a number": call(name=7, arguments={}),
    "arguments is a list": call(name="explain", arguments=[1]),
    "arguments is text": call(name="explain", arguments="{}"),
    "arguments is null": call(name="explain", arguments=None),
    "unknown tool": call(name="\x1b[31m" * 100, arguments={}),
    "lone surrogate": explain(b'"\\ud800"'),
    "surrogate name": explain(b'{"\\udfff":1}'),
    "not a number": explain(b"NaN"),
    "beyond any float": explain(b"1e999"),
    "a million digits": explain(b"9" * 1_000_000),
    "the same key twice": b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping","method":"tools/list"}',
    "not UTF-8": b'{"jsonrpc":"2.0","id":1,"method":"\xff\xfe\xc3\x28"}',
    "bare bytes": bytes(range(1, 10)) + bytes(range(11, 256)),
    "zero bytes": b"\x00" * 1000,
    "byte order mark": b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"ping"}',
    "carriage return": b'{"jsonrpc":"2.0","id":1,"method":"ping"}\r',
    "deep": b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep and open": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep arguments": explain(b"[" * 900 + b"]" * 900),
}


def test_malformed_lines_to_a_session_change_nothing(piped: Piped) -> None:
    piped.initialize()
    for name, line in MALFORMED.items():
        piped.send(line)
        assert "result" in piped.request("ping"), name
    piped.require_alive()


def test_malformed_lines_before_anything_else_change_nothing(tmp_path: Path) -> None:
    """They arrive while the server is loading, when another reader holds the pipe."""
    server = Piped(tmp_path / "home")
    server.send(*MALFORMED.values())
    server.initialize()
    server.require_alive()
    assert server.end() == 0


@pytest.mark.skipif(not IS_LONG, reason="the SDK's own transport, which nobody is served by; make fuzz")
def test_malformed_lines_without_the_fast_start_change_nothing(tmp_path: Path) -> None:
    server = Piped(tmp_path / "home", WATTPROOF_FAST_START="0")
    server.send(*MALFORMED.values())
    server.initialize()
    server.require_alive()
    assert server.end() == 0


def test_huge_lines_are_answered_and_given_back(piped: Piped) -> None:
    piped.initialize()
    piped.require_alive()
    before = piped.resident_mb()
    for size in (10_000_000,) * (5 if IS_LONG else 1):
        answer = piped.request("tools/call", {"name": "explain", "arguments": {"subject": "x" * size}})
        assert answer["result"]["isError"] is True
        assert len(json.dumps(answer)) < 2_000
        piped.send(b"x" * size, call(name="y" * size, arguments={}))
    piped.require_alive()
    assert piped.resident_mb() < before + 150
    assert piped.resident_mb() < MOST_RESIDENT_MB


def test_calls_cancellations_and_repeated_ids_interleave(piped: Piped) -> None:
    piped.initialize()
    lines: list[bytes] = []
    for at in range(300 if IS_LONG else 60):
        number = at % 20  # every id several times
        asked = {
            "name": "estimate_request",
            "arguments": {**ESTIMATE, "methods": "all"},
            "_meta": {"progressToken": at},
        }
        lines.append(json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": asked}).encode())
        if at % 3 == 0:
            cancelled = {"requestId": number, "reason": "changed my mind\x1b[0m"}
            note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled}
            lines.append(json.dumps(note).encode())
    piped.send(*lines)
    piped.require_alive()


def test_both_eras_interleave_on_one_pipe(piped: Piped) -> None:
    asked = {"name": "estimate_request", "arguments": ESTIMATE}
    for _ in range(3):
        stateless = piped.request("tools/call", {**asked, "_meta": ENVELOPE})
        assert stateless["result"]["structuredContent"]["provenance"]["region_scope"] == "FR"
    assert "result" in piped.request("server/discover", {"_meta": ENVELOPE})


def test_the_end_of_input_in_the_middle_of_a_line_ends_the_server(tmp_path: Path) -> None:
    server = Piped(tmp_path / "home")
    server.initialize()
    server.send(call(name="estimate_request", arguments=ESTIMATE))
    assert server._process.stdin is not None  # pyright: ignore[reportPrivateUsage]
    server._process.stdin.write(b'{"jsonrpc":"2.0","id":5,"meth')  # pyright: ignore[reportPrivateUsage]
    assert server.end() == 0


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
METHODS = """
    initialize ping tools/list tools/call resources/list resources/read resources/templates/list prompts/list
    prompts/get completion/complete server/discover logging/setLevel resources/subscribe resources/unsubscribe
    notifications/initialized notifications/cancelled notifications/progress tasks/get elicitation/create
"""
methods = st.sampled_from(METHODS.split())
names = st.sampled_from(["estimate_request", "explain", "verify_receipt", "footprint_report", "audit_a_receipt", "x"])
params = st.fixed_dictionaries(
    {},
    optional={
        "name": names | anything,
        "arguments": st.dictionaries(st.sampled_from(["model", "subject", "receipt", "task"]), anything) | anything,
        "uri": st.sampled_from(["wattproof://providers", "wattproof://zones/FR", "wattproof://receipts/x", "ui://x"])
        | anything,
        "ref": st.fixed_dictionaries({"type": st.sampled_from(["ref/prompt", "ref/resource"]), "name": names})
        | anything,
        "argument": st.fixed_dictionaries({"name": st.text(max_size=9), "value": st.text(max_size=9)}) | anything,
        "cursor": anything,
        "requestId": anything,
        "_meta": st.sampled_from([ENVELOPE, {"progressToken": 1}]) | anything,
    },
)
messages = st.fixed_dictionaries(
    {"jsonrpc": st.sampled_from(["2.0", "2.0", "2.0", 2.0, None]), "method": methods | anything},
    optional={"id": st.integers(0, 3) | anything, "params": params | anything},
)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Piped]:
    server = Piped(tmp_path_factory.mktemp("fuzz") / "home")
    server.initialize()
    yield server
    server.require_alive()
    assert server.resident_mb() < MOST_RESIDENT_MB
    assert server.end() == 0


@settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
    phases=(Phase.explicit, Phase.generate),
)
@given(batch=st.lists(messages, min_size=1, max_size=5), junk=st.binary(max_size=50))
def test_made_up_messages_leave_the_server_as_it_was(serving: Piped, batch: list[Any], junk: bytes) -> None:
    serving.send(*(json.dumps(message).encode() for message in batch), junk.replace(b"\n", b" "))
    assert "result" in serving.request("ping")
