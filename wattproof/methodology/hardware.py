"""Accelerators and servers: rated power, and what making them took. A new one is a row of data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from wattproof.methodology.data import read_edition

__all__ = [
    "ASSUMED_ACCELERATOR",
    "Accelerator",
    "Manufacture",
    "Server",
    "all_accelerators",
    "find_accelerator",
    "server",
]

ASSUMED_ACCELERATOR = "H100"
"""What most of the energy regression was metered on; assumed where nobody names the hardware."""


@dataclass(frozen=True, slots=True)
class Manufacture:
    """Making one piece: climate and resource depletion, each with the spread of its logarithm."""

    gwp_kgco2e: float
    sigma_ln_gwp: float
    adpe_kgsbeq: float
    sigma_ln_adpe: float
    source: str
    source_id: str


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One kind of accelerator. `in_energy_fit` says that the energy regression was metered on it."""

    id: str
    aliases: tuple[str, ...]
    rated_w: float
    memory_gb: float
    in_energy_fit: bool
    rated_w_source_id: str
    made: Manufacture


@dataclass(frozen=True, slots=True)
class Server:
    """The machine around the accelerators, without them."""

    accelerators_per_server: int
    made: Manufacture


def find_accelerator(name: str) -> Accelerator | None:
    """The accelerator with this id or alias, case ignored; None where no row has it."""
    return _index().get(name.lower())


def all_accelerators() -> tuple[Accelerator, ...]:
    """Every row, the assumed one first."""
    return tuple(dict.fromkeys(_index().values()))


@cache
def server() -> Server:
    """The server that accelerators are assumed to sit in."""
    edition = read_edition("wattproof/embodied.json")
    return Server(edition["server"]["accelerators_per_server"], _made(edition["server"], edition["source_id"]))


@cache
def _index() -> Mapping[str, Accelerator]:
    edition, embodied = read_edition("wattproof/hardware.json"), read_edition("wattproof/embodied.json")
    made = {row["id"]: _made(row, embodied["source_id"]) for row in embodied["accelerators"]}
    rows = (
        Accelerator(
            id=row["id"],
            aliases=tuple(row["aliases"]),
            rated_w=float(row["rated_w"]),
            memory_gb=float(row["memory_gb"]),
            in_energy_fit=row["in_energy_fit"],
            rated_w_source_id=edition["source_id"],
            made=made[row["id"]],
        )
        for row in edition["accelerators"]
    )
    return {name.lower(): row for row in rows for name in (row.id, *row.aliases)}


def _made(row: Mapping[str, Any], source_id: str) -> Manufacture:
    return Manufacture(
        gwp_kgco2e=float(row["gwp_kgco2e"]),
        sigma_ln_gwp=row["sigma_ln_gwp"],
        adpe_kgsbeq=row["adpe_kgsbeq"],
        sigma_ln_adpe=row["sigma_ln_adpe"],
        source=row["source"],
        source_id=source_id,
    )
