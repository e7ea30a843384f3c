"""OpenTelemetry spans of generative AI, as the collector's file exporter writes them: OTLP JSON, one object per line.

Names of attributes have changed several times; both old and new are read. Only spans of single requests count: those
of agents, workflows and tools repeat what their requests used. Instrumentation states the usage, so it is not called
the provider's own.

Source: OpenTelemetry semantic conventions for generative AI, 1.26 to 1.38 and the repository that they moved to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from wattproof.resources.imports.files import Files
from wattproof.resources.imports.records import Notes, Skip, UsageRecord
from wattproof.resources.imports.values import (
    digest,
    first_count,
    instant_of_seconds,
    mapping,
    milliseconds,
    name,
    named,
    optional_name,
    provider_name,
    usage_of,
)

__all__ = ["is_request", "read", "record_of_span"]

# Newest first; the first that a span has is taken.
_INPUT = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.usage.prompt_tokens",
    "llm.token_count.prompt",
)
_OUTPUT = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.usage.completion_tokens",
    "llm.token_count.completion",
)
_CACHED = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.input_tokens.cached",
    "llm.token_count.prompt_details.cache_read",
)
_REASONING = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.output_tokens.reasoning",
    "llm.token_count.completion_details.reasoning",
)
_PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider")
_MODEL = ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name")
_SESSION = ("gen_ai.conversation.id", "session.id")
# gen_ai.operation.name -> our workload; an operation that is not here is no request of its own.
_WORKLOADS = {
    "chat": "chat",
    "text_completion": "chat",
    "completion": "chat",
    "generate_content": "chat",
    "embeddings": "embedding",
    "embedding": "embedding",
    "rerank": "rerank",
}


def read(files: Files, notes: Notes, now_s: float) -> Iterator[UsageRecord]:
    """Every span of a request to a model."""
    del now_s
    for path in files.paths:
        for where, document in files.documents(path):
            for span, resource in _spans(document):
                notes.recognised += 1
                attributes = _attributes(span.get("attributes"))
                if not is_request(attributes):
                    continue
                try:
                    yield _record(span, attributes, resource)
                except Skip as reason:
                    notes.skip(str(reason), where)


def is_request(attributes: Mapping[str, Any]) -> bool:
    """Whether a span with these attributes is one request to a model, with its usage."""
    operation = attributes.get("gen_ai.operation.name")
    if operation is not None and operation not in _WORKLOADS:
        return False
    return any(each in attributes for each in (*_INPUT, *_OUTPUT))


def record_of_span(
    attributes: Mapping[str, Any], *, trace_id: str, span_id: str, start_s: float, end_s: float | None, failed: bool
) -> UsageRecord:
    """The usage that a span states.

    Raises:
        Skip: a count or a time is malformed, or there is no token at all.
    """
    counts = usage_of(
        first_count(attributes, _INPUT) or 0,
        first_count(attributes, _CACHED) or 0,
        first_count(attributes, _OUTPUT) or 0,
        first_count(attributes, _REASONING) or 0,
    )
    session = named("session", _first(attributes, _SESSION))
    return UsageRecord(
        f"{trace_id}:{span_id}"[:200],
        instant_of_seconds(start_s),
        provider_name(optional_name(_first(attributes, _PROVIDER))),
        name(_first(attributes, _MODEL)),
        *counts,
        "caller",
        _WORKLOADS.get(str(attributes.get("gen_ai.operation.name")), "chat"),
        "failed" if failed else "completed",
        latency_ms=None if end_s is None else milliseconds((end_s - start_s) * 1000),
        operation_id=session or named("trace", trace_id),
        provider_request_id=optional_name(attributes.get("gen_ai.response.id")),
        finish_reason=_finish_reason(attributes.get("gen_ai.response.finish_reasons")),
    )


def _record(span: Mapping[str, Any], attributes: Mapping[str, Any], resource: Mapping[str, Any]) -> UsageRecord:
    start_s, end_s = _seconds(span.get("startTimeUnixNano")), _seconds(span.get("endTimeUnixNano"))
    if start_s is None:
        raise Skip("a time is missing")
    trace_id, span_id = optional_name(span.get("traceId")), optional_name(span.get("spanId"))
    failed = mapping(span.get("status")).get("code") in {2, "STATUS_CODE_ERROR"}
    record = record_of_span(
        attributes,
        trace_id=trace_id or digest(start_s),
        span_id=span_id or digest(start_s, span.get("name"), sorted(map(str, attributes.items()))),
        start_s=start_s,
        end_s=end_s,
        failed=failed,
    )
    return record._replace(project=optional_name(resource.get("service.name")))


def _spans(document: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """The spans of an OTLP document, each with the attributes of its resource."""
    for group in _objects(document, "resourceSpans", "resource_spans"):
        resource = _attributes(mapping(group.get("resource")).get("attributes"))
        for scope in _objects(group, "scopeSpans", "scope_spans", "instrumentationLibrarySpans"):
            for span in _objects(scope, "spans"):
                yield span, resource


def _objects(parent: Mapping[str, Any], *names: str) -> Iterator[Mapping[str, Any]]:
    for each in names:
        value: object = parent.get(each)
        if isinstance(value, list):
            yield from (mapping(member) for member in cast("list[object]", value))


def _attributes(listed: object) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in cast("list[object]", listed) if isinstance(listed, list) else ():
        pair = mapping(each)
        key = pair.get("key")
        if isinstance(key, str):
            found[key] = _value(pair.get("value"))
    return found


def _value(wrapped: object) -> Any:
    """An OTLP AnyValue: {"stringValue": …}, {"intValue": "12"}, {"arrayValue": {"values": […]}} …"""
    fields = mapping(wrapped)
    if "arrayValue" in fields:
        return [_value(each) for each in _objects(mapping(fields["arrayValue"]), "values")]
    return next(iter(fields.values()), None)


def _seconds(nanoseconds: object) -> float | None:
    try:
        return int(cast("str", nanoseconds)) / 1e9
    except (TypeError, ValueError, OverflowError):
        return None


def _first(attributes: Mapping[str, Any], names: tuple[str, ...]) -> object:
    return next((attributes[each] for each in names if attributes.get(each)), None)


def _finish_reason(value: object) -> str | None:
    if isinstance(value, list | tuple):
        value = next(iter(cast("list[object]", value)), None)
    return optional_name(value)
