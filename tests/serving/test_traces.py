"""Spans: those that the SDK makes, those of model calls beneath them, and where they go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import httpx2
import pytest
from mcp import Client
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from wattproof.methodology.errors import InvalidInput, Unavailable
from wattproof.server.app import build_server
from wattproof.server.serving.calls import Calls
from wattproof.server.serving.telemetry import in_trace_of_headers, wanted_export
from wattproof.server.serving.watch import ServerWatch

if TYPE_CHECKING:
    from tests.fakes.installation import Installation
    from tests.fakes.provider import FakeProvider
    from tests.serving.conftest import OpenHouse, Serve

ROOT = Path(__file__).parents[2]
SECRET = "zebra-secret"
RUN: dict[str, Any] = {
    "model": "gpt-oss-120b",
    "messages": [{"role": "user", "content": f"the word is {SECRET}"}],
    "max_output_tokens": 50,
    "temperature": 0.5,
}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


class Kept(InMemorySpanExporter):
    """Keeps spans while a test looks at them; the provider stays for as long as the process."""

    wanted = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return super().export(spans) if self.wanted else SpanExportResult.SUCCESS


_EXPORTER = Kept()


@pytest.fixture
def spans() -> Generator[InMemorySpanExporter]:
    """Where the spans of this process are kept. OpenTelemetry takes one provider per process."""
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    if not getattr(provider, "_kept_for_tests", False):
        provider.add_span_processor(SimpleSpanProcessor(_EXPORTER))
        provider._kept_for_tests = True  # type: ignore[attr-defined]
    _EXPORTER.wanted = True
    yield _EXPORTER
    _EXPORTER.wanted = False
    _EXPORTER.clear()


def context_of(span: ReadableSpan) -> trace.SpanContext:
    context = span.get_span_context()
    assert context is not None
    return context


def named(spans: InMemorySpanExporter, name: str) -> ReadableSpan:
    # The client of the test makes spans of its own.
    (found,) = [s for s in spans.get_finished_spans() if s.name == name and s.kind is not trace.SpanKind.INTERNAL]
    return found


async def test_a_model_call_is_a_span_under_the_tool_call_with_what_it_used(
    at_fake: Installation, spans: InMemorySpanExporter
) -> None:
    at_fake.watch = ServerWatch(None)
    async with Client(build_server(at_fake.open, calls=Calls())) as client:
        result = await client.call_tool("run_inference", RUN)
    assert not result.is_error
    chat = named(spans, "chat openai/gpt-oss-120b")
    tools = [span for span in spans.get_finished_spans() if span.name == "tools/call run_inference"]
    tool = next(span for span in tools if span.kind is trace.SpanKind.SERVER)
    assert chat.parent is not None
    assert chat.parent.span_id == context_of(tool).span_id
    assert chat.kind is trace.SpanKind.CLIENT
    shown = dict(chat.attributes or {})
    assert shown.pop("server.port") > 0  # type: ignore[operator]
    assert shown == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "fake",
        "gen_ai.request.model": "openai/gpt-oss-120b",
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.response.model": "gpt-oss-120b-2026",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 42,
        "gen_ai.usage.output_tokens": 8,
        "server.address": "127.0.0.1",
        "wattproof.deployment": "fake/gpt-oss-120b",
        "wattproof.usage_source": "provider",
    }
    of_tool = dict(tool.attributes or {})
    assert of_tool["gen_ai.operation.name"] == "execute_tool"
    assert of_tool["wattproof.methodology"] == "wattproof/param@1.0.0"
    assert of_tool["wattproof.energy.median_wh"] > 0  # type: ignore[operator]
    assert of_tool["wattproof.carbon.median_gco2e"] > 0  # type: ignore[operator]
    assert str(of_tool["wattproof.receipt_id"]).startswith("r_")
    told = "".join(span.to_json() for span in spans.get_finished_spans())
    assert SECRET not in told
    assert "Paris" not in told


@pytest.mark.parametrize(("mode", "code"), [("500", "http_500"), ("cut_mid", "cut_stream")])
async def test_a_failed_model_call_says_its_reason(
    at_fake: Installation, fake_provider: FakeProvider, spans: InMemorySpanExporter, mode: str, code: str
) -> None:
    fake_provider.script(mode)
    at_fake.watch = ServerWatch(None)
    async with Client(build_server(at_fake.open)) as client:
        assert (await client.call_tool("run_inference", RUN)).is_error
    chat = named(spans, "chat openai/gpt-oss-120b")
    assert (chat.attributes or {})["error.type"] == code
    assert chat.status.status_code is trace.StatusCode.ERROR
    assert chat.events == ()
    assert "please retry" not in "".join(span.to_json() for span in spans.get_finished_spans())


async def test_a_call_belongs_to_the_trace_of_its_header_and_that_of_its_meta_goes_first(
    open_house: OpenHouse, spans: InMemorySpanExporter
) -> None:
    async with open_house() as opened:
        front: Any = opened.app
        front._in_trace = in_trace_of_headers
        header = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        await opened.call("explain", {"subject": "wattproof/param"}, **header)
        other = "a" * 32
        meta = {"traceparent": f"00-{other}-{'b' * 16}-01"}
        params = {"name": "explain", "arguments": {"subject": "wattproof/param"}, "_meta": meta}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        await opened.http.post("/mcp", json=message, headers=header)
    first, second = [span for span in spans.get_finished_spans() if span.kind is trace.SpanKind.SERVER]
    assert context_of(first).trace_id == int(TRACE, 16)
    assert first.parent is not None
    assert first.parent.span_id == int(PARENT, 16)
    assert context_of(second).trace_id == int(other, 16)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_SERVICE_NAME": "x"},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"},
        {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"},
    ],
)
def test_nothing_is_sent_unless_it_is_asked_for(environ: dict[str, str]) -> None:
    assert wanted_export(environ) is None


def test_an_endpoint_alone_asks_for_otlp_over_http() -> None:
    export = wanted_export({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"})
    assert export is not None
    assert export.__name__ == "OTLPSpanExporter"
    assert "http" in export.__module__


def test_an_exporter_that_is_not_there_says_what_to_install() -> None:
    with pytest.raises(Unavailable, match=r"pip install 'wattproof\[telemetry\]'"):
        wanted_export({"OTEL_TRACES_EXPORTER": "no-such-exporter"})
    with pytest.raises(InvalidInput, match="OTEL_TRACES_EXPORTER"):
        wanted_export({"OTEL_TRACES_EXPORTER": "otlp,console"})


class Collector(BaseHTTPRequestHandler):
    """Takes what an exporter sends over HTTP."""

    received: ClassVar[list[bytes]]

    def do_POST(self) -> None:
        self.received.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: stderr belongs to the test."""


@contextmanager
def collecting() -> Generator[tuple[str, list[bytes]]]:
    """The endpoint of a collector, and what it received."""

    class Collecting(Collector):
        received: ClassVar[list[bytes]] = []

    with ThreadingHTTPServer(("127.0.0.1", 0), Collecting) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", Collecting.received
        server.shutdown()
        thread.join()


def spans_in(received: list[bytes]) -> tuple[list[Any], dict[str, str]]:
    """The spans of what was received, and the attributes of their resource."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    resources = [kept for body in received for kept in ExportTraceServiceRequest.FromString(body).resource_spans]
    named = {pair.key: pair.value.string_value for kept in resources for pair in kept.resource.attributes}
    return [span for kept in resources for scope in kept.scope_spans for span in scope.spans], named


def test_a_server_sends_its_spans_away_and_the_last_ones_when_it_stops(serve: Serve) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "run_inference", "arguments": RUN}}
    headers = {
        "Authorization": "Bearer a-long-random-word-for-tests",
        "Accept": "application/json, text/event-stream",
        "traceparent": f"00-{TRACE}-{PARENT}-01",
    }
    with (
        collecting() as (endpoint, received),
        serve(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, PYTHONWARNINGS="default") as serving,
    ):
        assert httpx2.post(f"{serving.url}/mcp", json=message, headers=headers, timeout=60).status_code == 200
    spans, named = spans_in(received)
    assert {span.name for span in spans} == {"tools/call run_inference", "chat gpt-oss"}
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    assert named["service.name"] == "wattproof"
    assert SECRET.encode() not in b"".join(received)
    (line,) = [line for line in serving.lines if '"call"' in line]
    assert TRACE in line


def test_over_stdio_spans_and_lines_are_written_where_they_are_asked_for(tmp_path: Path) -> None:
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    call = {"name": "explain", "arguments": {"subject": SECRET}}
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call},
    ]
    with collecting() as (endpoint, received):
        environ = {
            "PATH": os.defpath,
            "PYTHONPATH": str(ROOT),
            "WATTPROOF_HOME": str(tmp_path / "home"),
            "WATTPROOF_OFFLINE": "1",
            "WATTPROOF_LOG": "json",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{endpoint}/v1/traces",
        }
        done = subprocess.run(
            [sys.executable, "-m", "wattproof"],
            env=environ,
            input="".join(json.dumps(message) + "\n" for message in messages),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [1, 2]
    (line,) = map(json.loads, done.stderr.splitlines())
    assert (line["event"], line["tool"], line["outcome"], line["tenant"]) == ("call", "explain", "refused", None)
    spans, _ = spans_in(received)
    assert "tools/call explain" in {span.name for span in spans}
    assert SECRET not in done.stderr
    assert SECRET.encode() not in b"".join(received)


def test_without_a_wish_for_traces_their_sdk_is_not_even_imported() -> None:
    code = (
        "import sys; import wattproof.server.serving.house; "
        "print(any(name.startswith('opentelemetry.sdk') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
