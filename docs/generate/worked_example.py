"""`docs/worked-example.md`: one request through every tier, each step worked out here and compared with the method."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from docs.generate.markdown import interval, table
from docs.generate.steps import Mismatch, Sheet, Shown, agree, numbers, operand_list
from wattproof.methodology.data import EDITION
from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods import Activity, Intensity, Telemetry, get_method
from wattproof.methodology.models import find_model
from wattproof.methodology.quantity import Usage, Workload
from wattproof.methodology.zones import zone_average
from wattproof.tools.figures import significant

__all__ = ["render"]

MODEL, EMBEDDED_MODEL, ZONE = "gpt-oss-120b", "smollm2-135m-instruct", "FR"
USAGE = Usage(input_tokens=1000, output_tokens=400)
CPU_SECONDS = 12.0
SAMPLES = Telemetry(gpu_wh=0.036, host_wh=0.012, idle_wh=0.006, samples=48, resolution_ms=100.0)
OPINION = "isae-3000-example"


def render() -> str:
    """The page.

    Raises:
        Mismatch: a step differs from the method.
    """
    proxy, proxy_text = _ladder(_activity())
    parametric, parametric_text = _param(_activity())
    laddered, laddered_text = _ladder(replace(_activity(), batch=64.0, hardware="H100"))
    modelled, modelled_text = _cpu()
    telemetry, telemetry_text = _ladder(replace(_activity(), samples=SAMPLES))
    audited, _ = _ladder(replace(_activity(), samples=SAMPLES, opinion_ref=OPINION))
    zone = zone_average(ZONE)
    return "\n".join(
        (
            _INTRODUCTION.format(
                model=MODEL,
                input=USAGE.input_tokens,
                output=USAGE.output_tokens,
                zone=ZONE,
                grid=f"{zone.value_gco2e_per_kwh:g}",
                edition=EDITION,
            ),
            _PROXY,
            proxy_text,
            _PARAMETRIC,
            parametric_text,
            _LADDER_PARAMETRIC,
            laddered_text,
            _MODELLED.format(model=EMBEDDED_MODEL, seconds=f"{CPU_SECONDS:g}"),
            modelled_text,
            _TELEMETRY.format(s=SAMPLES),
            telemetry_text,
            _AUDITED.format(refusal=_refusal()),
            _side_by_side((proxy, parametric, laddered, modelled, telemetry, audited)),
        )
    )


_INTRODUCTION = """\
<!-- Written by `make docs` (python -m docs.generate). Do not edit: a test compares it with the code. -->
# A worked example: one request through every tier

A chat request to `{model}` with {input:,} tokens in and {output} out, served in {zone} at {grid} gCO2e/kWh (annual
average), with the data of edition {edition}. Each step is worked out for this page from the method's operands and
compared with what the method returns. The default is `wattproof/param`; the ladder shows how the same request
narrows as evidence comes in.
"""

_PROXY = """\
## Proxy

Nothing is known of the server: batch and hardware are assumed. A known model in an unknown zone is a proxy too.
"""

_PARAMETRIC = """\
## Parametric: the default method

Size of the model, tokens and an assumed batch. Shown are energy and location-based carbon; the other indicators
follow from the same energy.
"""

_LADDER_PARAMETRIC = """\
The ladder has a parametric tier as well, for who knows the batch (here 64) and the hardware (here H100):
"""

_MODELLED = """\
## Modelled

For the embedded model only: the same tokens, but by `{model}` on one's own machine, whose process took
{seconds} CPU seconds (made up for the example). Seconds come from the operating system's clock, watts are assumed.
"""

_TELEMETRY = """\
## Telemetry

Only where meter samples are supplied. These are made up for the example: accelerators {s.gpu_wh:g} Wh, host
{s.host_wh:g} Wh, share of idle machines {s.idle_wh:g} Wh; {s.samples} samples, {s.resolution_ms:g} ms apart.
"""

_AUDITED = """\
## Audited

Only with an opinion: the figures of telemetry, with the reference of an assurance opinion about those samples attached.
wattproof never computes this tier and does not read the opinion. Without samples it refuses:

> {refusal}
"""


def _activity() -> Activity:
    zone = zone_average(ZONE)
    return Activity(
        workload=Workload.CHAT,
        usage=USAGE,
        model=find_model(MODEL),
        intensity=Intensity(zone.value_gco2e_per_kwh, zone.sigma_ln, zone.source_id),
    )


def _param(activity: Activity) -> tuple[Shown, str]:
    method = get_method("wattproof/param")
    n, sheet = numbers(method, activity), Sheet()
    weights = sheet.step("weights", f"{n['total_params_b']:g} × {n['bytes_per_param']:g}", _weights(n), "GB")
    per_token = sheet.step("decode, per output token", _decode_text(n, weights), _decode(n), "Wh")
    decode = sheet.step("decode", f"{USAGE.output_tokens} × that", per_token * USAGE.output_tokens, "Wh")
    how = f"{n['prefill_wh_per_token_b']:.3g} × {n['active_params_b']:g} × {USAGE.input_tokens:,}"
    prefill = sheet.step("prefill", how, _prefill(n), "Wh")
    spread = _param_spread(sheet, n, decode, prefill)
    how = f"× {n['overhead_ratio']:g} host and idle × {n['pue']:g} PUE"
    energy = sheet.step("energy at the wall", how, spread.median * n["overhead_ratio"] * n["pue"], "Wh")
    wall = (spread.sigma, n["sigma_ln_overhead"], n["sigma_ln_pue"])
    sigma = sheet.step("σ of energy", " ⊕ ".join(f"{part:.3f}" for part in wall), math.hypot(*wall), "")
    shown = sheet.quantity("energy", energy, sigma, "Wh")
    grid = n["intensity_gco2e_per_kwh"]
    carbon = sheet.step("carbon", f"energy × {grid:g} / 1000", energy * grid / 1000, "g")
    how = f"{sigma:.3f} ⊕ {n['sigma_ln_intensity']:.3f} of the grid"
    sigma_carbon = sheet.step("σ of carbon", how, math.hypot(sigma, n["sigma_ln_intensity"]), "")
    grams = sheet.quantity("carbon", carbon, sigma_carbon, "g")
    footprint = method.footprint(activity)
    agree(footprint.energy_wh, shown)
    agree(footprint.carbon_gco2e, grams)
    return Shown("parametric", method, footprint), f"{sheet.text()}\n{_SYMBOLS}\n{operand_list(method, activity)}"


_SYMBOLS = """\
σ is the standard deviation of the logarithm, and `⊕` adds as √(a² + b²). The two terms have different spreads and share
no factor, so their sum is matched by one log-normal with the same mean and variance (Fenton–Wilkinson).
"""


@dataclass(frozen=True)
class _Spread:
    median: float
    sigma: float


def _param_spread(sheet: Sheet, n: Mapping[str, float], decode: float, prefill: float) -> _Spread:
    """The sum of two independent log-normal terms, matched by one."""
    of_decode = math.hypot(
        n["fit_ln_active_params"] * n["sigma_ln_active_params"],
        n["fit_ln_weights"] * n["sigma_ln_weights"],
        n["fit_ln_batch"] * n["sigma_ln_batch"],
        n["sigma_ln_fit"],
    )
    of_prefill = math.hypot(n["sigma_ln_active_params"], n["sigma_ln_prefill"])
    how = f"{abs(n['fit_ln_batch']):.3f} × {n['sigma_ln_batch']:g} batch ⊕ {n['sigma_ln_fit']:.3f} fit"
    sheet.step("σ of decode", how, of_decode, "")
    sheet.step("σ of prefill", f"{n['sigma_ln_prefill']:g}", of_prefill, "")
    means = decode * math.exp(of_decode**2 / 2), prefill * math.exp(of_prefill**2 / 2)
    mean = sheet.step("mean of the sum", "Σ median × exp(σ²/2)", sum(means), "Wh")
    variance = means[0] ** 2 * math.expm1(of_decode**2) + means[1] ** 2 * math.expm1(of_prefill**2)
    sigma = math.sqrt(math.log1p(variance / mean**2))
    sheet.step("σ of the sum", "√ln(1 + variance / mean²), variance = Σ mean² (exp(σ²) − 1)", sigma, "")
    median = sheet.step("accelerators", "mean × exp(−σ²/2)", mean * math.exp(-(sigma**2) / 2), "Wh")
    return _Spread(median, sigma)


def _ladder(activity: Activity) -> tuple[Shown, str]:
    method = get_method("vetted/ladder")
    n, sheet = numbers(method, activity), Sheet()
    if activity.samples is None:
        how = "decode + prefill, as under Parametric"
        gpu = sheet.step("accelerators", how, _decode(n) * USAGE.output_tokens + _prefill(n), "Wh")
        host = sheet.step("host", f"× {n['host_ratio']:.4g}", gpu * n["host_ratio"], "Wh")
        idle = sheet.step("idle", f"× {n['idle_ratio']:.4g}", gpu * n["idle_ratio"], "Wh")
    else:
        gpu, host, idle = n["gpu_wh"], n["host_wh"], n["idle_wh"]
    it = sheet.step("IT equipment", "accelerators + host + idle", gpu + host + idle, "Wh")
    energy = sheet.step("energy at the wall", f"× {n['pue']:g} PUE", it * n["pue"], "Wh")
    grid = n["intensity_gco2e_per_kwh"]
    electricity = sheet.step("carbon of electricity", f"× {grid:g} / 1000", energy * grid / 1000, "g")
    machine_h = gpu / (n["rated_w"] * n["accelerator_load_ratio"]) * n["provisioned_ratio"]
    how = f"accelerators / ({n['rated_w']:g} W × {n['accelerator_load_ratio']:g}) × {n['provisioned_ratio']:g}"
    sheet.step("machine time", how, machine_h * 3600, "s")
    made_kg = n["accelerator_gwp_kgco2e"] + n["server_gwp_kgco2e"] / n["accelerators_per_server"]
    how = f"machine time / {n['lifetime_h']:,.0f} h × {made_kg:,.0f} kg"
    embodied = sheet.step("carbon of manufacture", how, machine_h / n["lifetime_h"] * made_kg * 1000, "g")
    carbon = sheet.step("carbon", "electricity + manufacture", electricity + embodied, "g")
    scores = math.fsum(value for name, value in n.items() if name.startswith("variance_"))
    sigma = math.sqrt(n["sigma_ln_basic"] ** 2 + scores)
    sheet.step("σ of the tier", f"√({n['sigma_ln_basic']:.3f}² basic + {scores:.4f} pedigree)", sigma, "")
    footprint = method.footprint(activity)
    agree(footprint.energy_wh, sheet.quantity("energy", energy, sigma, "Wh"))
    agree(footprint.carbon_gco2e, sheet.quantity("carbon", carbon, sigma, "g"))
    operands = "" if activity.samples is None else f"\n{operand_list(method, activity)}"
    return Shown(footprint.tier, method, footprint), sheet.text() + operands


def _cpu() -> tuple[Shown, str]:
    method = get_method("wattproof/cpu-time")
    activity = replace(_activity(), model=find_model(EMBEDDED_MODEL), cpu_seconds=CPU_SECONDS, cpu_measured=True)
    n, sheet = numbers(method, activity), Sheet()
    watts = n["watts_per_thread"]
    energy = sheet.step(
        "energy", f"{CPU_SECONDS:g} s × {watts:g} W / 3600", CPU_SECONDS * watts / 3600 * n["pue"], "Wh"
    )
    grid, sigma = n["intensity_gco2e_per_kwh"], n["sigma_ln_watts_per_thread"]
    footprint = method.footprint(activity)
    agree(footprint.energy_wh, sheet.quantity("energy", energy, sigma, "Wh"))
    carbon = sheet.step("carbon", f"× {grid:g} / 1000", energy * grid / 1000, "g")
    sigma_carbon = math.hypot(sigma, n["sigma_ln_intensity"])
    agree(footprint.carbon_gco2e, sheet.quantity("carbon", carbon, sigma_carbon, "g"))
    return Shown(footprint.tier, method, footprint), f"{sheet.text()}\n{operand_list(method, activity)}"


def _weights(n: Mapping[str, float]) -> float:
    return n["total_params_b"] * n["bytes_per_param"]


def _decode(n: Mapping[str, float]) -> float:
    """Accelerator energy per output token [Wh]; an ordinary GPU and no long reasoning in this example."""
    return math.exp(
        n["fit_const"]
        + n["fit_ln_active_params"] * math.log(n["active_params_b"])
        + n["fit_ln_weights"] * math.log(_weights(n))
        + n["fit_ln_batch"] * math.log(n["batch"])
    )


def _decode_text(n: Mapping[str, float], weights: float) -> str:
    return (
        f"exp({n['fit_const']:.4f} + {n['fit_ln_active_params']:.4f} ln {n['active_params_b']:g} "
        f"+ {n['fit_ln_weights']:.4f} ln {weights:.4g} − {-n['fit_ln_batch']:.4f} ln {n['batch']:g})"
    )


def _prefill(n: Mapping[str, float]) -> float:
    """Accelerator energy of the prompt [Wh]; it is short and nothing of it is cached."""
    return n["prefill_wh_per_token_b"] * n["active_params_b"] * USAGE.input_tokens


def _refusal() -> str:
    try:
        get_method("vetted/ladder").footprint(replace(_activity(), opinion_ref=OPINION))
    except InvalidInput as error:
        return str(error)
    raise Mismatch("an opinion without samples was accepted")


def _side_by_side(shown: Iterable[Shown]) -> str:
    rows: list[tuple[str, ...]] = []
    for each in shown:
        energy, carbon = each.footprint.energy_wh, each.footprint.carbon_gco2e
        assert energy is not None
        assert energy.low is not None
        assert energy.high is not None
        assert carbon is not None
        embodied = "yes" if each.method.embodied_included else "no"
        width = significant(energy.high / energy.low)
        rows.append(
            (each.tier, f"`{each.method.id}`", interval(energy), width, interval(carbon.scaled(1000)), embodied)
        )
    header = ("tier", "method", "energy [Wh]", "high / low", "carbon [mg CO2e]", "with manufacture")
    return (
        "## Side by side\n\n"
        f"{table(header, rows)}\n"
        "Amounts compare within one method only: the ladder adds manufacture to carbon, and the modelled row is\n"
        "another model on another machine. So do widths: the ladder's are those that its author publishes for each\n"
        "tier, not tested against meters, which is why its proxy looks surer than our own estimate.\n"
    )
