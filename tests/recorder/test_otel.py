"""Spans of the real OpenTelemetry SDK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Status, StatusCode, Tracer

from wattproof.recorder import Recorder
from wattproof.recorder.otel import WattproofSpanProcessor
from wattproof.testing import Frozen

USAGE: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5-mini",
    "gen_ai.usage.input_tokens": 1200,
    "gen_ai.usage.output_tokens": 300,
    "gen_ai.usage.cache_read.input_tokens": 1000,
    "gen_ai.response.finish_reasons": ("stop",),
}


@pytest.fixture
def recorder(inputs: Frozen) -> Recorder:
    return inputs.recorder("op_1")


def tracer_of(recorder: Recorder) -> tuple[TracerProvider, Tracer]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(WattproofSpanProcessor(recorder))
    return provider, provider.get_tracer("test")


@pytest.fixture
def tracer(recorder: Recorder) -> Iterator[Tracer]:
    provider, tracer = tracer_of(recorder)
    yield tracer
    provider.shutdown()


def test_a_request_s_span_is_a_step(tracer: Tracer, recorder: Recorder) -> None:
    with tracer.start_as_current_span("chat gpt-5-mini", attributes=USAGE):
        pass
    found = recorder.status()
    assert (found.step_count, found.token_count) == (1, 1500)


def test_the_spans_of_an_agent_count_its_requests_only(tracer: Tracer, recorder: Recorder) -> None:
    agent = {**USAGE, "gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 2400}
    with tracer.start_as_current_span("invoke_agent", attributes=agent):
        for _ in range(2):
            with tracer.start_as_current_span("chat", attributes=USAGE):
                pass
        with tracer.start_as_current_span("execute_tool", attributes={"gen_ai.operation.name": "execute_tool"}):
            pass
        with tracer.start_as_current_span("GET /health"):
            pass
    assert recorder.status().step_count == 2


def test_usage_that_is_set_while_the_span_runs_is_seen(tracer: Tracer, recorder: Recorder) -> None:
    with tracer.start_as_current_span("chat") as span:
        span.set_attribute("gen_ai.system", "openai")
        span.set_attribute("gen_ai.request.model", "gpt-5-mini")
        span.set_attribute("gen_ai.usage.prompt_tokens", 10)
        span.set_attribute("gen_ai.usage.completion_tokens", 5)
        span.set_status(Status(StatusCode.ERROR))
    assert recorder.status().token_count == 15


def test_without_an_operation_every_trace_is_one(inputs: Frozen) -> None:
    recorder = inputs.recorder()
    provider, tracer = tracer_of(recorder)
    names: list[str] = []
    for _ in range(2):
        with tracer.start_as_current_span("chat", attributes=USAGE) as span:
            names.append(f"trace:{span.get_span_context().trace_id:032x}")
    with tracer.start_as_current_span("chat", attributes={**USAGE, "gen_ai.conversation.id": "c-1"}):
        pass
    provider.force_flush()
    assert [recorder.status(name).step_count for name in (*names, "session:c-1")] == [1, 1, 1]
    provider.shutdown()


@pytest.mark.parametrize("tokens", [-1, 0.5, "many", True])
def test_a_malformed_span_breaks_nothing(tracer: Tracer, recorder: Recorder, tokens: Any) -> None:
    with tracer.start_as_current_span("chat", attributes={**USAGE, "gen_ai.usage.input_tokens": tokens}):
        pass
    with tracer.start_as_current_span("chat", attributes=USAGE):
        pass
    assert recorder.status().step_count == 1
