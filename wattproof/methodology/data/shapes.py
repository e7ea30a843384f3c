"""The shape of every file of an edition, beside the header that all of them carry."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from wattproof.methodology.data.schema import Rows, Span, Table

__all__ = ["SHAPES"]

_NULL = type(None)
_CONSTANT: dict[str, Any] = {"value": float, "unit": str}
_UNITS = Table(str)
_RANGE = Rows(float)

_MODEL: dict[str, Any] = {
    "id": str,
    "provider": str,
    "architecture": str,
    "total_params_b": Span(),
    "active_params_b": Span(),
    "architecture_released": bool,
    "multimodal": bool,
    "source": str,
    "aliases?": Rows(str),
    "bytes_per_param?": float,
    "first_token_s?": float,
    "known_error?": str,
    "tokens_per_s?": float,
}

_REGISTRY: dict[str, Any] = {
    "source_url": str,
    "units": _UNITS,
    "aliases": Rows({"alias": str, "of": str}),
    "models": Rows(_MODEL),
}

_MANUFACTURE: dict[str, Any] = {
    "gwp_kgco2e": float,
    "sigma_ln_gwp": float,
    "adpe_kgsbeq": float,
    "sigma_ln_adpe": float,
    "source": str,
}

_PROFILE: dict[str, Any] = {"interpretation": bool, "units": _UNITS, "profile": Table(float), "notes": Table(str)}

SHAPES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "ecologits/llm_0.11.3.json": {
            "source_url": str,
            "constants": Table(_CONSTANT),
            "facilities_note": str,
            "default_facility": str,
            "facilities": Table({"pue": _RANGE, "wue_onsite_l_per_kwh": _RANGE}),
        },
        "ecologits/llm_0.4.0.json": {"source_url": str, "constants": Table(_CONSTANT)},
        "ecologits/models.json": _REGISTRY,
        "ecologits/models_0.4.0.json": _REGISTRY,
        "electricitymaps/zones.json": {
            "source_url": str,
            "columns": Rows(str),
            "accounting": str,
            "zones": Table(Rows(int)),
        },
        "wattproof/batchin_profile.json": _PROFILE,
        "wattproof/calibration.json": {
            "method": str,
            "families": Rows({"family": str, "status": str, "models": Rows(str), "why": str}),
        },
        "wattproof/embodied.json": {
            "units": _UNITS,
            "accelerators": Rows({"id": str, **_MANUFACTURE}),
            "server": {"accelerators_per_server": int, **_MANUFACTURE},
        },
        "wattproof/energy_fit.json": {
            "target": str,
            "rows": int,
            "families": int,
            "valid": str,
            "coefficients": Table(float),
            "leave_one_family_out_sigma_ln": float,
        },
        "wattproof/facilities.json": {
            "units": _UNITS,
            "facilities": Rows(
                {
                    "operator": str,
                    "providers": Rows(str),
                    "year": int,
                    "pue": float,
                    "pue_low": float,
                    "pue_high": float,
                    "wue_onsite_l_per_kwh": (float, _NULL),
                    "wue_low": (float, _NULL),
                    "wue_high": (float, _NULL),
                    "water": str,
                    "source": str,
                }
            ),
        },
        "wattproof/factors.json": {"factors": Table({**_CONSTANT, "source": str})},
        "wattproof/grid_spread.json": {
            "unit": str,
            "note": str,
            "default_sigma_ln": float,
            "least_sigma_ln": float,
            "sigma_ln": Table(float),
        },
        "wattproof/hardware.json": {
            "units": _UNITS,
            "assumed_where_unknown": str,
            "accelerators": Rows(
                {
                    "id": str,
                    "aliases": Rows(str),
                    "rated_w": float,
                    "memory_gb": float,
                    "in_energy_fit": bool,
                    "source": str,
                }
            ),
        },
        "wattproof/ladder.json": {
            "interpretation": bool,
            "units": _UNITS,
            "pedigree_table": str,
            "tiers": Table({"pedigree": Rows(int), "sigma_ln_basic": float, "source": str}),
            "shares": Table({"value": float, "source": str}),
        },
        "wattproof/lowrouter.json": {"constants": Table(_CONSTANT)},
        "wattproof/melious_profile.json": _PROFILE,
        "wattproof/models.json": {
            "units": _UNITS,
            "models": Rows(_MODEL),
            "precision": {
                "note": str,
                "source": str,
                "released_bytes_per_param": float,
                "released_sigma_ln": float,
                "undisclosed_bytes_per_param": float,
                "undisclosed_weights_sigma_ln": float,
                "known_bytes_per_param": Table(float),
            },
            "long_reasoning": {"note": str, "source": str, "ids": Rows(str)},
        },
        "wattproof/output_length.json": {
            "edition": str,
            "source_url": str,
            "priors": Table({"low_tokens": int, "median_tokens": int, "high_tokens": int, "task": str}),
        },
        "wattproof/pedigree.json": {
            "units": _UNITS,
            "tables": Table({"source": str, "variance_of_ln": Table(Rows(float))}),
        },
        "wattproof/published_samples.json": {
            "samples": Rows(
                {
                    "system": str,
                    "checks": Rows(str),
                    "formula": (str, _NULL),
                    "stated": Table((float, str, list)),
                    "source": str,
                }
            ),
        },
        "wattproof/token_factors.json": {
            "units": _UNITS,
            "tiers": Rows({"model_tier": str, "below_active_params_b": (float, _NULL)}),
            "rows": Rows(
                {
                    "factor_id": str,
                    "version": int,
                    "valid_from": str,
                    "valid_to": (str, _NULL),
                    "model_tier": str,
                    "wh_per_1k_in": float,
                    "wh_per_1k_out": float,
                    "wh_per_1k_cached": float,
                    "sigma_ln": float,
                    "source": str,
                    "supersedes": (str, int, _NULL),
                }
            ),
        },
    }
)
