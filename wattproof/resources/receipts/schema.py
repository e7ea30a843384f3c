"""What a receipt payload of version 1 may hold: exact keys, exact types, bounded sizes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.quantity import MAX_TOKENS, Usage, UsageChange, Workload
from wattproof.resources.receipts.canonical import MAX_INTEGER

__all__ = [
    "MAX_OPERANDS",
    "MAX_TEXT",
    "OUTPUTS",
    "SCHEMA",
    "USAGE_COUNTS",
    "instant",
    "validate_operand",
    "validate_payload",
]

SCHEMA = "wattproof-receipt/1"
MAX_TEXT = 200
OUTPUTS = ("energy_nwh", "carbon_location_ng", "carbon_market_ng", "water_nl", "adpe_pgsbeq")
USAGE_COUNTS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens")

MAX_OPERANDS = 200
_MAX_TAGS = 32
_MAX_RECORDS = 1_000_000
_MAX_STEPS = 500
_MAX_GROUPS = 64
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
_CURRENCY = re.compile(r"[A-Z]{3}")

# A check takes the value and the path to it, and raises InvalidInput.
Check = Callable[[object, str], None]


def validate_payload(payload: object) -> None:
    """Check a payload: exactly the keys of version 1, each of its type and within its bounds.

    A block that only some receipts have (`batch`, `operation`) is absent from the others.

    Raises:
        InvalidInput: names the field by its path, e.g. ``outputs.energy_nwh.low``.
    """
    _payload(payload, "")
    fields = cast("dict[str, Any]", payload)
    _reasons_for_null(fields)
    _amounts_in_order(fields)
    _usage(fields["usage"], UsageChange if fields["kind"] == "adjustment" else Usage)
    names = [operand["name"] for operand in fields["operands"]]
    if names != sorted(set(names)):
        raise InvalidInput("operands", "are not sorted by name, each once", "sort them")


def validate_operand(operand: object) -> None:
    """Check one operand as `validate_payload` does.

    Raises:
        InvalidInput: names the field.
    """
    _OPERAND(operand, "operands")


def instant(text: str) -> float:
    """Unix time of an RFC 3339 time in UTC, e.g. ``2026-11-05T12:00:00Z``.

    Raises:
        ValueError: it is not one.
    """
    if not _TIME.fullmatch(text):
        raise ValueError(f"{_shown(text)} is not an RFC 3339 time in UTC")
    return datetime.fromisoformat(text).timestamp()


def _text(max_length: int = MAX_TEXT) -> Check:
    def check(value: object, path: str) -> None:
        if not isinstance(value, str) or not 1 <= len(value) <= max_length:
            raise InvalidInput(path, f"is {_shown(value)}", f"give text of 1 to {max_length} characters")

    return check


def _matching(pattern: re.Pattern[str], wanted: str) -> Check:
    def check(value: object, path: str) -> None:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise InvalidInput(path, f"is {_shown(value)}", f"give {wanted}")

    return check


def _hex(byte_count: int) -> Check:
    return _matching(re.compile(f"[0-9a-f]{{{2 * byte_count}}}"), f"{byte_count} bytes as lower-case hex")


def _one_of(*choices: str) -> Check:
    def check(value: object, path: str) -> None:
        if value not in choices:
            raise InvalidInput(path, f"is {_shown(value)}", f"give one of {', '.join(choices)}")

    return check


def _integer(low: int, high: int) -> Check:
    def check(value: object, path: str) -> None:
        if type(value) is not int or not low <= value <= high:
            raise InvalidInput(path, f"is {_shown(value)}", f"give an integer from {low} to {high}")

    return check


def _or_null(check: Check) -> Check:
    def check_if_given(value: object, path: str) -> None:
        if value is not None:
            check(value, path)

    return check_if_given


def _list_of(check: Check, max_count: int) -> Check:
    def check_members(value: object, path: str) -> None:
        if not isinstance(value, list) or len(cast("list[object]", value)) > max_count:
            raise InvalidInput(path, "is not a list of bounded length", f"give a list of at most {max_count}")
        for index, member in enumerate(cast("list[object]", value)):
            check(member, f"{path}[{index}]")

    return check_members


def _object(**members: Check) -> Check:
    return _object_with({}, **members)


def _object_with(optional: Mapping[str, Check], **members: Check) -> Check:
    """An object of exactly `members`, and those of `optional` that are there."""

    def check_members(value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise InvalidInput(path or "payload", f"is {_shown(value)}", "give an object")
        fields = cast("dict[str, object]", value)
        prefix = f"{path}." if path else ""
        there = fields.keys() & optional.keys() if optional else ()
        if members.keys() != (fields.keys() - there if there else fields.keys()):
            name = min(members.keys() ^ (fields.keys() - set(there)))
            problem = "is missing" if name in members else "is unknown"
            raise InvalidInput(prefix + name, problem, f"the keys are exactly those of {SCHEMA}")
        for name, check in members.items():
            check(fields[name], prefix + name)
        if there:
            for name in sorted(there):
                optional[name](fields[name], prefix + name)

    return check_members


def _map_of_text(value: object, path: str) -> None:
    if not isinstance(value, dict):
        raise InvalidInput(path, f"is {_shown(value)}", "give an object")
    for name, member in cast("dict[str, object]", value).items():
        _text()(member, f"{path}.{name}")


def _timestamp(value: object, path: str) -> None:
    try:
        instant(value if isinstance(value, str) else "")
    except ValueError as error:
        raise InvalidInput(path, f"is {_shown(value)}", "give a time in UTC such as 2026-11-05T12:00:00Z") from error


def _any_object(value: object, path: str) -> None:
    if not isinstance(value, dict):
        raise InvalidInput(path, f"is {_shown(value)}", "give an object or null")


_AMOUNT = _or_null(
    _object(
        median=_integer(-MAX_INTEGER, MAX_INTEGER),
        low=_or_null(_integer(-MAX_INTEGER, MAX_INTEGER)),
        high=_or_null(_integer(-MAX_INTEGER, MAX_INTEGER)),
        interval=_one_of("credible90", "range", "none"),
    )
)
_RATIO_BPS = _or_null(_integer(0, 10_000))
_INTENSITY = _integer(0, 10**9)
_READING = _object(
    zone=_text(),
    basis=_one_of("average", "marginal"),
    factor_scope=_one_of("lifecycle", "direct"),
    accounting=_one_of("consumption", "production"),
    observed_at=_timestamp,
    requested_at=_timestamp,
    age_minutes=_integer(0, 10**9),
    temporal_match=_one_of("live", "fresh", "fallback"),
    evidence=_one_of("measured", "estimated", "forecast", "annual", "mixture"),
    source=_text(),
    licence=_text(),
    value_mgco2e_per_kwh=_INTENSITY,
    low_mgco2e_per_kwh=_or_null(_INTENSITY),
    high_mgco2e_per_kwh=_or_null(_INTENSITY),
    sigma_ln_millionths=_integer(0, 10**8),
    renewable_ratio_bps=_RATIO_BPS,
    carbon_free_ratio_bps=_RATIO_BPS,
)
_OPERAND = _object(
    name=_matching(_NAME, "a name of lower-case letters, digits and _"),
    value=_integer(-MAX_INTEGER, MAX_INTEGER),
    exp10=_integer(-60, 0),
    unit=_text(),
    source_id=_text(),
)
# What an adjustment changes may be negative; `_usage` asks for more of the other kinds.
_COUNT = _integer(-MAX_TOKENS, MAX_TOKENS)
_SUM = _integer(0, MAX_INTEGER)
# What the receipt of a batch states of its records; `batch.py` says what each means.
_BATCH = _object(
    source=_text(),
    count=_integer(1, _MAX_RECORDS),
    root_hex=_hex(32),
    first_occurred_at=_timestamp,
    last_occurred_at=_timestamp,
    requests=_or_null(_SUM),
    usage=_object(**dict.fromkeys(USAGE_COUNTS, _SUM)),
    energy_nwh=_AMOUNT,
    carbon_location_ng=_AMOUNT,
    energy_known=_integer(0, _MAX_RECORDS),
    carbon_known=_integer(0, _MAX_RECORDS),
    common=_any_object,
    groups=_list_of(_any_object, _MAX_GROUPS),
)
# What the receipt of an operation says of its steps; `resources/operations/closing.py` says what each means.
_STEPS = _object(
    operation_id=_text(),
    count=_integer(0, _MAX_RECORDS),
    root_hex=_hex(32),
    steps=_or_null(_list_of(_object(seq=_integer(0, MAX_INTEGER), entry_hex=_hex(32)), _MAX_STEPS)),
    first_occurred_at=_timestamp,
    last_occurred_at=_timestamp,
)
_payload = _object_with(
    {"batch": _BATCH, "operation": _STEPS},
    schema=_one_of(SCHEMA),
    log_id=_text(),
    issued_at=_timestamp,
    occurred_at=_timestamp,
    kind=_one_of("inference", "recorded", "imported", "adjustment", "operation", "key"),
    status=_one_of("completed", "failed", "cancelled"),
    request_id=_or_null(_text()),
    attempts=_integer(0, 1000),
    workload=_one_of(*(str(workload) for workload in Workload)),
    provider=_text(),
    model=_text(),
    resolved_model=_or_null(_text()),
    deployment=_text(),
    region_scope=_text(),
    zone=_text(),
    location_evidence=_one_of("contractual", "declared", "caller", "inferred", "unknown"),
    energy_source=_text(),
    renewable_ratio_bps=_RATIO_BPS,
    ghg_scope=_one_of("scope3.cat1", "scope2"),
    usage=_object(**dict.fromkeys(USAGE_COUNTS, _COUNT), usage_source=_one_of("provider", "local_count", "caller")),
    method_id=_text(),
    method_sha256=_hex(32),
    edition=_text(),
    edition_sha256=_hex(32),
    tier=_one_of("proxy", "parametric", "modelled", "telemetry", "audited"),
    boundary=_one_of("narrow", "comprehensive"),
    outputs=_object(**dict.fromkeys(OUTPUTS, _AMOUNT)),
    reasons=_map_of_text,
    operands=_list_of(_OPERAND, MAX_OPERANDS),
    grid=_object(accounting=_READING, routing=_or_null(_READING)),
    cost=_or_null(
        _object(micros=_integer(0, MAX_INTEGER), currency=_matching(_CURRENCY, "an ISO 4217 code, e.g. USD"))
    ),
    latency_ms=_or_null(_integer(0, 10**12)),
    instrument_id=_or_null(_text()),
    operation_id=_or_null(_text()),
    parent_id=_or_null(_text()),
    step_kind=_or_null(_text()),
    tags=_list_of(_text(), _MAX_TAGS),
    decision_sha256=_or_null(_hex(32)),
    nonce=_hex(16),
    request_commitment=_or_null(_hex(32)),
    provider_reported=_or_null(_any_object),
)


def _reasons_for_null(payload: Mapping[str, Any]) -> None:
    for name in OUTPUTS:
        if payload["outputs"][name] is None and name not in payload["reasons"]:
            raise InvalidInput(f"reasons.{name}", "is missing though the output is null", "say why it is unknown")


def _amounts_in_order(payload: Mapping[str, Any]) -> None:
    for name in OUTPUTS:
        amount = payload["outputs"][name]
        if amount is None:
            continue
        path = f"outputs.{name}"
        median, low, high = amount["median"], amount["low"], amount["high"]
        if (low is None) != (amount["interval"] == "none") or (high is None) != (low is None):
            raise InvalidInput(path, "has bounds that do not fit its interval", "give both, or interval none and nulls")
        if low is not None and not low <= median <= high:
            raise InvalidInput(path, "is not in the order low, median, high", "order them")
        if median < 0 and payload["kind"] != "adjustment":
            raise InvalidInput(path, f"is {median}", "only an adjustment may be negative")


def _usage(usage: Mapping[str, Any], kind: type[Usage]) -> None:
    try:
        kind(**{name: usage[name] for name in USAGE_COUNTS})
    except InvalidInput as error:
        raise InvalidInput(f"usage.{error.field}", error.problem, error.fix) from error


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
