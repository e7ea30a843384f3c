"""Platform engineers who run it for a team."""

from __future__ import annotations

import re

from evaluation.agent import Agent
from evaluation.policies.framework import ASK
from evaluation.policies.policy import Answer, policy


@policy("platform-group-typo")
async def group_typo(agent: Agent) -> Answer:
    seen = await agent.call("summarize_ledger", group_by="providr")
    refused = seen.is_error
    names = re.findall(r"'(\w+)'", seen.text)
    if refused and "provider" in names:
        seen = await agent.call("summarize_ledger", group_by="provider")
    if seen.data is not None:
        groups = {row["provider_id"]: row["estimated_energy_kwh"]["median"] for row in seen.data["groups"]}
        top = max(groups, key=lambda name: groups[name])
    else:
        top = seen.word("", r"mixture of all zones\. (\S+) [\d.]+ [mk]?Wh")
    return {"refused": refused, "top": top}


@policy("platform-local-month")
async def local_month(agent: Agent) -> Answer:
    seen = await agent.call("summarize_ledger", since="2026-10-01", until="2026-11-01", tz="Europe/Paris")
    return {
        "requests": seen.number("request_count", r"([\d,]+) requests?"),
        "names_zone": seen.says("Europe/Paris"),
    }


@policy("platform-bad-date")
async def bad_date(agent: Agent) -> Answer:
    seen = await agent.call("summarize_ledger", since="October 2026")
    refused = seen.is_error
    if refused and re.search(r"\d{4}-\d{2}-\d{2}|RFC 3339|YYYY", seen.text):
        seen = await agent.call("summarize_ledger", since="2026-10-01", until="2026-11-01")
    return {"refused": refused, "answered": not seen.is_error}


@policy("platform-failed-runs")
async def failed_runs(agent: Agent) -> Answer:
    failed = await agent.call("run_inference", **ASK, providers=["loire"])
    seen = await agent.call("summarize_ledger", group_by="status")
    return {
        "says_why": failed.is_error and failed.says("loire", "503"),
        "requests": seen.number("request_count", r"([\d,]+) requests?"),
        "says_zero_wh": " 0 Wh" in seen.shown,
    }


@policy("platform-eco-choice")
async def eco_choice(agent: Agent) -> Answer:
    seen = await agent.call("run_inference", **ASK, preset="eco", dry_run=True, min_location_evidence="declared")
    return {"provider": seen.provider, "sent_nothing": seen.says("nothing was sent")}


@policy("platform-evidence-of-place")
async def evidence_of_place(agent: Agent) -> Answer:
    seen = await agent.call("run_inference", **ASK, min_location_evidence="contractual")
    refused = seen.is_error
    if refused:
        seen = await agent.call(
            "run_inference", **ASK, min_location_evidence=seen.suggested("min_location_evidence").strip("'\".")
        )
    return {"refused": refused, "ran": not seen.is_error}
