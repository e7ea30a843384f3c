"""What the ledger adds up, defined once: the columns of every rollup and how each follows from entries.

A rollup row holds the sums of the entries that share a log, a bucket of time and a dimension. The same expressions
fill the rollups, sum the partial edges of a period, and recompute everything for `fsck`. Amounts are integers, so
that sums are exact; squares and weights outgrow 64 bits and are REAL.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["DIMENSION_COLUMNS", "LEVELS", "MAX_TERMS", "SUMS", "columns_sql", "select_sums", "upsert_sums"]

MAX_TERMS = 4

# level -> length of the prefix of an RFC 3339 time that names the bucket: 2026-11-22T06, 2026-11-22, 2026-11.
LEVELS = {"hour": 13, "day": 10, "month": 7}

DIMENSION_COLUMNS = (
    "provider",
    "model",
    "zone",
    "method_id",
    "tier",
    "energy_source",
    "temporal_match",
    "usage_source",
    "location_evidence",
    "status",
    "workload",
    "currency",
    "signature_id",
)

# An adjustment changes what requests add up to, not how many there are.
_OF_REQUESTS = "FILTER (WHERE kind <> 'adjustment')"

_REAL = frozenset({"energy_own_variance", "carbon_own_variance", "renewable_weight"})

# column of a rollup -> expression over entries
SUMS: dict[str, str] = {
    "request_count": f"COUNT(*) {_OF_REQUESTS}",
    "input_tokens": "SUM(input_tokens)",
    "cached_input_tokens": "SUM(cached_input_tokens)",
    "output_tokens": "SUM(output_tokens)",
    "reasoning_tokens": "SUM(reasoning_tokens)",
    "energy_known": f"COUNT(energy_nwh) {_OF_REQUESTS}",
    "energy_nwh": "COALESCE(SUM(energy_nwh), 0)",
    **{f"e{k}": f"COALESCE(SUM(e{k}), 0)" for k in range(MAX_TERMS)},
    "energy_own_variance": "TOTAL(energy_own_variance)",
    "carbon_known": f"COUNT(carbon_location_ng) {_OF_REQUESTS}",
    **{f"c{k}": f"COALESCE(SUM(c{k}), 0)" for k in range(MAX_TERMS)},
    "carbon_own_variance": "TOTAL(carbon_own_variance)",
    "market_known": f"COUNT(carbon_market_ng) {_OF_REQUESTS}",
    "carbon_market_ng": "COALESCE(SUM(carbon_market_ng), 0)",
    "water_known": f"COUNT(water_nl) {_OF_REQUESTS}",
    "water_nl": "COALESCE(SUM(water_nl), 0)",
    "adpe_known": f"COUNT(adpe_pgsbeq) {_OF_REQUESTS}",
    "adpe_pgsbeq": "COALESCE(SUM(adpe_pgsbeq), 0)",
    "renewable_known": f"COUNT(renewable_ratio_bps) {_OF_REQUESTS}",
    "renewable_weight": "TOTAL(CAST(renewable_ratio_bps AS REAL) * energy_nwh)",
    "cost_known": f"COUNT(cost_micros) {_OF_REQUESTS}",
    "cost_micros": "COALESCE(SUM(cost_micros), 0)",
}


def columns_sql() -> str:
    """The columns of a rollup table, for CREATE TABLE."""
    return ",\n  ".join(f"{name} {'REAL' if name in _REAL else 'INTEGER'} NOT NULL" for name in SUMS)


def select_sums(keys: Sequence[str], source: str) -> str:
    """SELECT that groups the entries of `source` (table and WHERE) by `keys` and gives every sum."""
    places = ", ".join(str(place + 1) for place in range(len(keys)))
    return f"SELECT {', '.join(keys)}, {', '.join(SUMS.values())} FROM {source} GROUP BY {places}"  # noqa: S608


def upsert_sums(table: str, key_columns: str, keys: Sequence[str], source: str) -> str:
    """INSERT that adds the sums of the entries of `source` to `table`."""
    added = ", ".join(f"{name} = {name} + excluded.{name}" for name in SUMS)
    return (
        f"INSERT INTO {table} ({key_columns}, {', '.join(SUMS)}) {select_sums(keys, source)} "
        f"ON CONFLICT DO UPDATE SET {added}"
    )
