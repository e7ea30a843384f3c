"""How vendors differ, as rows: where each amount stands in what they send, and what turns it into our unit.

A path leads from the name of a raw block to a value; `headers` holds response headers, their names in lower case.
Source: the vendors' public documentation, 2026-11. `billing_cost` of Melious has a field `energy` that is money: it is
in no row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["UNITS", "VENDORS", "Number", "Total", "Vendor", "Words"]

Path = tuple[str, ...]

_WH_PER_JOULE = 1 / 3600


@dataclass(frozen=True, slots=True)
class Number:
    """One amount: `value * factor` is in the unit of `field`.

    With `unit_path` the block itself names the unit, and the factor is that of `UNITS`. `read_as` is set where the
    vendor's name for the amount has more than one reading: it says which one is taken and why.
    """

    field: str
    path: Path
    factor: float = 1.0
    unit_path: Path | None = None
    read_as: str | None = None


@dataclass(frozen=True, slots=True)
class Total:
    """An amount that is the sum of `parts` times another; unknown as soon as one of them is."""

    field: str
    parts: tuple[Path, ...]
    times: Path


@dataclass(frozen=True, slots=True)
class Words:
    """A text."""

    field: str
    path: Path


@dataclass(frozen=True, slots=True)
class Vendor:
    """One vendor's shape. Several rows for one field must agree."""

    name: str
    numbers: tuple[Number, ...]
    words: tuple[Words, ...] = ()
    totals: tuple[Total, ...] = ()


# Units that a block may name, by field. `MWh` and `Mg` are left out on purpose: they have two readings.
UNITS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "energy_wh": {
            "kWh": 1e3,
            "Wh": 1.0,
            "mWh": 1e-3,
            "uWh": 1e-6,
            "kJ": 1e3 * _WH_PER_JOULE,
            "J": _WH_PER_JOULE,
            "Ws": _WH_PER_JOULE,
            "mJ": 1e-3 * _WH_PER_JOULE,
            "Wms": 1e-3 * _WH_PER_JOULE,
        },
        "carbon_gco2e": {"kgCO2e": 1e3, "gCO2e": 1.0, "mgCO2e": 1e-3, "ugCO2e": 1e-6},
        "duration_s": {"s": 1.0, "ms": 1e-3, "us": 1e-6},
    }
)


def _header(name: str) -> Path:
    return ("headers", name)


_MELIOUS = Vendor(
    "melious",
    numbers=(
        Number("energy_wh", ("environment_impact", "energy_kwh"), 1e3),
        Number("carbon_gco2e", ("environment_impact", "carbon_g_co2")),
        Number("water_ml", ("environment_impact", "water_liters"), 1e3),
        Number("renewable_ratio_bps", ("environment_impact", "renewable_percent"), 100),
        Number("pue", ("environment_impact", "pue")),
    ),
    words=(
        Words("zone", ("environment_impact", "location")),
        Words("evidence", ("environment_impact", "provider_id")),
    ),
)

_LOWROUTER = Vendor(
    "lowrouter",
    numbers=(
        Number("energy_wh", ("lowrouter", "eco", "energy_wh")),
        Number("carbon_gco2e", ("lowrouter", "eco", "carbon_g")),
    ),
    words=(
        Words("zone", ("lowrouter", "region")),
        Words("zone", _header("x-lowrouter-region")),
        Words("methodology", ("lowrouter", "eco", "methodology_version")),
        Words("accuracy", ("lowrouter", "eco", "accuracy")),
        Words("evidence", ("lowrouter", "provider")),
        Words("evidence", _header("x-lowrouter-provider")),
    ),
)

_GREENPT = Vendor(
    "greenpt",
    numbers=(
        Number("energy_wh", ("impact", "energy", "total"), unit_path=("impact", "energy", "unit")),
        Number("carbon_gco2e", ("impact", "emissions", "total"), unit_path=("impact", "emissions", "unit")),
        Number("duration_s", ("impact", "inferenceTime", "total"), unit_path=("impact", "inferenceTime", "unit")),
    ),
    words=(Words("methodology", ("impact", "version")),),
)

# The energy block of a stream is an SSE comment of the same content, which the adapter keeps under the same name.
_NEURALWATT = Vendor(
    "neuralwatt",
    numbers=(
        Number("energy_wh", ("energy", "energy_joules"), _WH_PER_JOULE),
        Number("energy_wh", ("energy", "energy_kwh"), 1e3),
        Number("average_power_w", ("energy", "avg_power_watts")),
        Number("duration_s", ("energy", "duration_seconds")),
        Number("carbon_gco2e", ("energy", "carbon_g_co2eq")),
    ),
    words=(Words("methodology", ("energy", "attribution_method")),),
)

# Energy of a provisioned accelerator, its host and its idle share, times PUE. The field that holds the carbon is not
# documented, so none is read.
_VETTED = Vendor(
    "vetted",
    numbers=(
        Number("pue", ("vetted", "telemetry", "pue_factor")),
        Number("grid_age_minutes", ("vetted", "grid_intensity_age_minutes")),
        Number("grid_age_minutes", ("vetted", "age_minutes")),
    ),
    words=(
        Words("methodology", ("vetted", "tier")),
        Words("evidence", ("vetted", "grid_intensity_source")),
        Words("accuracy", ("vetted", "grid_temporal_match")),
        Words("zone", ("vetted", "region")),
    ),
    totals=(
        Total(
            "energy_wh",
            tuple(("vetted", "telemetry", part) for part in ("gpu_wh", "host_wh", "idle_wh")),
            times=("vetted", "telemetry", "pue_factor"),
        ),
    ),
)

_BATCHIN = Vendor(
    "batchin",
    numbers=(
        Number(
            "energy_wh",
            _header("x-green-energy-mwh"),
            1e-3,
            read_as="MWh is read as milliwatt-hours: a request of megawatt-hours is impossible",
        ),
        Number(
            "carbon_gco2e",
            _header("x-green-carbon-mg"),
            1e-3,
            read_as="Mg is read as milligrams: a request of tonnes is impossible",
        ),
        Number("renewable_ratio_bps", _header("x-green-renewable-ratio-bps")),
    ),
    words=(
        Words("zone", _header("x-green-region")),
        Words("methodology", _header("x-green-methodology")),
        Words("evidence", _header("x-green-energy-source")),
    ),
)

_GREENJOULES = Vendor("greenjoules", numbers=(Number("energy_wh", _header("x-energy-joules"), _WH_PER_JOULE),))

VENDORS: tuple[Vendor, ...] = (_MELIOUS, _LOWROUTER, _GREENPT, _NEURALWATT, _VETTED, _BATCHIN, _GREENJOULES)
"""In the order in which they are tried."""
