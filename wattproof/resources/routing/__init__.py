"""Routing: a policy and the candidates give a decision that lists every candidate and every reason."""

from __future__ import annotations

from wattproof.resources.routing.candidates import assemble, place_of
from wattproof.resources.routing.decide import decide, excluded_counts, parse_model, require_allowed
from wattproof.resources.routing.health import HealthBook
from wattproof.resources.routing.incumbents import Incumbents
from wattproof.resources.routing.records import (
    PRESETS,
    Candidate,
    Decision,
    Health,
    Limit,
    Policy,
    Preset,
    Ranked,
    Relaxation,
    Weights,
)
from wattproof.resources.routing.scales import SCALES, LogScale, Scales
from wattproof.resources.routing.stored import StoredDecision, decision_from_json, redecide
from wattproof.resources.routing.trace import decision_json

__all__ = [
    "PRESETS",
    "SCALES",
    "Candidate",
    "Decision",
    "Health",
    "HealthBook",
    "Incumbents",
    "Limit",
    "LogScale",
    "Policy",
    "Preset",
    "Ranked",
    "Relaxation",
    "Scales",
    "StoredDecision",
    "Weights",
    "assemble",
    "decide",
    "decision_from_json",
    "decision_json",
    "excluded_counts",
    "parse_model",
    "place_of",
    "redecide",
    "require_allowed",
]
