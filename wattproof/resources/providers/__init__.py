"""What providers offer, and how to talk to them."""

from wattproof.resources.providers.catalogue import (
    deployments_for,
    key_for,
    load_catalogue,
    provider_rows,
    unusable_reason,
)
from wattproof.resources.providers.exchange import to_usd_micros
from wattproof.resources.providers.local_count import count_text, usage_so_far
from wattproof.resources.providers.records import (
    EVIDENCE_RANK,
    ChatDelta,
    ChatEnd,
    ChatRequest,
    Deployment,
    EmbeddingRequest,
    LocationEvidence,
    Price,
    RerankRequest,
    WireProtocol,
)

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
    "WireProtocol",
    "count_text",
    "deployments_for",
    "key_for",
    "load_catalogue",
    "provider_rows",
    "to_usd_micros",
    "unusable_reason",
    "usage_so_far",
]
