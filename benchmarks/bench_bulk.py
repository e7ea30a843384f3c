"""How long a request takes in a batch of a million, beside one at a time, in one run.

    python benchmarks/bench_bulk.py [--rounds 7] [--requests 1000000] [--json]

Needs the extra `[bulk]`. Requests to one deployment of gpt-4o in the USA: mixed lengths, a third with cached input,
some longer than the prefill rate covers. Every round times each path on the same requests, one path after another; the
figures are medians over the rounds, in microseconds a request. What is timed:

  bulk             estimate_many: every known indicator of every request, median and interval, from columns
  bulk two         the same for energy and climate alone
  bulk readings    as `bulk`, under one of 24 grid readings for each request
  bulk records     as `bulk`, from a list of Usage
  indicators       the scalar method, its rates prepared: every indicator of a request
  figures          the same for energy and climate alone
  estimate         footprints.estimate: the footprint of a request with operands and provenance, as the tools use it

The scalar paths are timed on the first 20,000 requests. Exit status 1 when a target is missed: bulk at least 5 times
faster than indicators and than estimate, two indicators at least 5 times faster than figures.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wattproof.methodology import Usage, find_model
from wattproof.methodology.methods.param import rates
from wattproof.resources.bulk import UsageColumns, estimate_many
from wattproof.resources.footprints import estimate
from wattproof.resources.grid.bundled import annual_reading

SCALAR_REQUESTS = 20_000
TWO = ("energy_wh", "carbon_gco2e")
TARGETS = {"indicators/bulk": 5.0, "estimate/bulk": 5.0, "figures/bulk two": 5.0}


def counts(requests: int) -> tuple[NDArray[np.int64], ...]:
    """Input, output and cached input tokens."""
    random = np.random.default_rng(20261101)
    input_tokens = np.minimum(random.lognormal(7, 1.5, requests), 400_000).astype(np.int64)
    cached = (input_tokens * random.random(requests) * (random.random(requests) < 1 / 3)).astype(np.int64)
    return input_tokens, random.lognormal(6, 1, requests).astype(np.int64), cached


def paths(requests: int) -> dict[str, tuple[int, Callable[[], object]]]:
    """For each path how many requests one call takes, and the call."""
    model, reading = find_model("gpt-4o"), annual_reading("US", 1_793_000_000)
    hourly = [replace(reading, value_gco2e_per_kwh=300.0 + 10 * hour) for hour in range(24)]
    readings = [hourly[row % 24] for row in range(requests)]
    batch = counts(requests)
    usages = [Usage(*map(int, row)) for row in zip(*batch, strict=True)]
    columns = UsageColumns(*batch)
    some = usages[:SCALAR_REQUESTS]
    numbers = {operand.name: operand.number for operand in estimate(model, Usage(1, 1), reading).operands}
    deployed = rates(numbers, "comprehensive")
    return {
        "bulk": (requests, lambda: estimate_many(model, reading, columns)),
        "bulk two": (requests, lambda: estimate_many(model, reading, columns, indicators=TWO)),
        "bulk readings": (requests, lambda: estimate_many(model, readings, columns)),
        "bulk records": (requests, lambda: estimate_many(model, reading, usages)),
        "indicators": (
            len(some),
            lambda: [deployed.indicators(u.input_tokens, u.cached_input_tokens, u.output_tokens) for u in some],
        ),
        "figures": (
            len(some),
            lambda: [deployed.figures(u.input_tokens, u.cached_input_tokens, u.output_tokens) for u in some],
        ),
        "estimate": (len(some), lambda: [estimate(model, usage, reading) for usage in some]),
    }


def measure(rounds: int, requests: int) -> dict[str, dict[str, float]]:
    """Medians over the rounds: microseconds a request, and the ratios of the targets."""
    measured = paths(requests)
    timed: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(rounds):
        for name, (handled, call) in measured.items():
            start = time.perf_counter()
            call()
            timed[name].append((time.perf_counter() - start) / handled * 1e6)
    medians = {name: statistics.median(values) for name, values in timed.items()}
    ratios = {pair: medians[pair.split("/")[0]] / medians[pair.split("/")[1]] for pair in TARGETS}
    return {
        "us": {name: round(median, 4) for name, median in medians.items()},
        "ratios": {pair: round(ratio, 1) for pair, ratio in ratios.items()},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Time a batch beside one request at a time.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = measure(options.rounds, options.requests)
    met = {f"{pair} >= {least:g}": result["ratios"][pair] >= least for pair, least in TARGETS.items()}
    if options.json:
        print(json.dumps({**result, "requests": options.requests, "targets": met}))
        return 0 if all(met.values()) else 1
    for unit, figures in result.items():
        for name, figure in figures.items():
            print(f"{name:<20}{figure:>10} {'x' if unit == 'ratios' else unit}")
    for target, is_met in met.items():
        print(f"{'met   ' if is_met else 'MISSED'} {target}")
    return 0 if all(met.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
