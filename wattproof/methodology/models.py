"""What is known of each model's size: EcoLogits' registries, with our own rows and corrections on top.

A model is found by its exact id or an alias, never by a part of its name.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from wattproof.methodology.closest import closest
from wattproof.methodology.data import read_edition
from wattproof.methodology.errors import UnknownModel
from wattproof.methodology.propagate import Z90

__all__ = ["REGISTRIES", "Band", "Model", "Spread", "all_model_ids", "find_model"]

Band = Literal["accurate", "medium", "gross"]

REGISTRIES = ("ecologits/models.json", "ecologits/models_0.4.0.json")
"""The edition's files of EcoLogits' registries (0.11.3, 0.4.0), newest first."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A positive amount that is known to within a factor: log-normal, `sigma_ln` 0 where it is published."""

    median: float
    sigma_ln: float = 0.0

    @classmethod
    def between(cls, low: float, high: float) -> Spread:
        """The log-normal whose 90 % interval is [low, high]."""
        return cls(math.sqrt(low * high), math.log(high / low) / (2 * Z90))

    @property
    def ends(self) -> tuple[float, float]:
        """The 90 % interval: what `between` was given."""
        spread = math.exp(Z90 * self.sigma_ln)
        return self.median / spread, self.median * spread


@dataclass(frozen=True, slots=True)
class Model:
    """One model: active and total parameters [1e9] and bytes of weights per parameter as served.

    `reasoning` is true for a model that answers only after long reasoning. `band` says how well the parameters are
    known: `accurate` (published, dense), `medium` (published, mixture of experts or multimodal), `gross` (undisclosed:
    somebody's estimate).
    """

    id: str
    family: str
    active_b: Spread
    total_b: Spread
    bytes_per_param: Spread
    open_weights: bool
    reasoning: bool
    band: Band
    evidence: str
    source: str
    source_id: str
    aliases: tuple[str, ...] = ()

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def sigma_ln_weights(self) -> float:
        """Spread of the size of the weights: parameters x bytes per parameter."""
        return math.hypot(self.total_b.sigma_ln, self.bytes_per_param.sigma_ln)


def find_model(model_id: str) -> Model:
    """The model with this exact id or alias, case ignored.

    Raises:
        UnknownModel: no row has it; carries the three closest ids.
    """
    found = _index().get(model_id.lower())
    if found is None:
        names = (name for model in _models() for name in (model.id, *model.aliases))
        raise UnknownModel(model_id, closest(model_id, names))
    return found


def all_model_ids() -> tuple[str, ...]:
    """Every canonical id of the edition, sorted."""
    return tuple(sorted(model.id for model in _models()))


@cache
def _index() -> Mapping[str, Model]:
    return {name.lower(): model for model in _models() for name in (*model.aliases, model.id)}


@cache
def _models() -> tuple[Model, ...]:
    """Our rows, then those of EcoLogits' registries, newest first, whose ids nothing before them has."""
    ours = read_edition("wattproof/models.json")
    models = [_model(row, tuple(row["aliases"]), ours, ours["source_id"]) for row in ours["models"]]
    taken = {name.lower() for row in ours["models"] for name in (row["id"], *row["aliases"])}
    for name in REGISTRIES:
        registry = read_edition(name)
        kept = [row for row in registry["models"] if row["id"].lower() not in taken]
        aliases = _aliases(kept, registry["aliases"], taken)
        models += [_model(row, aliases[row["id"]], ours, registry["source_id"]) for row in kept]
        taken |= {name.lower() for row in kept for name in (row["id"], *aliases[row["id"]])}
    return tuple(models)


def _aliases(rows: list[dict[str, Any]], listed: list[dict[str, str]], taken: set[str]) -> dict[str, tuple[str, ...]]:
    """The registry's own aliases, and the last path segment of an id (`org/name` -> `name`) where it is unique."""
    uses = Counter(row["id"].rpartition("/")[2].lower() for row in rows)
    aliases: dict[str, tuple[str, ...]] = {}
    for row in rows:
        names = [alias["alias"] for alias in listed if alias["of"] == row["id"]]
        organisation, _, name = row["id"].rpartition("/")
        if organisation and uses[name.lower()] == 1 and name.lower() not in taken:
            names.append(name)
        aliases[row["id"]] = tuple(names)
    return aliases


def _model(row: Mapping[str, Any], aliases: tuple[str, ...], ours: Mapping[str, Any], source_id: str) -> Model:
    released = row["architecture_released"]
    total_b = _spread(row["total_params_b"])
    return Model(
        id=row["id"],
        family=row["provider"],
        active_b=_spread(row["active_params_b"]),
        total_b=total_b,
        bytes_per_param=_bytes_per_param(row, total_b, ours["precision"]),
        open_weights=released,
        reasoning=row["id"] in ours["long_reasoning"]["ids"],
        band=_band(row),
        evidence="parameters published" if released else "parameters estimated by EcoLogits, undisclosed by the vendor",
        source=row["source"],
        source_id=source_id,
        aliases=aliases,
    )


def _spread(params_b: float | list[float]) -> Spread:
    return Spread.between(*params_b) if isinstance(params_b, list) else Spread(float(params_b))


def _bytes_per_param(row: Mapping[str, Any], total_b: Spread, precision: Mapping[str, Any]) -> Spread:
    known = row.get("bytes_per_param", precision["known_bytes_per_param"].get(row["id"]))
    if known is not None:
        return Spread(float(known))
    if row["architecture_released"]:
        return Spread(precision["released_bytes_per_param"], precision["released_sigma_ln"])
    missing_variance = precision["undisclosed_weights_sigma_ln"] ** 2 - total_b.sigma_ln**2
    return Spread(precision["undisclosed_bytes_per_param"], math.sqrt(max(0.0, missing_variance)))


def _band(row: Mapping[str, Any]) -> Band:
    if not row["architecture_released"]:
        return "gross"
    return "medium" if row["architecture"] == "moe" or row["multimodal"] else "accurate"
