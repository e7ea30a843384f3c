"""Run by the tests in a process of its own, with one release of EcoLogits on its path.

Reads {"compute": [keyword arguments of compute_llm_impacts], "named": [arguments of llm_impacts]} from standard input;
a range is {"min": a, "max": b}. Writes the same keys with the figures that the release gives. "named" needs 0.11.3.
"""

from __future__ import annotations

import importlib
import json
import logging
import sys
from typing import Any

RANGE_TYPES = {
    "0.4.0": ("ecologits.impacts.modeling", "Range"),
    "0.11.3": ("ecologits.utils.range_value", "RangeValue"),
}


def ends(value: Any) -> list[float]:
    return [value.min, value.max] if hasattr(value, "min") else [value, value]


def figures(impacts: Any) -> dict[str, list[float]]:
    shown = {
        "energy_kwh": impacts.energy,
        "gwp_kgco2e": impacts.gwp,
        "adpe_kgsbeq": impacts.adpe,
        "embodied_kgco2e": impacts.embodied.gwp,
        "water_l": getattr(impacts, "wcf", None),
    }
    return {name: ends(impact.value) for name, impact in shown.items() if impact is not None}


def computed(cases: list[dict[str, Any]], release: str) -> list[dict[str, list[float]]]:
    module, name = RANGE_TYPES[release]
    range_type = getattr(importlib.import_module(module), name)
    compute = importlib.import_module("ecologits.impacts.llm").compute_llm_impacts
    return [
        figures(compute(**{key: range_type(**v) if isinstance(v, dict) else v for key, v in case.items()}))
        for case in cases
    ]


def named(cases: list[list[Any]]) -> list[dict[str, Any]]:
    if not cases:
        return []
    llm_impacts = importlib.import_module("ecologits.tracers.utils").llm_impacts
    mixes = importlib.import_module("ecologits.electricity_mix_repository").electricity_mixes
    found: list[dict[str, Any]] = []
    for provider, model, output_tokens, latency_s, zone in cases:
        mix = mixes.find_electricity_mix(zone=zone)
        impacts = llm_impacts(provider, model, output_tokens, latency_s, zone)
        found.append({**figures(impacts), "mix": {"gwp": mix.gwp, "adpe": mix.adpe, "wue": mix.wue}})
    return found


def main() -> None:
    logging.disable()
    asked = json.load(sys.stdin)
    json.dump({"compute": computed(asked["compute"], sys.argv[1]), "named": named(asked["named"])}, sys.stdout)


if __name__ == "__main__":
    main()
