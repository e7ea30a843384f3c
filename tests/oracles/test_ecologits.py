"""Our restatement of EcoLogits against the releases themselves, on thousands of generated requests."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import wattproof.methodology.data as data
from wattproof.methodology.methods import Activity, Intensity, get_method
from wattproof.methodology.methods.ecologits_registry import registered
from wattproof.methodology.models import all_model_ids, find_model
from wattproof.methodology.quantity import Footprint, Quantity, Usage, Workload

pytestmark = pytest.mark.xdist_group("oracle")

Oracle = Callable[..., dict[str, list[dict[str, Any]]]]

CASES = 3000
LATENCY_S = 5.0
REL_TOL = 1e-9
UNIT_RATIOS = {
    "energy_kwh": ("energy_wh", 1000),
    "gwp_kgco2e": ("carbon_gco2e", 1000),
    "adpe_kgsbeq": ("adpe_kgsbeq", 1),
    "embodied_kgco2e": ("carbon_embodied_gco2e", 1000),
    "water_l": ("water_ml", 1000),
}


def ends_of(quantity: Quantity | None, per_published: float) -> list[float]:
    assert quantity is not None
    low, high = (quantity.median if end is None else end for end in (quantity.low, quantity.high))
    return [low / per_published, high / per_published]


def ends_published(value: float | dict[str, float]) -> tuple[float, float]:
    return (value["min"], value["max"]) if isinstance(value, dict) else (value, value)


def mismatches(footprint: Footprint, published: Mapping[str, Any]) -> dict[str, Any]:
    """Every figure that differs by more than the tolerance; the middle of a range included."""
    found: dict[str, Any] = {}
    for name, (field, ratio) in UNIT_RATIOS.items():
        if name in published:
            ours, theirs = ends_of(getattr(footprint, field), ratio), published[name]
            if ours != pytest.approx(theirs, rel=REL_TOL, abs=0):
                found[name] = (ours, theirs)
    return found


def number(rng: random.Random, low: float, high: float) -> float:
    """A random number of 9 significant digits, log-uniform: as many as an operand keeps."""
    return float(f"{low * (high / low) ** rng.random():.8e}")


def point_or_range(rng: random.Random, low: float, high: float) -> Any:
    first, second = sorted((number(rng, low, high), number(rng, low, high)))
    return rng.choice((first, {"min": first, "max": second}))


def generated_case(rng: random.Random, *, release: str) -> dict[str, Any]:
    """Keyword arguments of `compute_llm_impacts`; edges such as no output and an unknown latency come often."""
    case: dict[str, Any] = {
        "model_active_parameter_count": point_or_range(rng, 0.1, 1000),
        "model_total_parameter_count": point_or_range(rng, 0.1, 3000),
        "output_token_count": rng.choice((0, 1, rng.randrange(10_000), rng.randrange(10**7))),
        "request_latency": rng.choice((None, number(rng, 0.01, 1e4))),
        "if_electricity_mix_adpe": number(rng, 1e-9, 1e-6),
        "if_electricity_mix_pe": 1.0,
        "if_electricity_mix_gwp": number(rng, 0.001, 2),
    }
    if release == "0.11.3":
        case |= {
            "if_electricity_mix_wue": number(rng, 0.01, 20),
            "datacenter_pue": point_or_range(rng, 1, 2),
            "datacenter_wue": point_or_range(rng, 0.01, 3),
            "tps": rng.choice((None, number(rng, 1, 1000))),
            "ttft": rng.choice((None, number(rng, 0.01, 60))),
        }
    return case


def operands_of(case: Mapping[str, Any], method_id: str) -> dict[str, float]:
    """The numbers of our method's operands for a case; the constants are the method's own."""
    method = get_method(method_id)
    anything = Activity(Workload.CHAT, Usage(1, 0), find_model("gpt-oss-120b"), Intensity(1.0, 0.0, "test"))
    numbers = {operand.name: operand.number for operand in method.operands(anything)}
    numbers.pop("tokens_per_s", None)
    plain = {
        "output_token_count": "output_tokens",
        "request_latency": "latency_s",
        "if_electricity_mix_adpe": "mix_adpe_kgsbeq_per_kwh",
        "if_electricity_mix_wue": "wue_offsite_l_per_kwh",
        "tps": "tokens_per_s",
    }
    ranged = {
        "model_active_parameter_count": "active_params_b",
        "model_total_parameter_count": "total_params_b",
        "datacenter_pue": "pue",
        "datacenter_wue": "wue_onsite_l_per_kwh",
    }
    numbers |= {name: case[theirs] for theirs, name in plain.items() if case.get(theirs) is not None}
    for theirs, name in ranged.items():
        if theirs in case:
            low, high = ends_published(case[theirs])
            numbers |= {f"{name}_min": low, f"{name}_max": high}
    numbers["intensity_gco2e_per_kwh"] = case["if_electricity_mix_gwp"] * 1000
    if "first_token_s" in numbers:
        numbers["first_token_s"] = case["ttft"] or 0.0
    return numbers


@pytest.mark.parametrize("release", ["0.4.0", "0.11.3"])
def test_generated_requests_cost_what_the_release_says(ecologits: Oracle, release: str) -> None:
    rng = random.Random(20261122)
    cases = [generated_case(rng, release=release) for _ in range(CASES)]
    method_id = f"ecologits/llm@{release}"
    compute = get_method(method_id).compute

    published = ecologits(release, compute=cases)["compute"]

    wrong = {
        index: found
        for index, (case, theirs) in enumerate(zip(cases, published, strict=True))
        if (found := mismatches(compute(operands_of(case, method_id)), theirs))
    }
    assert wrong == {}
    assert len(published) == CASES


def test_every_registered_model_costs_what_its_name_costs_in_0_11_3(ecologits: Oracle) -> None:
    registry = data.read_edition("ecologits/models.json")
    provider_of = {row["id"]: row["provider"] for row in registry["models"]}
    names = [(row["provider"], row["id"]) for row in registry["models"]]
    names += [(provider_of[alias["of"]], alias["alias"]) for alias in registry["aliases"]]
    cases = [(provider, name, zone) for provider, name in names for zone in ("USA", "FRA")]

    asked = [(provider, name, 400, LATENCY_S, zone) for provider, name, zone in cases]
    published = ecologits("0.11.3", named=asked)["named"]

    method = get_method("ecologits/llm@0.11.3")
    wrong = {
        (name, zone): found
        for (_, name, zone), theirs in zip(cases, published, strict=True)
        if (found := mismatches(method.footprint(activity(name, theirs["mix"])), theirs))
    }
    assert wrong == {}
    assert len(cases) == 702


def activity(model: str, mix: Mapping[str, float]) -> Activity:
    return Activity(
        Workload.CHAT,
        Usage(1000, 400),
        find_model(model),
        Intensity(mix["gwp"] * 1000, 0.0, "test"),
        latency_s=LATENCY_S,
        wue_offsite_l_per_kwh=mix["wue"],
        mix_adpe_kgsbeq_per_kwh=mix["adpe"],
    )


def test_no_model_of_either_registry_is_missing_and_its_row_is_found_under_the_id() -> None:
    for registry in ("ecologits/models.json", "ecologits/models_0.4.0.json"):
        for row in data.read_edition(registry)["models"]:
            assert registered(registry, find_model(row["id"])).listed, row["id"]
    assert len(all_model_ids()) == len(set(all_model_ids()))


def test_the_registries_are_those_of_the_releases(ecologits: Oracle) -> None:
    ecologits("0.4.0")
    ecologits("0.11.3")
    folder = Path(__file__).parents[2] / ".venv-oracle"
    newest = json.loads((folder / "ecologits-0.11.3" / "ecologits" / "data" / "models.json").read_text("utf-8"))
    oldest = (folder / "ecologits-0.4.0" / "ecologits" / "data" / "models.csv").read_text("utf-8").splitlines()

    def ids(registry: str) -> list[str]:
        return sorted(row["id"] for row in data.read_edition(registry)["models"])

    assert ids("ecologits/models.json") == sorted(row["name"] for row in newest["models"])
    assert ids("ecologits/models_0.4.0.json") == sorted(line.split(",")[1] for line in oldest[1:])
