"""Spans of generative AI become steps, as they end: add `WattproofSpanProcessor` to your tracer provider.

    from opentelemetry.sdk.trace import TracerProvider
    from wattproof.recorder import Recorder
    from wattproof.recorder.otel import WattproofSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(WattproofSpanProcessor(Recorder("op_nightly")))

Without an operation of its recorder, every trace is one: ``trace:<trace id>``, or that of its conversation. The
names of attributes are those of `imports.otel_spans`, old and new. Needs the extra ``wattproof[telemetry]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattproof.methodology.errors import Unavailable
from wattproof.recorder.recorder import Recorder, StepUsage
from wattproof.resources.imports.otel_spans import is_request, record_of_span
from wattproof.resources.imports.records import Skip

try:
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import StatusCode
except ModuleNotFoundError as missing:
    raise Unavailable("Spans need the OpenTelemetry SDK; run: pip install 'wattproof[telemetry]'.") from missing

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

__all__ = ["WattproofSpanProcessor"]


class WattproofSpanProcessor(SpanProcessor):
    """Hands each request's span to `recorder`. Spans of agents, workflows and tools repeat their requests' usage."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing is known yet."""

    def on_end(self, span: ReadableSpan) -> None:
        """Submit the span's usage, if it is of a request. Never raises."""
        attributes = dict(span.attributes or {})
        context = span.get_span_context()
        if context is None or span.start_time is None or not is_request(attributes):
            return
        try:
            usage = record_of_span(
                attributes,
                trace_id=f"{context.trace_id:032x}",
                span_id=f"{context.span_id:016x}",
                start_s=span.start_time / 1e9,
                end_s=None if span.end_time is None else span.end_time / 1e9,
                failed=span.status.status_code is StatusCode.ERROR,
            )
        except Skip:
            return  # a request without tokens, which cost nothing that could be estimated
        self._recorder.submit(
            StepUsage(
                model=usage.model,
                provider=usage.provider,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cached_input_tokens=usage.cached_input_tokens,
                reasoning_tokens=usage.reasoning_tokens,
                step_id=usage.external_id,
                step_kind="embedding" if usage.workload == "embedding" else "llm",
                operation_id=self._recorder.operation_id or usage.operation_id,
            )
        )

    def shutdown(self) -> None:
        """Write what waits and close the ledger."""
        self._recorder.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Write what waits."""
        del timeout_millis
        self._recorder.flush()
        return True
