"""Is a receipt in its log, and who says so? From proofs, checkpoints and keys that the auditor holds.

| what is given | what is shown | `log_evidence` |
|---|---|---|
| an inclusion proof (JSON) | the entry is under a root that the ledger states | `self` |
| a tlog-proof and the log's key | the entry is under a root that the log signed | `self` |
| and keys of witnesses that signed the checkpoint | others saw this root, and when | `witnessed` |
| and an older checkpoint with a consistency proof | nothing that was there before was changed | |

A log that tells two people two histories passes the first two rows; an older checkpoint or witnesses find it out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.resources.receipts.checkpoint import LOCAL_ORIGIN, Checkpoint, local_origin, open_checkpoint
from wattproof.resources.receipts.cosignature import open_cosignatures
from wattproof.resources.receipts.merkle import leaf_hash, verify_consistency, verify_inclusion
from wattproof.resources.receipts.note import COSIGNATURE, ED25519, SignedNote, VerifierKey
from wattproof.resources.receipts.payload import entry_hash
from wattproof.resources.receipts.proof import InclusionProof
from wattproof.resources.receipts.tlog_proof import TlogProof
from wattproof.resources.receipts.verdict import Verdict, failed, passed, unknown

__all__ = ["Evidence", "Inclusion", "LogGiven", "judge_inclusion", "verifier_keys"]

Evidence = Literal["self", "timestamped", "witnessed"]

_SKEW_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LogGiven:
    """What an auditor holds of a log.

    `tlog_proof` and `old_checkpoint` are texts as they were handed out, `vkeys` keys of the log and of witnesses, and
    `consistency` the path between the two checkpoints.
    """

    tlog_proof: str | None = None
    vkeys: tuple[VerifierKey, ...] = ()
    old_checkpoint: str | None = None
    consistency: tuple[bytes, ...] | None = None

    @property
    def log_keys(self) -> tuple[VerifierKey, ...]:
        return tuple(key for key in self.vkeys if key.kind == ED25519)

    @property
    def witness_keys(self) -> tuple[VerifierKey, ...]:
        return tuple(key for key in self.vkeys if key.kind == COSIGNATURE)


@dataclass(frozen=True, slots=True)
class Inclusion:
    """The verdict, whose word it rests on, and when a witness first saw the receipt in the log (Unix time)."""

    verdict: Verdict
    evidence: Evidence | None = None
    seen_at: float | None = None


@dataclass(frozen=True, slots=True)
class _Tree:
    """A state of a log that the entry was shown to be in."""

    size: int
    root: bytes
    origin: str | None = None


def verifier_keys(text: str) -> tuple[VerifierKey, ...]:
    """The keys in a text with one vkey a line; empty lines and lines that begin with # are passed over.

    Raises:
        InvalidInput: a line is no verifier key, or there is none.
    """
    lines = [line.strip() for line in text.splitlines()]
    keys = tuple(VerifierKey.parse(line) for line in lines if line and not line.startswith("#"))
    if not keys:
        raise InvalidInput("vkey", "is empty", "give <name>+<key id>+<base64 key>, one a line")
    return keys


def judge_inclusion(
    jws: str, payload: Mapping[str, Any], proof: InclusionProof | None, given: LogGiven, now: float | None
) -> Inclusion:
    """Judge whether the receipt is in its log. `now` is Unix time; None: the times of witnesses are not judged."""
    if proof is None and given.tlog_proof is None:
        return Inclusion(unknown("no_proof", "No inclusion proof was given."))
    found: list[Inclusion] = []
    try:
        if proof is not None:
            found.append(_under_stated_root(jws, payload, proof, given))
        if given.tlog_proof is not None:
            found.append(_under_signed_root(jws, payload, given.tlog_proof, given, now))
    except VerificationFailed as error:
        return Inclusion((unknown if error.reason == "unknown_key" else failed)(_reason(error), str(error)))
    # The signed root says more than the stated one, unless it could not be established.
    order = ("fail", "pass", "unknown")
    return min(reversed(found), key=lambda inclusion: order.index(inclusion.verdict.verdict))


def _under_stated_root(jws: str, payload: Mapping[str, Any], proof: InclusionProof, given: LogGiven) -> Inclusion:
    if payload.get("log_id") != proof.log_id:
        return Inclusion(failed("another_log", "The proof is for another log than the receipt names."))
    verify_inclusion(leaf_hash(entry_hash(jws)), proof.index, proof.tree_size, proof.hashes, proof.root)
    problem = None if given.tlog_proof else _consistency_problem(_Tree(proof.tree_size, proof.root), given)
    message = f"Entry {proof.index} of {proof.tree_size}, under a root that the ledger itself states."
    return Inclusion(problem or passed(message), None if problem else "self")


def _under_signed_root(
    jws: str, payload: Mapping[str, Any], text: str, given: LogGiven, now: float | None
) -> Inclusion:
    proof = TlogProof.parse(text)
    stated = Checkpoint.parse(SignedNote.parse(proof.checkpoint).text)
    verify_inclusion(leaf_hash(entry_hash(jws)), proof.index, stated.size, proof.hashes, stated.root)
    log_id = payload.get("log_id")
    unnamed = stated.origin.startswith(LOCAL_ORIGIN)
    if unnamed and not (isinstance(log_id, str) and stated.origin == local_origin(log_id)):
        return Inclusion(failed("another_log", f"The checkpoint is of {stated.origin}, not of the receipt's log."))
    if not given.log_keys:
        message = "The path leads to the root of the checkpoint; no key of the log was given to check who signed that."
        return Inclusion(unknown("no_log_key", message))
    checkpoint = open_checkpoint(proof.checkpoint, given.log_keys)
    tree = _Tree(checkpoint.size, checkpoint.root, checkpoint.origin)
    times = [seen.time_s for seen in open_cosignatures(proof.checkpoint, given.witness_keys)]
    if now is not None and any(time_s > now + _SKEW_S for time_s in times):
        return Inclusion(failed("witness_in_the_future", "A witness dates its signature in the future."))
    problem = _consistency_problem(tree, given)
    if problem is not None:
        return Inclusion(problem)
    words = f"Entry {proof.index} of {tree.size} in {tree.origin}, under a root that the log signed"
    if not times:
        return Inclusion(passed(f"{words}."), "self")
    return Inclusion(passed(f"{words}; witnesses that signed it too: {len(times)}."), "witnessed", float(min(times)))


def _consistency_problem(tree: _Tree, given: LogGiven) -> Verdict | None:
    """Whether the auditor's older checkpoint is of the same history; None where it is, or where there is none."""
    if given.old_checkpoint is None:
        return None
    if not given.log_keys:
        return unknown("no_log_key", "An older checkpoint was given without a key of the log.")
    old = open_checkpoint(given.old_checkpoint, given.log_keys)
    if tree.origin is not None and tree.origin != old.origin:
        return failed("another_log", "The older checkpoint is of another log.")
    (size, root), (new_size, new_root) = sorted([(old.size, old.root), (tree.size, tree.root)])
    if size == 0:
        return None
    if size != new_size and given.consistency is None:
        message = f"No consistency proof was given between the checkpoints of {size} and {new_size} entries."
        return unknown("no_consistency_proof", message)
    path: Sequence[bytes] = () if size == new_size else given.consistency or ()
    try:
        verify_consistency(size, new_size, root, new_root, path)
    except VerificationFailed as error:
        if error.reason != "root_differs":
            return failed("bad_consistency_proof", str(error))
        message = (
            "The older checkpoint is not a beginning of this log: it has two histories, or the proof is another's."
        )
        return failed("forked", message)
    return None


def _reason(error: VerificationFailed) -> str:
    """A bad signature here is one of the log or of a witness, not of the receipt."""
    return {"bad_signature": "bad_log_signature", "unknown_key": "unknown_log_key"}.get(error.reason, error.reason)
