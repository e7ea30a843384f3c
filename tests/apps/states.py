"""States of the views worth looking at, and the calls of the real tools that bring them about."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.apps.hosting import Host
    from tests.apps.world import World

__all__ = ["MELIOUS", "operation", "states", "tampered"]


def operation(world: World, name: str = "weekly-report", limit: float = 12.0, scale: int = 1) -> None:
    """A workflow of six steps with a budget."""
    budget = {"unit": "energy_wh", "limit": limit, "action": "warn"}
    world.tool("track_operation", action="begin", operation_id=name, budget=budget)
    steps = [
        ("draft", "claude-sonnet-4-6", 4_000, 900, "FR"),
        ("outline", "mistral-small-3.2", 9_000, 2_600, "DE"),
        ("check figures", "gpt-oss-120b", 24_000, 3_000, "SE-SE3"),
        ("rewrite", "llama-3.3-70b", 6_000, 1_200, "DE"),
        ("title", "gpt-oss-20b", 900, 40, "FR"),
        ("translate", "in-house-7", 3_000, 2_000, None),
    ]
    world.tool(
        "track_operation",
        action="record",
        operation_id=name,
        steps=[
            {"step_id": step, "model": model, "usage": {"input_tokens": given * scale, "output_tokens": got * scale}}
            | ({} if zone is None else {"zone": zone})
            for step, model, given, got, zone in steps
        ],
    )


def tampered(jws: str) -> str:
    """The receipt with another signature."""
    head, payload, signature = jws.split(".")
    return ".".join([head, payload, signature[:-8] + "AAAAAAAA"])


MELIOUS: dict[str, Any] = {
    "environment_impact": {
        "energy_kwh": 0.00015,
        "carbon_g_co2": 0.06,
        "renewable_percent": 85,
        "pue": 1.18,
        "location": "FR",
    }
}


def states(world: World) -> dict[str, tuple[str, Callable[[Host], Any]]]:
    """Each state: the view, and what brings it there."""
    run = world.run()
    jws = world.answer("resources/read", {"uri": f"wattproof://receipts/{run['receipt_id']}"})["contents"][0]["text"]
    bad = tampered(json.loads(jws)["jws"])
    operation(world)
    operation(world, "too-much", 4.0, 2)
    return {
        "receipt": ("receipt", lambda host: host.call("verify_receipt", {"receipt": run["receipt_id"]})),
        "receipt-failing": ("receipt", lambda host: host.call("verify_receipt", {"receipt": bad})),
        "receipt-vendor": ("receipt", lambda host: host.call("verify_receipt", {"receipt": MELIOUS})),
        "receipt-run": (
            "receipt",
            lambda host: host.call(
                "run_inference",
                {"model": "gpt-oss-120b", "messages": [{"role": "user", "content": "hi"}], "max_output_tokens": 50},
            ),
        ),
        "receipt-error": ("receipt", lambda host: host.call("verify_receipt", {"receipt": "r_nope"})),
        "operation": (
            "operation",
            lambda host: host.call("track_operation", {"action": "status", "operation_id": "weekly-report"}),
        ),
        "operation-over": (
            "operation",
            lambda host: host.call(
                "track_operation", {"action": "status", "operation_id": "too-much", "detail": "full"}
            ),
        ),
        "ledger": ("ledger", lambda host: host.call("summarize_ledger", {"since": "2026-10-01"})),
        "ledger-market": (
            "ledger",
            lambda host: (host.call("summarize_ledger", {"since": "2026-10-01"}), host.press("Market")),
        ),
        "ledger-empty": ("ledger", lambda host: host.call("summarize_ledger", {"since": "2030-01-01"})),
    }
