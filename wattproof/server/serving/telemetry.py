"""Traces, where the extra `telemetry` is installed and the OTEL_* variables of OpenTelemetry ask for them.

The SDK of MCP makes a span for every message, named as the conventions say (`tools/call run_inference`), and takes its
parent from `_meta`. What is added here: where the spans go, the parent that an HTTP header names, and a span for every
call of a model (`model_spans.py`).
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from wattproof import __version__
from wattproof.methodology.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from starlette.types import Scope

__all__ = ["Export", "in_trace_of_headers", "traced", "wanted_export"]

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_OTLP: Mapping[str, str] = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
_INSTALL = "pip install 'wattproof[telemetry]'"

Export = Any
"""A class of a span exporter, which reads its own OTEL_* variables."""


def wanted_export(environ: Mapping[str, str]) -> Export | None:
    """What sends spans away, as OTEL_TRACES_EXPORTER or an endpoint ask for; None: nothing does.

    Raises:
        Unavailable: the exporter, or the SDK of OpenTelemetry, is not installed; the text says the command.
        InvalidInput: OTEL_TRACES_EXPORTER names several exporters.
    """
    name = environ.get("OTEL_TRACES_EXPORTER", "").strip()
    endpoint = any(environ.get(variable, "").strip() for variable in _ENDPOINTS)
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or name == "none" or not (name or endpoint):
        return None
    if "," in name:
        raise InvalidInput("OTEL_TRACES_EXPORTER", "names several exporters", "name one, such as otlp")
    if name in ("", "otlp"):
        given = [environ[variable].strip() for variable in _PROTOCOLS if environ.get(variable)]
        protocol = given[0] if given else "http/protobuf"
        name = _OTLP.get(protocol, protocol)
    found = entry_points(group="opentelemetry_traces_exporter", name=name)
    if not found:
        raise Unavailable(f"Traces are asked for, but no exporter {name[:40]!r} is installed; run: {_INSTALL}")
    return next(iter(found)).load()


@contextmanager
def traced(export: Export | None) -> Generator[None]:
    """Send the spans of this process away through `export` while the block runs, and the last ones at its end.

    One process, one such block: OpenTelemetry takes one provider. Sampling, limits and further resource attributes are
    those of the OTEL_* variables.
    """
    if export is None:
        yield
        return
    provider = _provider(export)
    try:
        yield
    finally:
        provider.shutdown()


def _provider(export: Export) -> TracerProvider:
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "wattproof"}
    provider = TracerProvider(resource=Resource.create({**named, "service.version": __version__}))
    provider.add_span_processor(BatchSpanProcessor(export()))
    trace.set_tracer_provider(provider)
    return provider


@contextmanager
def in_trace_of_headers(scope: Scope) -> Generator[None]:
    """Make the span that `traceparent` names the parent of what is done for this request; `_meta` still goes first."""
    headers = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in scope["headers"]
        if name in (b"traceparent", b"tracestate")
    }
    if not headers:
        yield
        return
    from opentelemetry.context import attach, detach
    from opentelemetry.propagate import extract

    token = attach(extract(headers))
    try:
        yield
    finally:
        detach(token)
