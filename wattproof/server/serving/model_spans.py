"""One call of a model as a span with the GenAI attributes of OpenTelemetry; what was asked and answered is not in it.

Source: OpenTelemetry semantic conventions for generative AI, client spans (`chat {model}`), in development.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opentelemetry.trace import SpanKind, StatusCode, get_tracer

from wattproof import __version__
from wattproof.resources.providers.records import ChatRequest, EmbeddingRequest

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from wattproof.resources.providers import ChatEnd, Deployment
    from wattproof.resources.providers.records import UpstreamRequest

__all__ = ["ModelSpan"]

_PORTS = {"http": 80, "https": 443}

# Where the conventions have a name for a provider that differs from ours.
_CONVENTIONAL: Mapping[str, str] = {
    "azure": "azure.ai.openai",
    "azure-openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "aws-bedrock": "aws.bedrock",
    "mistral": "mistral_ai",
    "vertex": "gcp.vertex_ai",
    "google-vertex": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "xai": "x_ai",
    "watsonx": "ibm.watsonx.ai",
}


@dataclass(frozen=True, slots=True)
class ModelSpan:
    """A span that is open while a provider answers. Its parent is whatever is current when it begins: the tool call.

    It is never made current itself: an answer is handed on piece by piece, in the middle of it.
    """

    span: Span

    @classmethod
    def begin(cls, deployment: Deployment, request: UpstreamRequest, server: str) -> ModelSpan:
        """Open the span of one call at the base URL `server`."""
        operation = _operation(request)
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": _CONVENTIONAL.get(deployment.provider, deployment.provider),
            "gen_ai.request.model": deployment.native_model,
            "wattproof.deployment": deployment.id,
            **_address(server),
        }
        if isinstance(request, ChatRequest):
            attributes["gen_ai.request.max_tokens"] = request.max_output_tokens
            if request.temperature is not None:
                attributes["gen_ai.request.temperature"] = request.temperature
        tracer = get_tracer("wattproof", __version__)
        name = f"{operation} {deployment.native_model}"
        return cls(tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes))

    def end(self, end: ChatEnd | None, problem: str | None) -> None:
        """Close it with the usage that the provider stated; `problem` is the reason code of a failure."""
        if end is not None:
            self.span.set_attribute("gen_ai.usage.input_tokens", end.usage.input_tokens)
            self.span.set_attribute("gen_ai.usage.output_tokens", end.usage.output_tokens)
            self.span.set_attribute("wattproof.usage_source", end.usage_source)
            if end.resolved_model is not None:
                self.span.set_attribute("gen_ai.response.model", end.resolved_model)
            if end.finish_reason is not None:
                self.span.set_attribute("gen_ai.response.finish_reasons", (end.finish_reason,))
        if problem is not None:
            self.span.set_attribute("error.type", problem)
            self.span.set_status(StatusCode.ERROR)
        self.span.end()


def _operation(request: UpstreamRequest) -> str:
    if isinstance(request, ChatRequest):
        return "chat"
    return "embeddings" if isinstance(request, EmbeddingRequest) else "rerank"


def _address(server: str) -> dict[str, Any]:
    """Host and port of a base URL, without whatever else it holds; nothing for a model inside this process."""
    parts = urlsplit(server)
    if not parts.hostname:
        return {}
    port = parts.port or _PORTS.get(parts.scheme)
    return {"server.address": parts.hostname} | ({} if port is None else {"server.port": port})
