"""What the readers give: usage as a log, a span or an export states it, in our words, and what was left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from wattproof.methodology.quantity import UsageSource

__all__ = ["Notes", "Skip", "UsageRecord"]

_EXAMPLES = 3


class UsageRecord(NamedTuple):
    """The usage of one request, or of one bucket of an aggregated export.

    `external_id` names it within its source, so that it is imported once. `occurred_at` is RFC 3339 UTC to the second,
    for a bucket its start, and `until` then its end. Token counts are normalised as in `methodology.quantity.Usage`.
    `requests` is how many requests it stands for, None where an export does not say. `operation_id` is the session or
    trace that it belongs to. Texts are printable and bounded.
    """

    external_id: str
    occurred_at: str
    provider: str
    model: str
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    usage_source: UsageSource
    workload: str = "chat"
    status: str = "completed"
    cost_micros: int | None = None
    currency: str | None = None
    latency_ms: int | None = None
    operation_id: str | None = None
    project: str | None = None
    provider_request_id: str | None = None
    finish_reason: str | None = None
    requests: int | None = 1
    until: str | None = None

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens


class Skip(Exception):
    """A row that is not imported, with a reason that is counted and told: never left out silently."""


@dataclass(slots=True)
class Notes:
    """What a reader found beside the records. `stated_tokens` are totals that the source itself states, where it does.

    `skipped` counts by reason; `examples` says where the first few were; `repeated` are further copies of a record.
    """

    skipped: Counter[str] = field(default_factory=Counter[str])
    examples: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    repeated: int = 0
    stated_tokens: int | None = None
    recognised: int = 0

    def skip(self, reason: str, where: str) -> None:
        """Count what is left out; `where` is a place in the input, e.g. ``usage.csv:12``."""
        self.skipped[reason] += 1
        told = self.examples.setdefault(reason, [])
        if len(told) < _EXAMPLES:
            told.append(where)

    def state(self, tokens: int) -> None:
        """Add to the total that the source states of itself."""
        self.stated_tokens = (self.stated_tokens or 0) + tokens
