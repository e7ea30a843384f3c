"""How long an estimate takes, beside EcoLogits 0.11.3, in one run.

    python benchmarks/bench_methodology.py [--rounds 7] [--json]

EcoLogits goes to a folder of its own (`.venv-oracle/`) and runs as a subprocess, so that its dependencies never meet
ours. Every round times EcoLogits, then us; the figures are medians over the rounds. The request is its range case:
gpt-4o, 400 output tokens, USA. What is timed:

  figures     energy and climate with their intervals, deployment known (warm)
  indicators  all indicators with their intervals within both boundaries, deployment known (warm)
  footprint   the comprehensive indicators as a footprint record with its terms, from usage, model and intensity
  footprints  the records of both boundaries, from usage, model and intensity
  estimate    the footprint with every operand and its provenance, as the tools use it
  llm_impacts EcoLogits: energy, climate and its other indicators as ranges, from names

Exit status 1 when a target is missed: figures at most 10 us and at least 50 times faster than llm_impacts, indicators
at least 15 times; importing `wattproof.methodology` in under 60 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wattproof.methodology import Activity, Intensity, Usage, Workload, find_model, get_method
from wattproof.methodology.methods.param import rates
from wattproof.resources.footprints import estimate
from wattproof.resources.grid.bundled import annual_reading

ECOLOGITS = "ecologits==0.11.3"
ORACLE_FOLDER = Path(__file__).resolve().parent.parent / ".venv-oracle" / "ecologits-0.11.3"

ORACLE_CALL = """
import logging, timeit
logging.disable()
from ecologits.tracers.utils import llm_impacts
call = lambda: llm_impacts("openai", "gpt-4o", 400, 10.0, "USA")
assert call().energy.value.min < call().energy.value.max
print(min(timeit.repeat(call, number=200, repeat=3)) / 200 * 1e6)
"""

IMPORT_CALL = """
import time
start = time.perf_counter()
import wattproof.methodology
print((time.perf_counter() - start) * 1e3)
"""

KNOWN: dict[str, Any] = {
    "wue_onsite_l_per_kwh": 0.2,
    "wue_offsite_l_per_kwh": 1.5,
    "market_gco2e_per_kwh": 12.0,
    "instrument_id": "benchmark",
    "mix_adpe_kgsbeq_per_kwh": 5e-8,
}
"""So that no indicator is null."""

MOST_FIGURES_US = 10.0
LEAST_RATIO = 50.0
LEAST_RATIO_OF_ALL = 15.0
MOST_IMPORT_MS = 60.0


def install_oracle() -> None:
    if not (ORACLE_FOLDER / "ecologits").is_dir():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--target", str(ORACLE_FOLDER), ECOLOGITS], check=True)


def printed_number(code: str, *, path: Path | None = None) -> float:
    environ = os.environ if path is None else {**os.environ, "PYTHONPATH": str(path)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    return float(done.stdout)


def microseconds(call: Callable[[], object]) -> float:
    return min(timeit.repeat(call, number=5_000, repeat=3)) / 5_000 * 1e6


def our_calls() -> dict[str, Callable[[], object]]:
    model, reading, method = find_model("gpt-4o"), annual_reading("US", 1_793_000_000), get_method("wattproof/param")
    intensity = Intensity(reading.value_gco2e_per_kwh, reading.sigma_ln, reading.source)

    def activity() -> Activity:
        return Activity(Workload.CHAT, Usage(1000, 400), model, intensity, **KNOWN)

    numbers = {operand.name: operand.number for operand in method.operands(activity())}
    deployed, narrow = rates(numbers, "comprehensive"), rates(numbers, "narrow")
    assert deployed.figures(1000, 0, 400).energy_wh == method.footprint(activity()).energy_wh
    return {
        "figures": lambda: deployed.figures(1000, 0, 400),
        "indicators": lambda: (deployed.indicators(1000, 0, 400), narrow.indicators(1000, 0, 400)),
        "footprint": lambda: method.footprint(activity()),
        "footprints": lambda: (method.footprint(given := activity()), method.footprint(given, "narrow")),
        "estimate": lambda: estimate(model, Usage(1000, 400), reading),
    }


def measure(rounds: int) -> dict[str, dict[str, float]]:
    """Medians over the rounds: microseconds per call, the ratio of EcoLogits to each, milliseconds to import."""
    calls = our_calls()
    timed: dict[str, list[float]] = {name: [] for name in ("llm_impacts", *calls)}
    import_ms: list[float] = []
    for _ in range(rounds):
        timed["llm_impacts"].append(printed_number(ORACLE_CALL, path=ORACLE_FOLDER))
        for name, call in calls.items():
            timed[name].append(microseconds(call))
        import_ms.append(printed_number(IMPORT_CALL))
    medians = {name: statistics.median(values) for name, values in timed.items()}
    return {
        "us": {name: round(median, 2) for name, median in medians.items()},
        "ratios": {f"llm_impacts/{name}": round(medians["llm_impacts"] / medians[name], 1) for name in calls},
        "ms": {"import wattproof.methodology": round(statistics.median(import_ms), 1)},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Time an estimate beside EcoLogits 0.11.3.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    install_oracle()
    result = measure(options.rounds)
    met = {
        f"figures <= {MOST_FIGURES_US:g} us": result["us"]["figures"] <= MOST_FIGURES_US,
        f"llm_impacts/figures >= {LEAST_RATIO:g}": result["ratios"]["llm_impacts/figures"] >= LEAST_RATIO,
        f"llm_impacts/indicators >= {LEAST_RATIO_OF_ALL:g}": (
            result["ratios"]["llm_impacts/indicators"] >= LEAST_RATIO_OF_ALL
        ),
        f"import < {MOST_IMPORT_MS:g} ms": result["ms"]["import wattproof.methodology"] < MOST_IMPORT_MS,
    }
    if options.json:
        print(json.dumps({**result, "targets": met}))
        return 0 if all(met.values()) else 1
    for unit, figures in result.items():
        for name, figure in figures.items():
            print(f"{name:<32}{figure:>9} {'x' if unit == 'ratios' else unit}")
    for target, is_met in met.items():
        print(f"{'met   ' if is_met else 'MISSED'} {target}")
    return 0 if all(met.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
