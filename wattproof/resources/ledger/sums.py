"""What the ledger adds up, defined once: the columns of every rollup and how each follows from entries.

A rollup row holds the sums of the entries that share a log, a bucket of time and a dimension. The same expressions
fill the rollups, sum the partial edges of a period, and recompute everything for `fsck`. Amounts are integers, so
that sums are exact; squares and weights outgrow 64 bits and are REAL.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "DIMENSION_COLUMNS",
    "LEVELS",
    "MAX_TERMS",
    "ROLLUPS",
    "SUMS",
    "rollup_table",
    "select_sums",
    "upsert_sums",
]

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

# table of a rollup -> its keys
ROLLUPS = {
    "rollup": "log_id, level, bucket, dim",
    "operation_rollup": "log_id, operation_id, dim",
    "tag_rollup": "log_id, tag, dim",
}

# What is said about a key, or about other entries together, is no request and has no figures of its own.
_REQUESTS = "kind NOT IN ('key', 'operation')"

# A bucket of an aggregated export stands for as many requests as it states.
_STANDS_FOR = "CASE step_kind WHEN 'bucket' THEN attempts ELSE 1 END"

# What is counted or summed of each entry. An adjustment changes what requests add up to, not how many there are.
_COUNTED = {
    "request_count": "1",
    "recorded_count": "CASE kind WHEN 'recorded' THEN 1 END",
    "imported_count": "CASE kind WHEN 'imported' THEN 1 END",
    "energy_known": "energy_nwh",
    "carbon_known": "carbon_location_ng",
    "market_known": "carbon_market_ng",
    "water_known": "water_nl",
    "adpe_known": "adpe_pgsbeq",
    "renewable_known": "renewable_ratio_bps",
    "cost_known": "cost_micros",
}
# A correction downwards takes most from the upper bound: its own bounds change places in a sum.
_SUMMED = {
    **{name: name for name in ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens")},
    **{name: name for name in ("energy_nwh", "carbon_market_ng", "water_nl", "adpe_pgsbeq", "cost_micros")},
    **{
        f"{name}_{end}": f"CASE WHEN {name} < 0 THEN {name}_{other} ELSE {name}_{end} END"
        for name in ("carbon_market_ng", "water_nl")
        for end, other in (("low", "high"), ("high", "low"))
    },
    **{f"{kind}{k}": f"{kind}{k}" for kind in "ec" for k in range(MAX_TERMS)},
}
_SUMMED_REAL = {
    "energy_own_variance": "energy_own_variance",
    "carbon_own_variance": "carbon_own_variance",
    "renewable_weight": "CAST(renewable_ratio_bps AS DOUBLE PRECISION) * energy_nwh",
}

# column of a rollup -> expression over the entries of a group
SUMS: dict[str, str] = {
    **{
        name: f"COALESCE(SUM({_STANDS_FOR}) FILTER (WHERE kind <> 'adjustment' AND ({value}) IS NOT NULL), 0)"
        for name, value in _COUNTED.items()
    },
    **{name: f"COALESCE(SUM({value}), 0)" for name, value in _SUMMED.items()},
    **{name: f"COALESCE(SUM({value}), 0.0)" for name, value in _SUMMED_REAL.items()},
}
# the same of one entry
_OF_ONE: dict[str, str] = {
    **{name: f"(({value}) IS NOT NULL AND kind <> 'adjustment') * {_STANDS_FOR}" for name, value in _COUNTED.items()},
    **{name: f"COALESCE({value}, 0)" for name, value in _SUMMED.items()},
    **{name: f"COALESCE({value}, 0.0)" for name, value in _SUMMED_REAL.items()},
}


def rollup_table(name: str) -> str:
    """The statement that makes one of `ROLLUPS`."""
    keys = ROLLUPS[name]
    columns = [f"{key} {'INTEGER' if key == 'dim' else 'TEXT'} NOT NULL" for key in keys.split(", ")]
    columns += [f"{added} {'REAL' if added in _SUMMED_REAL else 'INTEGER'} NOT NULL" for added in SUMS]
    declared = ",\n  ".join(columns)
    return f"CREATE TABLE {name} (\n  {declared},\n  PRIMARY KEY ({keys})\n) STRICT, WITHOUT ROWID"


def select_sums(keys: Sequence[str], source: str) -> str:
    """SELECT that groups the entries of `source` (table and WHERE) by `keys` and gives every sum."""
    places = ", ".join(str(place + 1) for place in range(len(keys)))
    sums = ", ".join(SUMS.values())
    return f"SELECT {', '.join(keys)}, {sums} FROM {source} AND {_REQUESTS} GROUP BY {places}"  # noqa: S608


def upsert_sums(table: str, key_columns: str, keys: Sequence[str], source: str, *, of_one: bool = False) -> str:
    """INSERT that adds the sums of the entries of `source` to `table`; cheaper where `of_one` promises one entry."""
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in SUMS)
    if of_one:
        sums = ", ".join(_OF_ONE.values())
        selected = f"SELECT {', '.join(keys)}, {sums} FROM {source} AND {_REQUESTS}"  # noqa: S608
    else:
        selected = select_sums(keys, source)
    inserted = f"INSERT INTO {table} ({key_columns}, {', '.join(SUMS)})"
    return f"{inserted} {selected} ON CONFLICT ({key_columns}) DO UPDATE SET {added}"
