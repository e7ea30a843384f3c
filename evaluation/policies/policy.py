"""The table of policies, by the id of their task."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from evaluation.agent import Agent

__all__ = ["POLICIES", "Answer", "Policy", "policy"]

Answer = dict[str, Any]
Policy = Callable[[Agent], Awaitable[Answer]]

POLICIES: dict[str, Policy] = {}


def policy(task_id: str) -> Callable[[Policy], Policy]:
    """Register what the agent does for one task."""

    def register(made: Policy) -> Policy:
        assert task_id not in POLICIES, task_id
        POLICIES[task_id] = made
        return made

    return register
