"""Receipts: canonical JSON, signatures, keys, the Merkle log, verification. Standard library and nacl only."""

from __future__ import annotations

from wattproof.resources.receipts.jws import RECEIPT_TYP, SIMULATION_TYP, Parsed, parse, sign
from wattproof.resources.receipts.keys import (
    Issuer,
    create_issuer,
    issuer_from_env,
    jwks,
    keys_from_jwks,
    load_issuer,
    publish,
    read_jwks,
)
from wattproof.resources.receipts.merkle import (
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    subtree_from_leaves,
    verify_consistency,
    verify_inclusion,
)
from wattproof.resources.receipts.payload import build_payload, entry_hash, receipt_id, request_commitment
from wattproof.resources.receipts.proof import InclusionProof
from wattproof.resources.receipts.schema import validate_payload
from wattproof.resources.receipts.verdict import Check, Verdict
from wattproof.resources.receipts.verify import Report, exit_code, verify_receipt

__all__ = [
    "RECEIPT_TYP",
    "SIMULATION_TYP",
    "Check",
    "Frontier",
    "InclusionProof",
    "Issuer",
    "Parsed",
    "Report",
    "Verdict",
    "build_payload",
    "consistency_proof",
    "create_issuer",
    "entry_hash",
    "exit_code",
    "inclusion_proof",
    "issuer_from_env",
    "jwks",
    "keys_from_jwks",
    "leaf_hash",
    "load_issuer",
    "parse",
    "publish",
    "read_jwks",
    "receipt_id",
    "request_commitment",
    "sign",
    "subtree_from_leaves",
    "validate_payload",
    "verify_consistency",
    "verify_inclusion",
    "verify_receipt",
]
