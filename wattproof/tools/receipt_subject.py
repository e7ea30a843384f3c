"""What can be handed in as a receipt (an id, a JWS, an object with proof and keys), and what this home knows of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from wattproof.methodology.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wattproof.resources.receipts.proof import InclusionProof
    from wattproof.tools.deps import Deps

__all__ = ["Subject", "has_ledger", "local_keys", "local_proof", "read_subject"]

_MAX_RECEIPT = 96 * 1024
_ID_LENGTH = 28


@dataclass(frozen=True, slots=True)
class Subject:
    """What was handed in: the receipt, and what came with it."""

    jws: str
    proof: InclusionProof | None
    jwks: Mapping[str, Any] | None


def local_keys(deps: Deps) -> dict[str, bytes]:
    """The public keys that this installation published; empty before its first receipt.

    Raises:
        KeyUnusable: the file is there but is not a key set.
    """
    from wattproof.resources.receipts.keys import keys_from_jwks, read_jwks

    path = deps.home / "keys" / "jwks.json"
    return keys_from_jwks(read_jwks(path)) if path.exists() else {}


async def read_subject(receipt: str | dict[str, Any], deps: Deps) -> Subject:
    """The receipt behind what a caller gave.

    Raises:
        InvalidInput: this is no receipt, or no receipt of this ledger has the id.
        LedgerError: the ledger cannot be read.
    """
    if isinstance(receipt, str):
        text = receipt.strip()
        if not text.startswith("{"):
            return await _named(text, deps)
        receipt = _parsed(text)
    known = {"jws", "inclusion", "jwks", "receipt_id"}
    unknown = sorted(receipt.keys() - known)
    if "jws" not in receipt or unknown:
        raise InvalidInput(
            "receipt",
            f"has no jws, or holds {', '.join(unknown)[:80]}" if unknown else "has no jws",
            "give a receipt id, a JWS, or {jws, inclusion, jwks}; other vendors' blocks are not read by this version",
        )
    jws, inclusion, jwks = receipt["jws"], receipt.get("inclusion"), receipt.get("jwks")
    if not isinstance(jws, str) or len(jws) > _MAX_RECEIPT:
        raise InvalidInput("receipt.jws", "is not a text of at most 96 KiB", "give the compact JWS")
    return Subject(jws.strip(), _proof(inclusion), _object("receipt.jwks", jwks))


def _parsed(text: str) -> dict[str, Any]:
    import json

    try:
        value: object = json.loads(text) if len(text) <= 4 * _MAX_RECEIPT else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidInput(
            "receipt", "begins with { but is not a JSON object", "give an id, a JWS, or {jws, inclusion}"
        )
    return cast("dict[str, Any]", value)


def _proof(inclusion: object) -> InclusionProof | None:
    from wattproof.resources.receipts.proof import InclusionProof

    document = _object("receipt.inclusion", inclusion)
    return None if document is None else InclusionProof.from_dict(document)


def _object(field: str, value: object) -> dict[str, Any] | None:
    if value is not None and not isinstance(value, dict):
        raise InvalidInput(field, "is not an object", "give it as JSON, or leave it out")
    return cast("dict[str, Any] | None", value)


async def _named(text: str, deps: Deps) -> Subject:
    if text.count(".") == 2 and len(text) <= _MAX_RECEIPT:
        return Subject(text, None, None)
    jws = await _stored(text, deps) if text.startswith("r_") and len(text) == _ID_LENGTH else None
    if jws is None:
        shown = text if len(text) <= 40 else text[:37] + "..."
        raise InvalidInput(
            "receipt",
            f"{shown!r} is neither a JWS nor the id of a receipt in this ledger",
            "give an id (r_ and 26 characters) that run_inference returned here, or the JWS itself",
        )
    return Subject(jws, None, None)


async def _stored(receipt_id: str, deps: Deps) -> str | None:
    if not has_ledger(deps):
        return None
    return await (await deps.ledger()).get_jws(receipt_id)


async def local_proof(jws: str, deps: Deps) -> InclusionProof | None:
    """The inclusion proof of a receipt that this ledger holds."""
    from wattproof.resources.receipts.payload import entry_hash, receipt_id

    if not jws.isascii() or not has_ledger(deps):
        return None
    ledger = await deps.ledger()
    settled = await ledger.get(deps.log_id, receipt_id=receipt_id(entry_hash(jws)))
    return None if settled is None else await ledger.inclusion(settled.log_id, settled.seq)


def has_ledger(deps: Deps) -> bool:
    """Whether a ledger exists: looking at a stranger's receipt must not create one."""
    return (deps.home / "ledger.sqlite3").exists()
