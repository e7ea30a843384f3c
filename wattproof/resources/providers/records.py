"""What a provider offers and what goes over the wire, as plain records.

A deployment is a model at a provider in a place. New providers, models and prices are rows of data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from wattproof.methodology.quantity import Usage, UsageSource

__all__ = [
    "EVIDENCE_RANK",
    "ChatDelta",
    "ChatEnd",
    "ChatRequest",
    "Deployment",
    "EmbeddingRequest",
    "LocationEvidence",
    "Price",
    "RerankRequest",
    "UpstreamRequest",
    "WireProtocol",
]

LocationEvidence = Literal["contractual", "declared", "caller", "inferred", "unknown"]
WireProtocol = Literal["openai-chat", "openai-embeddings", "rerank", "anthropic-messages", "embedded"]

EVIDENCE_RANK: Mapping[LocationEvidence, int] = {
    "contractual": 4,
    "declared": 3,
    "caller": 2,
    "inferred": 1,
    "unknown": 0,
}


@dataclass(frozen=True, slots=True)
class Price:
    """Price per million tokens in micro-units of `currency` (1_000_000 = one unit), with its source and date."""

    input_micros_per_mtok: int
    output_micros_per_mtok: int
    cached_input_micros_per_mtok: int | None
    currency: str | None
    source: str
    checked_at: str

    def cost_micros(self, usage: Usage) -> int | None:
        """Cost of one request in micro-units, rounded up; None when the currency is unknown."""
        if self.currency is None:
            return None
        cached_rate = (
            self.input_micros_per_mtok
            if self.cached_input_micros_per_mtok is None
            else self.cached_input_micros_per_mtok
        )
        fresh = usage.input_tokens - usage.cached_input_tokens
        micros_times_million = (
            fresh * self.input_micros_per_mtok
            + usage.cached_input_tokens * cached_rate
            + usage.output_tokens * self.output_micros_per_mtok
        )
        return -(-micros_times_million // 1_000_000)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A model at a provider in a place.

    `model` is our canonical id (the methodology registry resolves it); `native_model` is what the provider calls it.
    `zone` is None when the provider discloses none. `pue` is None when unknown. `key_env` names the environment
    variables that may hold the key, in order; empty when none is needed. `local` is true for a server on this machine.
    `output_limit_field` is what the provider calls the limit on output tokens; `ask_stream_usage` is false where it
    refuses `stream_options` and sends usage unasked.

    `variant` tells two rows of one model at one provider apart (`us` for a pinned region). `request_fields` are body
    fields that the row pins (`inference_geo`). `cloud_region` is `provider/region` of the cloud underneath, such as
    `aws/eu-north-1`. `base_url_env` names the variable that holds the base URL where it differs per customer.
    `quality` is a score of the operator's own choosing, with its source; None: unknown. `origin`: who wrote the row.
    """

    provider: str
    model: str
    native_model: str
    base_url: str
    protocol: WireProtocol
    key_env: tuple[str, ...]
    zone: str | None
    location_evidence: LocationEvidence
    location_source: str
    checked_at: str
    price: Price | None = None
    pue: float | None = None
    pue_source: str | None = None
    hardware: str | None = None
    speed_tokens_per_s: float | None = None
    context_tokens: int | None = None
    local: bool = False
    output_limit_field: str = "max_tokens"
    ask_stream_usage: bool = True
    variant: str | None = None
    request_fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    cloud_region: str | None = None
    base_url_env: str | None = None
    auth: Literal["bearer", "x-api-key", "api-key"] = "bearer"
    quality: float | None = None
    quality_source: str | None = None
    origin: Literal["bundled", "user", "probed"] = "bundled"

    @property
    def id(self) -> str:
        """`provider/model`, with `@variant` where there is one."""
        return f"{self.provider}/{self.model}" + ("" if self.variant is None else f"@{self.variant}")


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One chat request, provider-neutral. `extra` holds upstream fields that we pass on unread."""

    messages: tuple[Mapping[str, Any], ...]
    max_output_tokens: int
    temperature: float | None = None
    response_format: Mapping[str, Any] | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """Texts to turn into vectors. `dimensions` None: the model's own."""

    inputs: tuple[str, ...]
    dimensions: int | None = None


@dataclass(frozen=True, slots=True)
class RerankRequest:
    """Documents to order by how well they answer a query; at most `top_n` come back (None: all)."""

    query: str
    documents: tuple[str, ...]
    top_n: int | None = None


UpstreamRequest = ChatRequest | EmbeddingRequest | RerankRequest


@dataclass(frozen=True, slots=True)
class ChatDelta:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ChatEnd:
    """How one upstream call ended.

    `usage_source` is `local_count` where the provider sent none and we counted. `cpu_seconds` is measured only for the
    embedded model's own process. `reported` is the provider's own footprint block, raw and untrusted. `vectors` answer
    an `EmbeddingRequest`, in the order of its inputs; `ranking` answers a `RerankRequest` with (document index, score),
    best first; for both `text` is empty.
    """

    text: str
    usage: Usage
    usage_source: UsageSource
    finish_reason: str | None
    resolved_model: str | None
    provider_request_id: str | None = None
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    cpu_seconds: float | None = None
    reported: Mapping[str, Any] | None = None
    vectors: tuple[tuple[float, ...], ...] = ()
    ranking: tuple[tuple[int, float], ...] = ()
