"""Other spellings of a model's id: how gateways and clouds write the ids that our editions list.

Every rule rewrites a documented form as a whole; what it gives must be an id or an alias that an edition lists. Nothing
is guessed from a part of a name, and no date is cut off: a snapshot that no edition lists stays unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from wattproof.methodology.errors import UnknownModel
from wattproof.methodology.models import Model, find_model

__all__ = ["known_model"]

# Claude Code's `[1m]` for a long context; OpenRouter's `:free` and `:beta`.
_VARIANT = re.compile(r"(\[[0-9a-z]+\]|:[a-z]+)$", re.IGNORECASE)
# Bedrock: an inference profile's region, the vendor, the id, a version of the packaging.
_BEDROCK = re.compile(r"^(?:bedrock/)?(?:[a-z]{2,6}\.)?[a-z0-9]+\.([a-z0-9].*?)(?:-v\d+)?(?::\d+)?$", re.IGNORECASE)


@lru_cache(maxsize=4096)
def known_model(name: str) -> Model | None:
    """The model that `name` spells, or None where no edition lists it."""
    for spelling in dict.fromkeys(_spellings(name)):
        try:
            return find_model(spelling)
        except UnknownModel:
            continue
    return None


def _spellings(name: str) -> Iterator[str]:
    """The name as it is, then rewritten, the least first."""
    yield name
    plain = _VARIANT.sub("", name)
    yield plain
    # gateways: provider/id, provider/organisation/id
    _, _, behind_provider = plain.partition("/")
    yield behind_provider or plain
    last = plain.rpartition("/")[2]
    yield last
    # Vertex AI: id@version
    yield last.replace("@", "-")
    bedrock = _BEDROCK.match(last)
    if bedrock is not None:
        yield bedrock.group(1)
