"""A model that no registry lists, from the size in its name: `llama-70b` has 70e9 parameters.

Only for tier `proxy` and band `gross`, and only where the caller asks for it: a name is not evidence.
"""

from __future__ import annotations

import math
import re

from wattproof.methodology.errors import NotDefined
from wattproof.methodology.models import Model, Spread
from wattproof.methodology.propagate import Z90

__all__ = ["guess_model"]

_SIZE = re.compile(r"(?<![a-z0-9.])(\d{1,4}(?:\.\d{1,3})?)b(?![a-z0-9])")
_ACTIVE = re.compile(r"(?<![a-z0-9.])a(\d{1,4}(?:\.\d{1,3})?)b(?![a-z0-9])")
_WITHIN_A_FACTOR_OF_TWO = math.log(2) / Z90


def guess_model(name: str) -> Model:
    """The model that `name` describes: `70b` in all, `a22b` active; a mixture such as `8x7b` says neither.

    Parameters are taken to be right to within a factor of two, as LowRouter states for names.

    Raises:
        NotDefined: the name does not state one size.
    """
    sizes, active = _SIZE.findall(name.lower()), _ACTIVE.findall(name.lower())
    if len(sizes) != 1 or len(active) > 1 or float(sizes[0]) == 0:
        raise NotDefined(f"No registry lists {name[:80]!r} and its name does not state one size, as llama-70b does.")
    total_b = Spread(float(sizes[0]), _WITHIN_A_FACTOR_OF_TWO)
    return Model(
        id=name,
        family="unknown",
        active_b=Spread(float(active[0]), _WITHIN_A_FACTOR_OF_TWO) if active else total_b,
        total_b=total_b,
        bytes_per_param=Spread(1.0, 0.5),
        open_weights=False,
        reasoning=False,
        band="gross",
        evidence="guessed from the name",
        source="the model's name",
        source_id="model name",
    )
