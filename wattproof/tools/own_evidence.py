"""What this home knows of a receipt: keys, its place in the log, how the log grew, the steps of an operation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wattproof.methodology.errors import InvalidInput, KeyUnusable, VerificationFailed
from wattproof.tools.receipt_subject import has_ledger, local_jwks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wattproof.resources.receipts.key_times import KeyTimes
    from wattproof.resources.receipts.log_evidence import LogGiven
    from wattproof.resources.receipts.note import VerifierKey
    from wattproof.resources.receipts.proof import InclusionProof
    from wattproof.tools.deps import Deps
    from wattproof.tools.receipt_subject import Subject

__all__ = ["Keys", "keys_for", "local_log", "local_proof", "local_steps"]

_MAX_STEPS = 1000


@dataclass(frozen=True, slots=True)
class Keys:
    """Public keys by kid, and the times of those that have limits."""

    public: Mapping[str, bytes]
    limits: Mapping[str, KeyTimes]


def keys_for(subject: Subject, deps: Deps) -> Keys:
    """The keys that the caller gave, else those that this installation published; none before its first receipt.

    Raises:
        KeyUnusable: this is not a key set.
    """
    from wattproof.resources.receipts.key_times import key_times
    from wattproof.resources.receipts.keys import keys_from_jwks

    document = local_jwks(deps) if subject.jwks is None else subject.jwks
    return Keys(keys_from_jwks(document), key_times(document))


async def local_log(subject: Subject, held: InclusionProof | None, deps: Deps) -> LogGiven:
    """What was given of the log, and what is known here beside it.

    A proof without a key is held against the keys that this installation published. Where this ledger holds the receipt
    (`held`), it shows itself how the log grew since the older checkpoint, and against what.

    Raises:
        KeyUnusable: the published keys cannot be read.
        LedgerError: the ledger cannot be read.
    """
    given = subject.log
    signed = given.tlog_proof is not None or given.old_checkpoint is not None
    if signed and not given.log_keys:
        given = replace(given, vkeys=(*given.vkeys, *_local_vkeys(deps)))
    if given.old_checkpoint is None or given.consistency is not None or held is None:
        return given
    try:
        old_size, size = _size(given.old_checkpoint), _size_proved(given, subject.proof or held)
    except VerificationFailed:
        return given  # told when it is judged
    first, second = sorted((old_size, size))
    if first == 0 or second > held.tree_size:
        # A log cannot show how it grew to more entries than it has: it was cut short, and an empty path says so.
        return replace(given, consistency=() if first else None)
    ledger = await deps.ledger()
    return replace(given, consistency=await ledger.log.consistency(held.log_id, first, second))


def _size_proved(given: LogGiven, proof: InclusionProof) -> int:
    from wattproof.resources.receipts.tlog_proof import TlogProof

    return proof.tree_size if given.tlog_proof is None else _size(TlogProof.parse(given.tlog_proof).checkpoint)


def _size(note: str) -> int:
    from wattproof.resources.receipts.checkpoint import Checkpoint
    from wattproof.resources.receipts.note import SignedNote

    return Checkpoint.parse(SignedNote.parse(note).text).size


def _local_vkeys(deps: Deps) -> tuple[VerifierKey, ...]:
    from wattproof.resources.receipts.log_evidence import verifier_keys

    path = deps.home / "keys" / "log.vkey"
    try:
        return verifier_keys(path.read_text("utf-8")) if path.exists() else ()
    except (OSError, UnicodeDecodeError, InvalidInput) as error:
        raise KeyUnusable(f"{path} holds no verifier keys. Export the log's keys again.") from error


async def local_proof(jws: str, deps: Deps) -> InclusionProof | None:
    """The inclusion proof of a receipt that this ledger holds."""
    from wattproof.resources.receipts.payload import entry_hash, receipt_id

    if not jws.isascii() or not has_ledger(deps):
        return None
    ledger = await deps.ledger()
    settled = await ledger.get(deps.log_id, receipt_id=receipt_id(entry_hash(jws)))
    return None if settled is None else await ledger.inclusion(settled.log_id, settled.seq)


async def local_steps(jws: str, deps: Deps) -> tuple[str, ...]:
    """The receipts of this ledger that a receipt of an operation sums up; none for any other receipt."""
    from wattproof.resources.receipts.jws import parse
    from wattproof.resources.receipts.operation import step_places

    if not has_ledger(deps):
        return ()
    try:
        payload = parse(jws).payload
    except VerificationFailed:
        return ()
    places = step_places(payload)[:_MAX_STEPS]
    if not places or payload.get("log_id") != deps.log_id:
        return ()
    ledger = await deps.ledger()
    settled = [await ledger.get(deps.log_id, seq=seq) for seq in places]
    return tuple(step.jws for step in settled if step is not None and step.jws is not None)
