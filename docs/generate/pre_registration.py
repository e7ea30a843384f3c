"""`docs/pre-registration.json`: what the next score will be, fixed before its cases are known.

Written only on request: a registration is renewed with a release, never adjusted to a result.
"""

from __future__ import annotations

import json
import math
from typing import Any

from docs.generate.measurements import cases
from wattproof.methodology.data import EDITION, edition_sha256
from wattproof.methodology.methods import Activity, Intensity, all_methods
from wattproof.methodology.models import find_model
from wattproof.methodology.quantity import Boundary, Usage, Workload
from wattproof.tools.figures import rounded

__all__ = ["least_inside", "render"]

_CASES = {
    "metered": {
        "what": "GPU energy per output token on the ML.ENERGY leaderboard: tasks lm-arena-chat and gpqa, H100 or B200, "
        "average batch 8 to 1,100",
        "from": "the first snapshot published after this registration",
        "who": "model families that no row of the snapshot of 2026-02-27 belongs to",
        "one_per_family": "the configuration whose batch is nearest to 64 by ratio; of several the one with the fewest "
        "accelerators, then the first by name",
        "given_to_the_method": "published parameters and precision, hardware, batch, 400 output tokens, no prompt; "
        "gpqa counts as long reasoning; boundary narrow",
    },
    "operator": {
        "what": "energy of one text request to a named model, or of a service's median or average request, stated by "
        "its operator for the whole data centre",
        "from": "published after this registration",
        "who": "every one found until the score is made; a service counts as its default model at that time",
        "one_per_family": "the latest statement of each operator",
        "given_to_the_method": "the model as this edition has it, or the newest edition where it is missing; stated "
        "tokens, or else 500 in and 250 out; hardware where stated; batch withheld; boundary comprehensive",
    },
}

_EXCLUDED = [
    "figures inferred from latency, price or another formula",
    "totals of many requests without their number",
    "everything in seen_cases",
]

_METRICS = {
    "ratio": "estimated median over published figure",
    "bias": "exp of the median of ln ratio",
    "error": "exp of the median of |ln ratio|",
    "coverage": "number of published figures within the 90 % interval",
    "width": "exp of the median of ln(high / low)",
}

_THRESHOLDS = {
    "metered": {"least_cases": 5, "bias": "0.75 to 1.33", "error_at_most": 1.4, "width_at_most": 3.5},
    "operator": {"least_cases": 3, "bias": "0.5 to 2", "error_at_most": 2.0, "width_at_most": 15.0},
}

_VERDICTS = {
    "pass": "every threshold of the group holds, and at least coverage_at_least[n] of n figures lie inside",
    "fail": "one of them does not hold; the page says which",
    "not enough": "fewer cases than least_cases; the figures are shown without a verdict",
}

# Figures that pin down what the hash of a definition cannot: the numbers that the code makes of it.
_PROBES: tuple[tuple[str, Boundary, str | None, float | None, int, int], ...] = (
    ("mistral-small-3.2-24b-instruct-2506", "narrow", "H100", 64, 0, 400),
    ("glm-5.2", "narrow", "B200", 64, 0, 400),
    ("qwen3-32b", "narrow", "H100", 64, 0, 400),
    ("claude-sonnet-5-5", "comprehensive", None, None, 500, 250),
    ("gpt-4o", "comprehensive", None, None, 500, 250),
    ("gemini-2.5-pro", "comprehensive", "TPU", None, 500, 250),
)


def render() -> str:
    """The registration, with the hashes and figures of the present code."""
    method = all_methods()[0]
    factors = {operand.name: operand.number for operand in method.operands(_activity("gpt-4o", None, None, 500, 250))}
    registration: dict[str, Any] = {
        "what": "the next score of the default method, on cases that are unknown at registration",
        "registered_with": "0.1.0",
        "scored_with": "the release after it",
        "page": "validation.md",
        "method": {
            "id": method.id,
            "sha256": method.sha256,
            "edition": EDITION,
            "edition_sha256": edition_sha256(),
            "default_batch": factors["batch"],
            "sigma_ln_batch": factors["sigma_ln_batch"],
        },
        "cases": _CASES,
        "excluded": _EXCLUDED,
        "metrics": _METRICS,
        "thresholds": _THRESHOLDS,
        "coverage_at_least": {str(n): least_inside(n) for n in range(3, 21)},
        "verdicts": _VERDICTS,
        "probes_wh": [_probe(*probe) for probe in _PROBES],
        "seen_cases": sorted(case.id for case in cases()),
    }
    return json.dumps(registration, indent=1, ensure_ascii=False) + "\n"


def least_inside(n: int, coverage: float = 0.9, chance: float = 0.05) -> int:
    """How many of n figures a 90 % interval must hold: a true one falls short of it with less than this chance."""
    cumulated = 0.0
    for k in range(n + 1):
        cumulated += math.comb(n, k) * coverage**k * (1 - coverage) ** (n - k)
        if cumulated > chance:
            return k
    return n


def _probe(
    model: str, boundary: Boundary, hardware: str | None, batch: float | None, input_tokens: int, output_tokens: int
) -> dict[str, Any]:
    """What the default method says of one request [Wh]."""
    method = all_methods()[0]
    energy_wh = method.footprint(_activity(model, hardware, batch, input_tokens, output_tokens), boundary).energy_wh
    assert energy_wh is not None
    assert energy_wh.low is not None
    assert energy_wh.high is not None
    return {
        "model": model,
        "boundary": boundary,
        "hardware": hardware,
        "batch": batch,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "median": rounded(energy_wh.median, 6),
        "low": rounded(energy_wh.low, 6),
        "high": rounded(energy_wh.high, 6),
    }


def _activity(model: str, hardware: str | None, batch: float | None, input_tokens: int, output_tokens: int) -> Activity:
    return Activity(
        workload=Workload.CHAT,
        usage=Usage(input_tokens, output_tokens),
        model=find_model(model),
        intensity=Intensity(0.0, 0.0, "not compared"),
        hardware=hardware,
        batch=batch,
    )
