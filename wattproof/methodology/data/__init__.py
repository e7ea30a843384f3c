"""Dated, hashed editions of every number that the arithmetic starts from.

One folder per edition, one sub-folder per origin with its licence. A published edition is never edited: a correction is
a new edition. Nothing is read until it is asked for.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["EDITION", "FILES", "edition_sha256", "file_sha256", "read_edition"]

EDITION = "2026-11"

FILES = (
    "ecologits/llm_0.11.3.json",
    "ecologits/llm_0.4.0.json",
    "ecologits/models.json",
    "ecologits/models_0.4.0.json",
    "electricitymaps/zones.json",
    "wattproof/batchin_profile.json",
    "wattproof/calibration.json",
    "wattproof/embodied.json",
    "wattproof/energy_fit.json",
    "wattproof/facilities.json",
    "wattproof/factors.json",
    "wattproof/grid_spread.json",
    "wattproof/hardware.json",
    "wattproof/ladder.json",
    "wattproof/lowrouter.json",
    "wattproof/melious_profile.json",
    "wattproof/models.json",
    "wattproof/output_length.json",
    "wattproof/pedigree.json",
    "wattproof/published_samples.json",
    "wattproof/token_factors.json",
)


def _bytes(name: str) -> bytes:
    return (Path(__file__).parent / EDITION / name).read_bytes()


@cache
def read_edition(name: str) -> dict[str, Any]:
    """The parsed file `name` (one of `FILES`) of this edition. Callers must not change it."""
    return json.loads(_bytes(name))


def file_sha256(name: str) -> str:
    """SHA-256 of the bytes of one file of this edition, in hex."""
    return hashlib.sha256(_bytes(name)).hexdigest()


@cache
def edition_sha256() -> str:
    """SHA-256 over the lines `name sha256` of the edition's files sorted by name, in hex."""
    manifest = "".join(f"{name} {file_sha256(name)}\n" for name in sorted(FILES))
    return hashlib.sha256(manifest.encode("ascii")).hexdigest()
