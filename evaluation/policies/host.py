"""People at a desktop host or in an IDE."""

from __future__ import annotations

import re

from evaluation.agent import Agent
from evaluation.policies.policy import Answer, policy
from evaluation.seen import CannotRead, Seen

CASE = {"input_tokens": 1000, "output_tokens": 400}


@policy("host-how-much")
async def how_much(agent: Agent) -> Answer:
    seen = await agent.call("estimate_request", model="claude-sonnet-5-5", input_tokens=3000, output_tokens=800)
    energy = seen.energy()
    return {
        "median_wh": energy.median,
        "low_wh": energy.low,
        "high_wh": energy.high,
        "method": seen.methodology,
        "dominated_by": seen.word("dominated_by", r"([a-z ]+) dominates"),
        "place_known": not seen.scope.startswith("unknown"),
    }


def _compared(seen: Seen) -> dict[str, tuple[float, float]]:
    """Energy [Wh] and carbon [g] by label of a comparison."""
    if seen.data is not None:
        rows = seen.data["rows"]
        return {
            row["label"]: (row["energy_wh"]["median"], row["carbon_gco2e"]["median"])
            for row in rows
            if row["energy_wh"]
        }
    units = {"Wh": 1.0, "mWh": 1e-3, "kWh": 1e3, "g": 1.0, "mg": 1e-3, "µg": 1e-6}
    pattern = r"([\w./@-]+) ([\d.,]+) ([mk]?Wh)(?: \([^)]*\))?, ([\d.,]+) ([mµ]?g) CO2e"
    return {
        label: (float(wh) * units[wh_unit], float(g) * units[g_unit])
        for label, wh, wh_unit, g, g_unit in re.findall(pattern, seen.text)
    }


@policy("host-cheapest-under")
async def cheapest_under(agent: Agent) -> Answer:
    models = ["claude-sonnet-5-5", "claude-haiku-5-5", "gpt-oss-120b"]
    seen = await agent.call("estimate_request", model=models, zone="FR", **CASE)
    grams = {label: carbon for label, (_, carbon) in _compared(seen).items()}
    under = {label: carbon for label, carbon in grams.items() if carbon < 0.1}
    return {"compared": len(grams), "choice": min(under, key=lambda label: under[label]), "under": len(under)}


@policy("host-vendor-block")
async def vendor_block(agent: Agent) -> Answer:
    seen = await agent.call("verify_receipt", receipt=agent.given["block"])
    return {
        "plausible": seen.verdict("plausibility"),
        "signature": seen.verdict("signature"),
        "says_implied": seen.says("400", "31"),
        "says_share": seen.says("85") or seen.says("8500"),
    }


@policy("host-half-a-name")
async def half_a_name(agent: Agent) -> Answer:
    seen = await agent.call("estimate_request", model="claude sonet 5.5", **CASE)
    if seen.is_error:
        seen = await agent.call("estimate_request", model=seen.closest()[0], **CASE)
    return {"answered": not seen.is_error, "model": seen.word("model", r"^(claude[\w-]*)")}


@policy("host-explain-interval")
async def explain_interval(agent: Agent) -> Answer:
    seen = await agent.call("explain", subject={"model": "gpt-oss-120b", "zone": "FR", **CASE})
    if seen.data is not None:
        driver = str(seen.data["drivers"])[:60]
        lever = str(seen.data["would_tighten"])[:60]
    else:
        driver = seen.word("", r"uncertainty: ([a-z ]+) \d")
        lever = seen.word("", r"(known\.\w+) would narrow")
    return {"driver": driver, "lever": lever}


@policy("host-narrow-it")
async def narrow_it(agent: Agent) -> Answer:
    asked = {"model": "gpt-oss-120b", "zone": "FR", **CASE}
    wide = (await agent.call("estimate_request", **asked)).energy()
    narrow = (await agent.call("estimate_request", **asked, known={"batch": 64})).energy()
    return {"narrower": (narrow.high or 0) / (narrow.low or 1) < (wide.high or 0) / (wide.low or 1)}


@policy("host-other-model")
async def other_model(agent: Agent) -> Answer:
    seen = await agent.call(
        "estimate_request", model="claude-haiku-5-5", baseline="claude-sonnet-5-5", input_tokens=3000, output_tokens=800
    )
    ratio = seen.number("baseline.ratio.median", r"([\d.]+)x \(")
    meaningful = seen.data["baseline"]["meaningful"] if seen.data else "a meaningful difference" in seen.text
    return {"ratio": ratio, "meaningful": meaningful, "names_baseline": seen.says("claude-sonnet-5-5")}


@policy("host-all-methods")
async def all_methods(agent: Agent) -> Answer:
    seen = await agent.call("estimate_request", model="gpt-oss-120b", methods="all", zone="FR", **CASE)
    energy = {label: wh for label, (wh, _) in _compared(seen).items()}
    return {
        "methods": len(energy),
        "spread": max(energy.values()) / min(energy.values()),
        "highest": max(energy, key=lambda label: energy[label]),
    }


@policy("host-two-places")
async def two_places(agent: Agent) -> Answer:
    grams = [
        (await agent.call("estimate_request", model="gpt-oss-120b", zone=zone, **CASE)).carbon()
        for zone in ("FR", "PL")
    ]
    return {"ratio": grams[1].median / grams[0].median}


@policy("host-zone-typo")
async def zone_typo(agent: Agent) -> Answer:
    asked = {"model": "gpt-oss-120b", **CASE}
    seen = await agent.call("estimate_request", zone="SE3", **asked)
    if seen.is_error:
        offered = seen.closest()
        # As anyone would: the one that holds what the user said, else the first.
        zone = next((name for name in offered if name.endswith("SE3")), offered[0])
        seen = await agent.call("estimate_request", zone=zone, **asked)
    return {"zone": seen.scope}


@policy("host-prompt-text")
async def prompt_text(agent: Agent) -> Answer:
    seen = await agent.call(
        "estimate_request", model="gpt-5-mini", text="Summarise this page in three sentences. " * 40
    )
    return {"tokens": seen.number("usage.input_tokens", r"([\d,]+) in /"), "says_assumed": seen.says("output_tokens")}


@policy("host-wait-until")
async def wait_until(agent: Agent) -> Answer:
    seen = await agent.call("recommend_window", zones=["FR"], deadline="2026-11-05T18:00:00Z", duration_minutes=60)
    return {
        "start": seen.word("chosen.start", r"from (\S+),"),
        "wait": seen.data["verdict"] == "wait" if seen.data else seen.text.startswith("Wait"),
        "times": seen.number("gain_ratio", r"([\d.]+) times the best slot"),
    }


@policy("host-no-forecast")
async def no_forecast(agent: Agent) -> Answer:
    seen = await agent.call("recommend_window", zones=["FR", "SE"], deadline=6)
    least = min(seen.data["annual_gco2e_per_kwh"].items(), key=lambda item: item[1])[0] if seen.data else None
    return {
        "can_tell": not (seen.data["verdict"] == "no_forecast" if seen.data else "cannot be told" in seen.text),
        "least_over_a_year": least or seen.word("", r"gCO2e/kWh: (\S+) "),
    }


@policy("host-empty-ledger")
async def empty_ledger(agent: Agent) -> Answer:
    seen = await agent.call("summarize_ledger", since="2026-11-01", until="2026-12-01")
    try:
        energy = seen.energy("estimated_energy_kwh", 1e3).median
    except CannotRead:
        energy = None
    return {"requests": seen.number("request_count", r"([\d,]+) requests?"), "energy_wh": energy}


@policy("host-my-own-logs")
async def my_own_logs(agent: Agent) -> Answer:
    seen = await agent.call("import_usage", format="claude-code")
    would = seen.number("records", r"would append up to ([\d,]+)")
    seen = await agent.call("import_usage", format="claude-code", dry_run=False)
    appended = seen.number("appended", r"([\d,]+) appended")
    seen = await agent.call("import_usage", format="claude-code", dry_run=False)
    twice = seen.number("appended", r"([\d,]+) appended")
    seen = await agent.call("summarize_ledger", since="2026-11-01", until="2026-12-01", group_by="model")
    return {
        "would": would,
        "appended": appended,
        "twice": twice,
        "requests": seen.number("request_count", r"([\d,]+) requests?"),
        "by_model": seen.says("claude-sonnet-4-6", "claude-haiku-4-5"),
    }
