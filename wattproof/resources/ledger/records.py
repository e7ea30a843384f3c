"""What the ledger takes and returns. Plain data; amounts are integers in the unit of their name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from wattproof.methodology.quantity import Usage, UsageSource
from wattproof.resources.ledger.budget_records import Headroom

__all__ = [
    "Adjusted",
    "Amount",
    "Attempt",
    "AttemptDraft",
    "AttemptState",
    "ClosedPeriod",
    "DecisionPage",
    "DecisionRow",
    "EntryDraft",
    "EntryKind",
    "EntryPage",
    "EntryStatus",
    "FactorTerm",
    "Finding",
    "FsckReport",
    "Opened",
    "RecentRuns",
    "Replay",
    "Settled",
    "Summary",
    "SummaryQuery",
    "SummaryRow",
]

AttemptState = Literal["open", "settled", "failed", "cancelled", "abandoned"]
EntryKind = Literal["inference", "recorded", "imported", "adjustment", "operation", "key"]
EntryStatus = Literal["completed", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Amount:
    """An estimated amount as integers; low and high are None together where no interval is published."""

    median: int
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class FactorTerm:
    """One additive log-normal term of an entry, for totals that keep shared uncertainty.

    `energy_mean_nwh` and `carbon_mean_ng` are means (not medians). The loadings, with scoped factor names
    (`grid:FR`, `batch`), are in the entry's factor signature; `idiosyncratic_sigma` is not shared with any other entry.
    """

    name: str
    energy_mean_nwh: int
    carbon_mean_ng: int | None
    energy_loadings: tuple[tuple[str, float], ...]
    carbon_loadings: tuple[tuple[str, float], ...]
    idiosyncratic_sigma: float = 0.0


@dataclass(frozen=True, slots=True)
class AttemptDraft:
    """One try at an upstream, written before it is spent. Times are Unix seconds."""

    log_id: str
    request_id: str
    request_digest: bytes
    deployment: str
    lease_expires_at: float
    reserved_energy_nwh: int | None = None
    reserved_carbon_ng: int | None = None
    reserved_tokens: int | None = None
    reserved_cost_micros: int | None = None
    operation_id: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try as the ledger holds it. `usage` is this try's share; None while it runs or when it never became known."""

    log_id: str
    request_id: str
    attempt_no: int
    deployment: str
    operation_id: str | None
    state: AttemptState
    reason: str | None
    opened_at: str
    closed_at: str | None
    lease_expires_at: float
    usage: Usage | None


@dataclass(frozen=True, slots=True)
class EntryDraft:
    """One settled request, before it has a place in the log. Columns of entry v1.

    `occurred_at` is RFC 3339 UTC. `usage` sums all attempts. `energy_nwh` … are None when unknown, with the reason code
    in `reasons`. `decision_json` is stored beside the entry and may be erased without breaking the log.
    """

    log_id: str
    kind: EntryKind
    status: EntryStatus
    request_id: str | None
    request_digest: bytes | None
    occurred_at: str
    workload: str
    provider: str
    model: str
    resolved_model: str | None
    deployment: str
    zone: str
    location_evidence: str
    energy_source: str
    renewable_ratio_bps: int | None
    temporal_match: str
    grid_source: str
    usage: Usage
    usage_source: UsageSource
    method_id: str
    edition: str
    tier: str
    boundary: str
    energy_nwh: Amount | None
    carbon_location_ng: Amount | None
    carbon_market_ng: Amount | None
    water_nl: Amount | None
    adpe_pgsbeq: Amount | None
    reasons: Mapping[str, str]
    terms: tuple[FactorTerm, ...]
    attempts: int = 1
    latency_ms: int | None = None
    finish_reason: str | None = None
    cost_micros: int | None = None
    currency: str | None = None
    instrument_id: str | None = None
    project: str | None = None
    tags: tuple[str, ...] = ()
    operation_id: str | None = None
    parent_id: str | None = None
    step_kind: str | None = None
    retry_of: str | None = None
    adjusts: int | None = None
    source: str = "wattproof"
    external_id: str | None = None
    provider_request_id: str | None = None
    synthetic: bool = False
    decision_json: str | None = None


@dataclass(frozen=True, slots=True)
class RecentRuns:
    """What the log says of one deployment's runs in a period; `latency_ms` is the median of the completed ones."""

    deployment: str
    runs: int
    failed: int
    latency_ms: int | None


@dataclass(frozen=True, slots=True)
class Opened:
    """The attempt is recorded; the call may be made."""

    attempt_no: int


@dataclass(frozen=True, slots=True)
class Settled:
    """An entry with its place in the log and its receipt.

    `budgets` is what was left, when it was appended, of those that it falls under; empty where it is read back.
    """

    log_id: str
    seq: int
    receipt_id: str
    jws: str | None
    entry_hash: bytes
    recorded_at: str
    draft: EntryDraft
    budgets: tuple[Headroom, ...] = ()


@dataclass(frozen=True, slots=True)
class Replay:
    """The request_id was settled before with the same body: the stored entry, nothing is spent."""

    settled: Settled


@dataclass(frozen=True, slots=True)
class SummaryQuery:
    """Which entries to add up: [since, until) as RFC 3339 UTC instants; None is open-ended."""

    log_id: str
    since: str | None = None
    until: str | None = None
    group_by: str | None = None
    operation_id: str | None = None
    tag: str | None = None
    method: str | None = None


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """Totals of one group (or of everything, `key` None). Amounts are None when no entry in the group knows them.

    `*_known_count` says how many of `request_count` requests the amount covers; `recorded_count` and `imported_count`
    are those that were not run here. Shares are counts by value. Amounts are (median, low, high); the bounds of
    market-based carbon and water are sums of the entries' bounds.
    """

    key: str | None
    request_count: int
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    reasoning_tokens: int
    energy_wh: tuple[float, float | None, float | None] | None
    carbon_gco2e: tuple[float, float | None, float | None] | None
    carbon_market_gco2e: tuple[float, float | None, float | None] | None
    water_ml: tuple[float, float | None, float | None] | None
    adpe_kgsbeq: float | None
    energy_known_count: int
    carbon_known_count: int
    market_known_count: int
    water_known_count: int
    adpe_known_count: int
    renewable_ratio_bps: int | None
    cost_micros_by_currency: Mapping[str, int] = field(default_factory=dict[str, int])
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Any])
    recorded_count: int = 0
    imported_count: int = 0


@dataclass(frozen=True, slots=True)
class Adjusted:
    """The adjustments in a period and what they add to its totals: sums of the medians that they state."""

    count: int
    tokens: int
    energy_nwh: int
    carbon_location_ng: int


@dataclass(frozen=True, slots=True)
class ClosedPeriod:
    """A month of a log that takes no more entries, nor does any before it.

    `period` is ``2026-10`` (UTC). `size` and `root` are of the log when it was closed.
    """

    log_id: str
    period: str
    closed_at: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Summary:
    """Totals of a query and, where it asked for groups, of each group, largest energy first.

    `adjusted` says what of `total` came as adjustments, and `closed_through` is the last closed month (UTC) or None.
    `unsettled_count` is the number of requests in the period that were begun and have no entry: they run, or their
    process died. `reasons` says why an amount of `total` is None.
    """

    query: SummaryQuery
    total: SummaryRow
    groups: tuple[SummaryRow, ...]
    unsettled_count: int
    adjusted: Adjusted
    closed_through: str | None
    reasons: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Entries, newest first, and the cursor of the next page (None at the end)."""

    entries: tuple[Settled, ...]
    next_cursor: int | None


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """The routing decision stored beside one entry; `json` is None where it was erased or never stored."""

    seq: int
    occurred_at: str
    deployment: str
    json: str | None


@dataclass(frozen=True, slots=True)
class DecisionPage:
    """Decisions, newest first, and the cursor of the next page (None at the end)."""

    rows: tuple[DecisionRow, ...]
    next_cursor: tuple[str, int] | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `fsck` saw: in which log (None: the file), where, and how it differs from what follows."""

    log_id: str | None
    where: str
    message: str


@dataclass(frozen=True, slots=True)
class FsckReport:
    """What `fsck` read and found. `findings` are faults; `notes` explain what is unusual but allowed."""

    logs: tuple[str, ...]
    entry_count: int
    findings: tuple[Finding, ...]
    notes: tuple[Finding, ...]

    @property
    def sound(self) -> bool:
        return not self.findings
