"""What providers offer, and how to talk to them."""

from wattproof.resources.providers.catalogue import (
    catalogue_with,
    deployments_for,
    endpoint_for,
    key_for,
    load_catalogue,
    provider_rows,
    unusable_reason,
)
from wattproof.resources.providers.exchange import (
    ExchangeRate,
    bundled_rates,
    rates_with,
    stale_rate,
    to_usd_micros,
)
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
from wattproof.resources.providers.staleness import is_stale
from wattproof.resources.providers.user_rows import NO_USER_ROWS, UserRows, load_user_rows

__all__ = [
    "EVIDENCE_RANK",
    "NO_USER_ROWS",
    "ChatDelta",
    "ChatEnd",
    "ChatRequest",
    "Deployment",
    "EmbeddingRequest",
    "ExchangeRate",
    "LocationEvidence",
    "Price",
    "RerankRequest",
    "UserRows",
    "WireProtocol",
    "bundled_rates",
    "catalogue_with",
    "count_text",
    "deployments_for",
    "endpoint_for",
    "is_stale",
    "key_for",
    "load_catalogue",
    "load_user_rows",
    "provider_rows",
    "rates_with",
    "stale_rate",
    "to_usd_micros",
    "unusable_reason",
    "usage_so_far",
]
