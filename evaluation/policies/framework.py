"""Authors of agent frameworks, and the agents themselves."""

from __future__ import annotations

import json
import re
from typing import Any

from evaluation.agent import Agent
from evaluation.policies.policy import Answer, policy
from evaluation.seen import Seen

ASK: dict[str, Any] = {
    "model": "gpt-oss-120b",
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
    "max_output_tokens": 50,
}


def _intensity(seen: Seen) -> float:
    return seen.number("grid.intensity_gco2e_per_kwh", r"([\d.,]+) gCO2e/kWh")


def _answer(seen: Seen) -> str:
    return seen.word("answer", r"^([^\n]+)\n")


@policy("framework-under-ceiling")
async def under_ceiling(agent: Agent) -> Answer:
    seen = await agent.call("run_inference", **ASK, max_carbon_intensity=100)
    return {
        "answer": _answer(seen),
        "intensity": _intensity(seen),
        "receipt": seen.receipt_id,
        "zone": seen.scope,
    }


def _excluded(seen: Seen) -> dict[str, str]:
    """Who was excluded, and why."""
    if seen.data is not None:
        rows = seen.data["decision"]["ranked"]
        return {
            row["deployment"].partition("/")[0]: ", ".join(row["excluded_by"]) for row in rows if row.get("excluded_by")
        }
    found = re.search(r"Excluded: ([^.]*)\.", seen.text)
    return dict(re.findall(r"([\w-]+)/[\w.-]+ \(([^)]*)\)", found[1])) if found else {}


@policy("framework-why-excluded")
async def why_excluded(agent: Agent) -> Answer:
    seen = await agent.call("run_inference", **ASK, zones=["FR", "SE-SE3"], dry_run=True)
    out = _excluded(seen)
    if not out:
        seen = await agent.call("run_inference", **ASK, zones=["FR", "SE-SE3"], dry_run=True, detail="full")
        out = _excluded(seen)
    chosen = await agent.call("run_inference", **ASK, zones=["FR", "SE-SE3"])
    return {
        "excluded": sorted(out),
        "wisla": out.get("wisla", "").replace("_", " "),
        "cloudy": out.get("cloudy", "").replace("_", " "),
        "ran_in": chosen.scope,
    }


@policy("framework-impossible-ceiling")
async def impossible_ceiling(agent: Agent) -> Answer:
    seen = await agent.call("run_inference", **ASK, max_carbon_intensity=5)
    if not seen.is_error:
        return {"provider": seen.provider}
    ceiling = float(seen.suggested("max_carbon_intensity"))
    again = await agent.call("run_inference", **ASK, max_carbon_intensity=ceiling)
    return {"ceiling": ceiling, "provider": again.provider, "intensity": _intensity(again)}


@policy("framework-retry-once")
async def retry_once(agent: Agent) -> Answer:
    first = await agent.call("run_inference", **ASK, request_id="job-7", providers=["loire"])
    again = await agent.call("run_inference", **ASK, request_id="job-7", providers=["loire"])
    total = await agent.call("summarize_ledger")
    replayed = again.data.get("replayed") is True if again.data else "nothing was spent again" in again.text
    return {
        "same_receipt": first.receipt_id == again.receipt_id,
        "replayed": replayed,
        "counted": total.number("request_count", r"([\d,]+) requests?"),
    }


@policy("framework-other-body")
async def other_body(agent: Agent) -> Answer:
    await agent.call("run_inference", **ASK, request_id="job-8", providers=["loire"])
    changed = {**ASK, "messages": [{"role": "user", "content": "And of Spain?"}]}
    seen = await agent.call("run_inference", **changed, request_id="job-8", providers=["loire"])
    refused = seen.is_error
    if refused and re.search(r"another request_id|new request_id|different body|another body", seen.text):
        seen = await agent.call("run_inference", **changed, request_id="job-8b", providers=["loire"])
    return {"refused": refused, "ran": not seen.is_error}


@policy("framework-stay-under-budget")
async def stay_under_budget(agent: Agent) -> Answer:
    begun = await agent.call(
        "track_operation", action="begin", operation_id="op_loop", budget={"unit": "energy_wh", "limit": 2}
    )
    assert not begun.is_error, begun.text
    for number in range(1, 6):
        estimate = await agent.call("estimate_request", model="claude-haiku-5-5", input_tokens=4000, output_tokens=1000)
        left = await agent.call("track_operation", action="status", operation_id="op_loop")
        high = estimate.energy().high
        remaining = left.number("budget.remaining", r"Budget left ([\d.,]+) (?:of|Wh)")
        if high is None or high > remaining:
            return {"steps": number - 1, "remaining_wh": remaining, "stopped": True}
        step = {"step_id": f"s{number}", "model": "claude-haiku-5-5"}
        step["usage"] = {"input_tokens": 4000, "output_tokens": 1000}  # pyright: ignore[reportArgumentType]
        await agent.call("track_operation", action="record", operation_id="op_loop", steps=[step])
    return {"stopped": False}


@policy("framework-budget-shape")
async def budget_shape(agent: Agent) -> Answer:
    seen = await agent.call("track_operation", action="begin", operation_id="op_shape", budget={"energy_wh": 2})
    if not seen.is_error:
        return {"begun": True, "recovered": False}
    names = {name for name in ("unit", "limit") if re.search(rf"\b{name}\b", seen.text)}
    budget: dict[str, Any] = {}
    if names == {"unit", "limit"}:
        budget = {"unit": "energy_wh", "limit": 2}
    elif names:
        budget = {"unit": "energy_wh", "energy_wh": 2}
    again = await agent.call("track_operation", action="begin", operation_id="op_shape", budget=budget)
    return {"begun": not again.is_error, "recovered": True}


@policy("framework-which-step")
async def which_step(agent: Agent) -> Answer:
    seen = await agent.call("track_operation", action="status", operation_id="op_report")
    if seen.data is not None:
        step = max(seen.data["steps"], key=lambda each: each["energy_wh"])
        return {"step": step["step_id"], "share": step["share"] * 100}
    return {"step": seen.word("", r"; (\S+) is \d"), "share": seen.number("", r" is (\d+) %")}


@policy("framework-end-and-verify")
async def end_and_verify(agent: Agent) -> Answer:
    ended = await agent.call("track_operation", action="end", operation_id="op_report")
    checked = await agent.call("verify_receipt", receipt=ended.receipt_id)
    return {name: checked.verdict(name) for name in ("signature", "inclusion", "arithmetic")}


@policy("framework-ended-operation")
async def ended_operation(agent: Agent) -> Answer:
    await agent.call("track_operation", action="end", operation_id="op_report")
    step = {"step_id": "late", "model": "gpt-oss-120b", "usage": {"input_tokens": 100, "output_tokens": 10}}
    seen = await agent.call("track_operation", action="record", operation_id="op_report", steps=[step])
    refused = seen.is_error
    if refused and "another operation" in seen.text:
        await agent.call("track_operation", action="begin", operation_id="op_report-2")
        seen = await agent.call("track_operation", action="record", operation_id="op_report-2", steps=[step])
    return {"refused": refused, "recorded": not seen.is_error}


@policy("framework-step-twice")
async def step_twice(agent: Agent) -> Answer:
    step = {"step_id": "s1", "model": "gpt-oss-120b", "usage": {"input_tokens": 1000, "output_tokens": 400}}
    first = await agent.call("track_operation", action="record", operation_id="op_twice", steps=[step])
    again = await agent.call("track_operation", action="record", operation_id="op_twice", steps=[step])
    return {
        "steps": again.number("step_count", r"(\d+) steps?"),
        "same_energy": first.energy() == again.energy(),
    }


@policy("framework-provider-fails")
async def provider_fails(agent: Agent) -> Answer:
    seen = await agent.call("run_inference", **ASK, zones=["FR", "SE-SE3"])
    return {"answered": not seen.is_error, "receipt": not seen.is_error and bool(seen.receipt_id)}


@policy("framework-all-down")
async def all_down(agent: Agent) -> Answer:
    seen = await agent.call("run_inference", **ASK, zones=["FR", "SE-SE3"])
    return {"refused": seen.is_error, "says_why": seen.says("503"), "has_receipt": "r_" in seen.text}


@policy("framework-cost-limit")
async def cost_limit(agent: Agent) -> Answer:
    seen = await agent.call("run_inference", **ASK, max_cost_usd=5)
    refused = seen.is_error
    if refused:
        limit = float(re.findall(r"at most ([\d.]+)", seen.text)[0])
        seen = await agent.call("run_inference", **ASK, max_cost_usd=limit)
    return {"refused": refused, "ran": not seen.is_error}


@policy("framework-grams-per-request")
async def grams_per_request(agent: Agent) -> Answer:
    seen = await agent.call("run_inference", **ASK, max_carbon_gco2e=0.001, dry_run=True)
    high = seen.carbon().high
    return {"high_g": high, "zone": seen.scope}


@policy("framework-misspelt-limit")
async def misspelt_limit(agent: Agent) -> Answer:
    seen = await agent.call("run_inference", **ASK, max_carbon=100)
    refused = seen.is_error
    names = re.findall(r"\bmax_carbon_\w+", seen.text)
    if refused and "max_carbon_intensity" in names:
        seen = await agent.call("run_inference", **ASK, max_carbon_intensity=100)
    return {"refused": refused, "offered": "max_carbon_intensity" in names, "ran": not seen.is_error}


@policy("framework-json-as-text")
async def json_as_text(agent: Agent) -> Answer:
    seen = await agent.call("run_inference", **{**ASK, "messages": json.dumps(ASK["messages"])}, providers=["fjord"])
    return {"provider": seen.provider}
