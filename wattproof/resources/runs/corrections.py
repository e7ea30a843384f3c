"""A live reading that a run was accepted on may be corrected later: the correction becomes an entry of its own.

A run is accounted for on the reading that its ceiling was tested on, and that entry never changes. Where the source now
states a value above the ceiling for the same interval, one adjustment is appended, with what that adds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wattproof.methodology.errors import GridUnavailable, InvalidInput, UnknownMethod
from wattproof.methodology.quantity import Operand, UsageChange
from wattproof.resources.grid import Observation, Place, reading_at
from wattproof.resources.ledger.records import Settled
from wattproof.resources.receipts import parse
from wattproof.resources.receipts.payload import NONCE_BYTES, grid_payload
from wattproof.resources.receipts.schema import instant
from wattproof.resources.routing import place_of
from wattproof.resources.runs.adjustment import Later, adjustment_of
from wattproof.resources.runs.late_usage import stated_now
from wattproof.resources.runs.plan import timestamp
from wattproof.resources.runs.records import RunDeps

if TYPE_CHECKING:
    from wattproof.resources.grid import Grid

__all__ = ["CEILING_EXCEEDED_AFTER", "apply_corrections"]

CEILING_EXCEEDED_AFTER = "ceiling_exceeded_after"
_INTENSITY = "intensity_gco2e_per_kwh"
_PAGE = 200


@dataclass(frozen=True, slots=True)
class _Accepted:
    """An entry that was accepted under `ceiling` [gCO2e/kWh], with what its receipt states and where it ran."""

    settled: Settled
    stated: Mapping[str, Any]
    ceiling: float
    place: Place

    @property
    def source(self) -> str:
        return self.stated["grid"]["accounting"]["source"]

    @property
    def starts_at(self) -> int:
        return int(instant(self.stated["grid"]["accounting"]["observed_at"]))


async def apply_corrections(deps: RunDeps, *, since_s: float = 48 * 3600.0) -> tuple[Settled, ...]:
    """Append an adjustment for every run of the last `since_s` seconds whose reading now exceeds its ceiling.

    Only readings of a moment are looked at, never annual averages. Each source is asked once for every place; one that
    cannot be asked now is left for the next time. Calling again appends nothing that is there already. Returns the
    adjustments that this call appended; empty without a grid.

    Raises:
        LedgerError: the ledger cannot be read or written.
    """
    if deps.grid is None:
        return ()
    accepted = await _accepted(deps, timestamp(deps.clock() - since_s))
    for source, place in dict.fromkeys((each.source, each.place) for each in accepted):
        with suppress(GridUnavailable):
            # What the source says now is kept by the desk, where `corrected` finds it.
            await deps.grid.history(source, place)
    appended = [await _adjust(deps, deps.grid, each) for each in accepted]
    return tuple(settled for settled in appended if settled is not None)


async def _accepted(deps: RunDeps, since: str) -> list[_Accepted]:
    """The entries since then that a correction could concern and that have no adjustment yet, oldest first."""
    found: list[_Accepted] = []
    adjusted: set[int | None] = set()
    cursor: int | None = None
    while True:
        page = await deps.ledger.entries(deps.log_id, cursor=cursor, limit=_PAGE)
        adjusted |= {entry.draft.adjusts for entry in page.entries if entry.draft.step_kind == CEILING_EXCEEDED_AFTER}
        found += _candidates(page.entries, deps)
        cursor = page.next_cursor
        # An entry is recorded after it occurred: what is older was also recorded before.
        if cursor is None or page.entries[-1].recorded_at < since:
            break
    return [e for e in reversed(found) if e.settled.seq not in adjusted and e.settled.draft.occurred_at >= since]


def _candidates(entries: Iterable[Settled], deps: RunDeps) -> list[_Accepted]:
    places = {deployment.id: place_of(deployment) for deployment in deps.catalogue}
    found: list[_Accepted] = []
    for settled in entries:
        draft = settled.draft
        if draft.kind != "inference" or draft.decision_json is None or settled.jws is None:
            continue
        ceiling: float | None = json.loads(draft.decision_json)["policy"]["max_carbon_intensity"]
        if ceiling is None:
            continue
        stated = parse(settled.jws).payload
        if _could_be_corrected(stated["grid"]["accounting"]):
            found.append(_Accepted(settled, stated, ceiling, places.get(draft.deployment) or Place(draft.zone)))
    return found


def _could_be_corrected(accounting: Mapping[str, Any]) -> bool:
    """Whether the ceiling was tested on this very reading, and it is of a moment."""
    of_ceiling = accounting["basis"] == "average" and accounting["factor_scope"] == "lifecycle"
    return of_ceiling and accounting["evidence"] not in ("annual", "mixture")


async def _adjust(deps: RunDeps, grid: Grid, accepted: _Accepted) -> Settled | None:
    seen = await grid.corrected(accepted.source, accepted.place, accepted.starts_at)
    if seen is None or not _exceeds(seen, accepted):
        return None
    try:
        stated = await stated_now(deps.ledger, accepted.settled)
        made = adjustment_of(
            accepted.settled,
            stated,
            _later(accepted, stated, seen),
            now=timestamp(deps.clock()),
            nonce=deps.random_bytes(NONCE_BYTES),
        )
    except (InvalidInput, UnknownMethod):
        # A figure that does not follow from an intensity has no correction.
        return None
    return await deps.ledger.settle(made.draft, made.statement)


def _later(accepted: _Accepted, stated: Mapping[str, Any], seen: Observation) -> Later:
    corrected = reading_at(seen, instant(accepted.settled.draft.occurred_at))
    unit = next((row["unit"] for row in stated["operands"] if row["name"] == _INTENSITY), "gCO2e/kWh")
    return Later(
        reason=CEILING_EXCEEDED_AFTER,
        external_id=f"{CEILING_EXCEEDED_AFTER}:{accepted.settled.seq}",
        operands=(Operand.of(_INTENSITY, corrected.value_gco2e_per_kwh, unit, corrected.source),),
        usage=UsageChange(0, 0),
        grid={"accounting": grid_payload(corrected.as_dict()), "routing": accepted.stated["grid"]["accounting"]},
    )


def _exceeds(seen: Observation, accepted: _Accepted) -> bool:
    same = seen.zone == accepted.stated["zone"] and seen.basis == "average" and seen.factor_scope == "lifecycle"
    return same and seen.value_gco2e_per_kwh > accepted.ceiling
