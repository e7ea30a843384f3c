"""What loosening one limit alone would admit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from wattproof.resources.providers.records import EVIDENCE_RANK
from wattproof.resources.routing.records import Candidate, Limit, Relaxation

__all__ = ["LOOSER_DOWN", "NOT_REMOVABLE", "advice", "relaxations"]

LOOSER_DOWN = frozenset(
    {"min_renewable_bps", "min_quality", "min_location_evidence", "max_output_tokens", "input_tokens"}
)
"""What a smaller number loosens; everything else loosens upwards."""

NOT_REMOVABLE = frozenset({"usable", "cooldown", "price"})
"""Not limits of the policy: they can only be waited out or configured."""

# Of the request itself: a number would do, no number would not.
_OF_THE_REQUEST = frozenset({"max_output_tokens", "input_tokens"})
_WHOLE_NUMBERS = frozenset({"max_latency_ms", "min_renewable_bps", "max_output_tokens", "input_tokens"})
_EVIDENCE = {rank: name for name, rank in EVIDENCE_RANK.items()}


def relaxations(excluded: Iterable[tuple[Candidate, tuple[Limit, ...]]]) -> tuple[Relaxation, ...]:
    """For each limit that alone stops a candidate: the nearest value that admits one, then its removal.

    `to` is `null` for the removal; for what is no limit of the policy it says what would have to change.
    """
    alone: dict[str, list[tuple[str, Limit]]] = {}
    for candidate, limits in excluded:
        if len(limits) == 1:
            alone.setdefault(limits[0].name, []).append((candidate.deployment.id, limits[0]))
    found: list[Relaxation] = []
    for name, stopped in alone.items():
        found += _conditions(name, stopped) if name in NOT_REMOVABLE else _loosened(name, stopped)
    return tuple(sorted(found, key=lambda r: (r.limit in NOT_REMOVABLE, r.limit, len(r.admits), r.to)))


def advice(relaxation: Relaxation) -> str:
    """The relaxation as the start of a sentence."""
    if relaxation.limit in NOT_REMOVABLE:
        return f"{relaxation.to!r} solved"
    return f"{relaxation.limit}={relaxation.to}"


def _conditions(name: str, stopped: Sequence[tuple[str, Limit]]) -> list[Relaxation]:
    return [Relaxation(name, limit.reason, (deployment,)) for deployment, limit in stopped]


def _loosened(name: str, stopped: Sequence[tuple[str, Limit]]) -> list[Relaxation]:
    everyone = tuple(sorted(deployment for deployment, _ in stopped))
    values = [limit.admits_at for _, limit in stopped if limit.admits_at is not None]
    found: list[Relaxation] = []
    if values:
        nearest = max(values) if name in LOOSER_DOWN else min(values)
        admits = tuple(sorted(deployment for deployment, limit in stopped if limit.admits_at == nearest))
        found.append(Relaxation(name, _loose(name, nearest), admits))
    if name not in _OF_THE_REQUEST and (not found or found[0].admits != everyone):
        found.append(Relaxation(name, "null", everyone))
    return found


def _loose(name: str, value: float) -> str:
    """`value` as short text that still admits it: rounded to the loose side, never to the tight one."""
    if name == "min_location_evidence":
        return _EVIDENCE[int(value)]
    if name in _WHOLE_NUMBERS:
        return str(math.floor(value) if name in LOOSER_DOWN else math.ceil(value))
    if value == int(value):
        return str(int(value))
    text = f"{value:.4g}"
    tight = float(text) > value if name in LOOSER_DOWN else float(text) < value
    return repr(value) if tight else text
