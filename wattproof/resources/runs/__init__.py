"""Runs: an inference is recorded before it is spent, and settled whatever happens. The only caller of the adapters."""

from __future__ import annotations

from wattproof.resources.runs.answers import Answers
from wattproof.resources.runs.corrections import apply_corrections
from wattproof.resources.runs.execute import execute
from wattproof.resources.runs.late_usage import adjust_usage
from wattproof.resources.runs.plan import Plan, plan
from wattproof.resources.runs.records import AttemptFailed, Retry, RunDeps, RunEvent, RunRequest, RunSettled

__all__ = [
    "Answers",
    "AttemptFailed",
    "Plan",
    "Retry",
    "RunDeps",
    "RunEvent",
    "RunRequest",
    "RunSettled",
    "adjust_usage",
    "apply_corrections",
    "execute",
    "plan",
]
