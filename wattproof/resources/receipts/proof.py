"""An inclusion proof as a file: what a ledger hands out beside a receipt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.receipts.canonical import MAX_INTEGER

__all__ = ["InclusionProof"]

_MAX_HASHES = 64
_HEX_HASH = re.compile(r"[0-9a-f]{64}")
_NAMES = {"log_id", "index", "tree_size", "root_hex", "hashes"}


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That the entry number `index` is in the tree of `tree_size` entries of log `log_id` with this root."""

    log_id: str
    index: int
    tree_size: int
    root: bytes
    hashes: tuple[bytes, ...]

    def as_dict(self) -> dict[str, Any]:
        """``{log_id, index, tree_size, root_hex, hashes: [hex]}``."""
        return {
            "log_id": self.log_id,
            "index": self.index,
            "tree_size": self.tree_size,
            "root_hex": self.root.hex(),
            "hashes": [node.hex() for node in self.hashes],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> InclusionProof:
        """The inverse of `as_dict`.

        Raises:
            InvalidInput: a key is missing, unknown or of the wrong type; names it.
        """
        for name in sorted(_NAMES ^ document.keys()):
            problem = "is missing" if name in _NAMES else "is unknown"
            raise InvalidInput(name, problem, f"give exactly {', '.join(sorted(_NAMES))}")
        log_id, hashes = document["log_id"], document["hashes"]
        if not isinstance(log_id, str):
            raise InvalidInput("log_id", "is not text", "give the log's id")
        if not isinstance(hashes, list) or len(cast("list[object]", hashes)) > _MAX_HASHES:
            raise InvalidInput("hashes", "is not a list of at most 64", "give the path as a list of hex hashes")
        return cls(
            log_id=log_id,
            index=_count(document, "index"),
            tree_size=_count(document, "tree_size"),
            root=_hash(document["root_hex"], "root_hex"),
            hashes=tuple(_hash(node, f"hashes[{at}]") for at, node in enumerate(cast("list[object]", hashes))),
        )


def _count(document: Mapping[str, Any], name: str) -> int:
    value = document[name]
    if type(value) is not int or not 0 <= value <= MAX_INTEGER:
        raise InvalidInput(name, "is not a count", "give an integer from 0")
    return value


def _hash(value: object, name: str) -> bytes:
    if not isinstance(value, str) or not _HEX_HASH.fullmatch(value):
        raise InvalidInput(name, "is not a SHA-256 hash", "give 64 lower-case hex digits")
    return bytes.fromhex(value)
