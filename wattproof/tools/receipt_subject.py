"""What can be handed in as a receipt (an id, a JWS, an object with proofs and keys), and what this home knows of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.methodology.foreign import as_name
from wattproof.resources.receipts.batch import RECORD_SCHEMA, RecordProof, is_record
from wattproof.resources.receipts.log_evidence import LogGiven

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wattproof.resources.receipts.proof import InclusionProof
    from wattproof.tools.deps import Deps

__all__ = [
    "Subject",
    "has_ledger",
    "local_jwks",
    "local_keys",
    "parsed",
    "read_subject",
]

_MAX_RECEIPT = 96 * 1024
_MAX_TEXT = 256 * 1024
_MAX_STEPS = 1000
_ID_LENGTH = 28
_MEMBERS = frozenset(
    {"jws", "receipt_id", "inclusion", "jwks", "tlog_proof", "vkey", "old_checkpoint", "consistency", "steps"}
)
_RECORD_MEMBERS = frozenset({"record", "batch", "position", "path"})
_FORMS = "give a receipt id, a JWS, {jws, inclusion?, tlog_proof?, vkey?, jwks?}, or another vendor's footprint block"


@dataclass(frozen=True, slots=True)
class Subject:
    """What was handed in: the receipt, and what came with it. `steps` are receipts of the steps of an operation.

    Where it is a record of a batch, `jws` is its text and `record` shows who signed for it.
    """

    jws: str
    proof: InclusionProof | None = None
    jwks: Mapping[str, Any] | None = None
    log: LogGiven = field(default_factory=LogGiven)
    steps: tuple[str, ...] = ()
    record: RecordProof | None = None


def local_keys(deps: Deps) -> dict[str, bytes]:
    """The public keys that this installation published; empty before its first receipt.

    Raises:
        KeyUnusable: the file is there but is not a key set.
    """
    from wattproof.resources.receipts.keys import keys_from_jwks

    return keys_from_jwks(local_jwks(deps))


def local_jwks(deps: Deps) -> Mapping[str, Any]:
    from wattproof.resources.receipts.keys import read_jwks

    path = deps.home / "keys" / "jwks.json"
    return read_jwks(path) if path.exists() else {"keys": []}


async def read_subject(receipt: str | dict[str, Any], deps: Deps) -> Subject:
    """The receipt behind what a caller gave.

    Raises:
        InvalidInput: this is no receipt, or no receipt of this ledger has the id.
        LedgerError: the ledger cannot be read.
    """
    if isinstance(receipt, str):
        text = receipt.strip()
        if text.startswith("c2sp.org/tlog-proof@"):
            entry = await _entry_of(receipt, deps)
            return Subject(entry, log=LogGiven(tlog_proof=_ended(receipt)), record=await _local_record(entry, deps))
        if not text.startswith("{"):
            entry = await _named(text, deps)
            return Subject(entry, record=await _local_record(entry, deps))
        receipt = parsed(text)
        if receipt.get("schema") == RECORD_SCHEMA:
            return Subject(text, record=await _local_record(text, deps))
    unknown = sorted(receipt.keys() - _MEMBERS - _RECORD_MEMBERS)
    if unknown or not receipt.keys() & {"jws", "receipt_id", "record"}:
        problem = f"holds {', '.join(as_name(name, 30) for name in unknown[:3])}" if unknown else "has no jws"
        raise InvalidInput("receipt", problem, _FORMS)
    record = RecordProof.from_dict(receipt) if "record" in receipt else None
    jws = await _text_of(receipt, record, deps)
    if jws is None or len(jws) > _MAX_RECEIPT:
        raise InvalidInput("receipt.jws", "is not a text of at most 96 KiB", "give the compact JWS")
    return Subject(
        jws.strip(),
        record=record or await _local_record(jws, deps),
        proof=_proof(receipt.get("inclusion")),
        jwks=_object("receipt.jwks", receipt.get("jwks")),
        log=_log(receipt),
        steps=_steps(receipt.get("steps")),
    )


async def _text_of(receipt: Mapping[str, Any], record: RecordProof | None, deps: Deps) -> str | None:
    if record is not None:
        return record.record
    if "jws" in receipt:
        return _text(receipt, "jws")
    return await _named(_text(receipt, "receipt_id") or "", deps)


async def _local_record(text: str, deps: Deps) -> RecordProof | None:
    """What shows who signed for the record `text`; None for a receipt, which is signed itself.

    Raises:
        InvalidInput: it is a record that this ledger does not hold, or the receipt of its batch is gone.
    """
    from wattproof.resources.receipts.payload import entry_hash, receipt_id

    if not is_record(text):
        return None
    found = None
    if text.isascii() and has_ledger(deps):
        found = await (await deps.ledger()).record_proof(deps.log_id, receipt_id(entry_hash(text)))
    if found is None:
        fix = "give {record, batch, position, path} as `wattproof export sample` writes it"
        raise InvalidInput("receipt", "is a record whose batch is not in this ledger", fix)
    return found


def _log(receipt: Mapping[str, Any]) -> LogGiven:
    from wattproof.resources.receipts.consistency import read_consistency
    from wattproof.resources.receipts.log_evidence import verifier_keys

    vkey, path = _lines(receipt, "vkey"), _lines(receipt, "consistency")
    proof, old = _text(receipt, "tlog_proof"), _text(receipt, "old_checkpoint")
    return LogGiven(
        tlog_proof=None if proof is None else _ended(proof),
        vkeys=() if vkey is None else verifier_keys(vkey),
        old_checkpoint=None if old is None else _ended(old),
        consistency=None if path is None else read_consistency(path),
    )


def _ended(note: str) -> str:
    """A signed note ends in a newline, which pasting loses."""
    return note if note.endswith("\n") else f"{note}\n"


def _text(receipt: Mapping[str, Any], name: str) -> str | None:
    value = receipt.get(name)
    if value is not None and (not isinstance(value, str) or len(value) > _MAX_TEXT):
        raise InvalidInput(f"receipt.{name}", "is not a text of at most 256 KiB", "give it as it was handed out")
    return value


def _lines(receipt: Mapping[str, Any], name: str) -> str | None:
    """A text, or a list of its lines."""
    value = receipt.get(name)
    if not isinstance(value, list):
        return _text(receipt, name)
    lines = cast("list[object]", value)
    if not all(isinstance(line, str) for line in lines):
        raise InvalidInput(f"receipt.{name}", "holds something else than text", "give one text, or a list of lines")
    return "\n".join(cast("list[str]", lines))


def _steps(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    steps = cast("list[object]", value) if isinstance(value, list) else [None]
    if len(steps) > _MAX_STEPS or not all(isinstance(step, str) and len(step) <= _MAX_RECEIPT for step in steps):
        raise InvalidInput("receipt.steps", f"is not a list of at most {_MAX_STEPS} receipts", "give each as its JWS")
    return tuple(cast("list[str]", steps))


async def _entry_of(proof: str, deps: Deps) -> str:
    """The receipt of this ledger at the place that a tlog-proof names: the proof itself does not hold it."""
    from wattproof.resources.receipts.tlog_proof import TlogProof

    fix = "give it together with the receipt: {jws, tlog_proof, vkey}"
    try:
        index = TlogProof.parse(_ended(proof)).index
    except VerificationFailed as error:
        raise InvalidInput("receipt", f"is a tlog-proof that cannot be read ({error})", fix) from error
    settled = await (await deps.ledger()).get(deps.log_id, seq=index) if has_ledger(deps) else None
    if settled is None or settled.jws is None:
        raise InvalidInput("receipt", f"is a proof of entry {index}, which is not in this ledger", fix)
    return settled.jws


def parsed(text: str) -> dict[str, Any]:
    """The JSON object in a text.

    Raises:
        InvalidInput: there is none.
    """
    import json

    try:
        value: object = json.loads(text) if len(text) <= 4 * _MAX_RECEIPT else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidInput("receipt", "begins with { but is not a JSON object", _FORMS)
    return cast("dict[str, Any]", value)


def _proof(inclusion: object) -> InclusionProof | None:
    from wattproof.resources.receipts.proof import InclusionProof

    document = _object("receipt.inclusion", inclusion)
    return None if document is None else InclusionProof.from_dict(document)


def _object(field: str, value: object) -> dict[str, Any] | None:
    if value is not None and not isinstance(value, dict):
        raise InvalidInput(field, "is not an object", "give it as JSON, or leave it out")
    return cast("dict[str, Any] | None", value)


async def _named(text: str, deps: Deps) -> str:
    if text.count(".") == 2 and len(text) <= _MAX_RECEIPT:
        return text
    jws = await _stored(text, deps) if text.startswith("r_") and len(text) == _ID_LENGTH else None
    if jws is None:
        await _require_never_stored(text, deps)
        shown = text if len(text) <= 40 else text[:37] + "..."
        raise InvalidInput(
            "receipt",
            f"{shown!r} is neither a JWS nor the id of a receipt in this ledger",
            "give an id (r_ and 26 characters) that run_inference returned here, the JWS itself, or a vendor's block",
        )
    return jws


async def _require_never_stored(receipt_id: str, deps: Deps) -> None:
    """Raises InvalidInput that says where the receipt of an entry is that this ledger does not hold beside it."""
    if not has_ledger(deps):
        return
    ledger = await deps.ledger()
    # Of the caller's own log only: that another one holds a receipt is nobody else's business.
    if await ledger.get(deps.log_id, receipt_id=receipt_id) is None:
        return
    where = await ledger.keeping.whereabouts(receipt_id)
    if where is not None:
        raise InvalidInput("receipt", f"{receipt_id!r} is {where}", "or give the JWS itself, if somebody kept it")


async def _stored(receipt_id: str, deps: Deps) -> str | None:
    if not has_ledger(deps):
        return None
    settled = await (await deps.ledger()).get(deps.log_id, receipt_id=receipt_id)
    return None if settled is None else settled.jws


def has_ledger(deps: Deps) -> bool:
    """Whether a ledger exists: looking at a stranger's receipt must not create one."""
    return deps.shared_ledger or (deps.home / "ledger.sqlite3").exists()
