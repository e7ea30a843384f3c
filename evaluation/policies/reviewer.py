"""Sustainability and procurement reviewers."""

from __future__ import annotations

import re

from evaluation.agent import Agent
from evaluation.policies.policy import Answer, policy
from evaluation.seen import CannotRead

FIVE = ("signature", "inclusion", "arithmetic", "plausibility", "freshness")


@policy("reviewer-project-by-model")
async def project_by_model(agent: Agent) -> Answer:
    seen = await agent.call(
        "summarize_ledger", since="2026-10-01", until="2026-11-01", tag="project-x", group_by="model"
    )
    known = seen.number("zone_known_bps", r"zone known for ([\d.]+) %")
    if seen.data is not None:
        models = {row["model"]: row["estimated_energy_kwh"]["median"] * 1000 for row in seen.data["groups"]}
        known /= 100
    else:
        units = {"Wh": 1.0, "mWh": 1e-3, "µWh": 1e-6}
        rows = re.findall(r"([\w.-]+) ([\d.]+) ([mµ]?Wh), [\d.]+ [mµ]?g", seen.text)
        models = {name: float(amount) * units[unit] for name, amount, unit in rows}
    return {
        "requests": seen.number("request_count", r"([\d,]+) requests?"),
        "models": sorted(models),
        "most": max(models, key=lambda name: models[name]),
        "zone_known_percent": known,
        "names_unknown": "unknown:cloudy" in seen.shown,
    }


@policy("reviewer-restate-method")
async def restate_method(agent: Agent) -> Answer:
    before = await agent.call("summarize_ledger", since="2026-10-01", until="2026-11-01")
    seen = await agent.call("restate_period", method="ecologits/llm@0.11.3", period="2026-10")
    after = await agent.call("summarize_ledger", since="2026-10-01", until="2026-11-01")
    if seen.data is not None:
        sums = seen.data["sums"]["energy_nwh"]
        parts = {"activity": sums["activity"], "factor": sums["factor"], "method": sums["method_energy"]}
    else:
        parts = {name: seen.number("", rf"{name} (?:\+)?(-?[\d.]+)") for name in ("activity", "factor", "method")}
    return {
        "restated": seen.number("restated_count", r"([\d,]+) of [\d,]+ requests? restated"),
        "explained_by": max(parts, key=lambda name: abs(parts[name])),
        "unchanged": before.shown == after.shown,
        "kept_as": seen.word("restatement_id", r"\b(rs_\w+)")[:3],
    }


@policy("reviewer-restate-grid")
async def restate_grid(agent: Agent) -> Answer:
    seen = await agent.call("restate_period", method="wattproof/param", period="2026-10", grid="annual")
    return {
        "restated": seen.number("restated_count", r"([\d,]+) of [\d,]+ requests? restated"),
        "method": seen.methodology,
    }


@policy("reviewer-restate-edition")
async def restate_edition(agent: Agent) -> Answer:
    seen = await agent.call("restate_period", method="wattproof/param", period="2026-10", edition="2025-06")
    refused = seen.is_error
    edition = re.findall(r"this version has (\S+?);", seen.text)
    if refused and edition:
        seen = await agent.call("restate_period", method="wattproof/param", period="2026-10", edition=edition[0])
    return {"refused": refused, "done": not seen.is_error}


@policy("reviewer-sentence-for-report")
async def sentence_for_report(agent: Agent) -> Answer:
    receipt = agent.given["receipt"]
    sentence = "Our verified, carbon-neutral assistant used 0.002 kWh for the request, measured in real time."
    seen = await agent.call("check_claim", text=sentence, receipt_id=receipt)
    verdict = seen.word("verdict", r"^Claim: (\w+)")
    better = seen.word("suggested", r"Write(?: instead)?: (.*?audited\.)")
    again = await agent.call("check_claim", text=better, receipt_id=receipt)
    return {
        "first": verdict,
        "names_figure": seen.says("figure_differs"),
        "second": again.word("verdict", r"^Claim: (no rule spoke|\w+)"),
        "keeps_interval": "–" in better,
    }


@policy("reviewer-claimed-reduction")
async def claimed_reduction(agent: Agent) -> Answer:
    seen = await agent.call("check_claim", text="By switching models we saved 40 % of our CO2e.", use="b2c")
    instead = seen.data["findings"][0]["instead"] if seen.data else seen.word("", r"Write instead: (.*?)\. English")
    return {
        "verdict": seen.word("verdict", r"^Claim: (\w+)"),
        "keeps_number": "40 %" in instead,
        "asks_baseline": "baseline" in instead,
        "says_not_legal_advice": seen.says("not legal advice"),
    }


@policy("reviewer-denied-claim")
async def denied_claim(agent: Agent) -> Answer:
    seen = await agent.call("check_claim", text="We do not call our service carbon neutral, and we buy no credits.")
    return {
        "findings": seen.number("finding_count", r"(\d+) findings?"),
        "calls_it_true": "is true" in seen.shown or "compliant" in seen.shown,
    }


@policy("reviewer-five-verdicts")
async def five_verdicts(agent: Agent) -> Answer:
    seen = await agent.call("verify_receipt", receipt=agent.given["receipt"])
    return {name: seen.verdict(name) for name in FIVE}


@policy("reviewer-changed-receipt")
async def changed_receipt(agent: Agent) -> Answer:
    seen = await agent.call("verify_receipt", receipt=agent.given["changed_jws"])
    return {"signature": seen.verdict("signature"), "outcome": seen.word("outcome", r": (failed|established)")}


@policy("reviewer-what-behind")
async def what_behind(agent: Agent) -> Answer:
    seen = await agent.call("explain", subject=agent.given["receipt"])
    return {
        "names_grid_source": seen.says("electricitymaps-2025"),
        "names_assumption": seen.says("batch"),
        "names_left_out": seen.says("training"),
    }


@policy("reviewer-unknown-receipt")
async def unknown_receipt(agent: Agent) -> Answer:
    seen = await agent.call("verify_receipt", receipt="r_" + "a" * 26)
    return {"refused": seen.is_error, "says_what_works": seen.says("run_inference")}


@policy("reviewer-draw-a-sample")
async def draw_a_sample(agent: Agent) -> Answer:
    october = {"since": "2026-10-01", "until": "2026-11-01", "size": 3}
    seen = await agent.call("export_evidence", **october)
    seed = seen.word("seed", r"seed (\w+)")
    again = await agent.call("export_evidence", **october, seed=seed)
    ids, same = (re.findall(r"\br_[a-z2-7]{26}\b", each.shown) for each in (seen, again))
    checked = await agent.call("verify_receipt", receipt=ids[0])
    return {
        "drawn": len(dict.fromkeys(ids)),
        "of": seen.number("population", r"of ([\d,]+) receipts"),
        "same_again": ids == same,
        "outcome": checked.word("outcome", r": (failed|established)"),
    }


@policy("reviewer-market-based")
async def market_based(agent: Agent) -> Answer:
    seen = await agent.call("summarize_ledger", since="2026-10-01", until="2026-11-01")
    if seen.data is not None:
        return {"figure": seen.data["carbon_market_kg"], "reason": bool(seen.data["reasons"].get("carbon_market_kg"))}
    found = re.search(r"Market-based null \(([^)]+)\)", seen.text)
    if found is None:
        raise CannotRead(seen.text)
    return {"figure": None, "reason": bool(found[1])}


@policy("reviewer-scope-of-use")
async def scope_of_use(agent: Agent) -> Answer:
    seen = await agent.call("check_claim", text="We report our OpenAI API usage, 12 kWh in 2026, under Scope 2.")
    return {"says": "Scope 3" if seen.says("Scope 3 category 1") else "nothing"}
