"""An inclusion proof as a COSE Receipt: a COSE_Sign1 over the root of the log, with the path beside it.

    18([ << {1: -8, 4: key id, 395: 1} >>,
         {396: {-1: [ << [tree size, leaf index, [hash, …]] >> ]}},
         null,
         signature ])

`<< >>` is a byte string that holds CBOR. The root is signed but not carried: whoever checks the receipt must compute it
from the leaf and the path, so a signature can never be taken for a proof of another entry.

Source: RFC 9942 section 5.2 (verifiable data structure 1, RFC9162_SHA256), RFC 9052 section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import cast

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.resources.receipts import base64url, cbor
from wattproof.resources.receipts.keys import thumbprint
from wattproof.resources.receipts.merkle import HASH_BYTES, inclusion_root
from wattproof.resources.receipts.note import NoteSigner

__all__ = ["CoseReceipt", "cose_receipt", "verify_cose_receipt"]

_COSE_SIGN1 = 18
_SIGNATURE_BYTES = 64
_MAX_HASHES = 63


class _Label(IntEnum):
    """Header parameters, and the key of inclusion proofs in `VDP`."""

    ALG = 1
    KID = 4
    VDS = 395
    VDP = 396
    INCLUSION = -1


class _Value(IntEnum):
    # RFC 9864 prefers -19 (Ed25519) to -8 (EdDSA); -8 is what verifiers of receipts know.
    EDDSA = -8
    RFC9162_SHA256 = 1


@dataclass(frozen=True, slots=True)
class CoseReceipt:
    """A receipt that was taken apart; nothing of it has been checked.

    `kid` is the RFC 7638 thumbprint (32 bytes) of the log key, a hint only; `protected` are the signed header's bytes.
    """

    size: int
    index: int
    hashes: tuple[bytes, ...]
    kid: bytes
    protected: bytes
    signature: bytes

    @classmethod
    def parse(cls, data: bytes) -> CoseReceipt:
        """Take a receipt apart; accepts exactly what `cose_receipt` writes.

        Raises:
            VerificationFailed: check ``format``; reason ``bad_cbor`` or ``bad_cose_receipt``.
        """
        outer = cbor.loads(data)
        if not (isinstance(outer, cbor.Tag) and outer.number == _COSE_SIGN1 and isinstance(outer.value, tuple)):
            raise _malformed("It is not a COSE_Sign1.")
        match outer.value:
            case (
                bytes(protected),
                {_Label.VDP: {_Label.INCLUSION: (bytes(proof),), **other_proofs}, **other_headers},
                None,
                bytes(signature),
            ) if not other_proofs and not other_headers and len(signature) == _SIGNATURE_BYTES:
                pass
            case _:
                raise _malformed("A header, one inclusion proof, no payload and a signature of 64 bytes are expected.")
        size, index, hashes = _proof(cbor.loads(proof))
        return cls(size, index, hashes, _kid(cbor.loads(protected)), protected, signature)


def cose_receipt(index: int, size: int, hashes: Sequence[bytes], root: bytes, signer: NoteSigner) -> bytes:
    """A receipt by the log key `signer` that leaf `index` is in the tree of `size` leaves with this root.

    `hashes` is the RFC 9162 inclusion path, lowest first. It is not checked here: a wrong path gives a receipt that
    does not verify.

    Raises:
        InvalidInput: the index is not below the size, a hash has not 32 bytes, or the path is empty: RFC 9942 has no
            receipt for a tree of one leaf.
    """
    if not 0 <= index < size < 1 << 63:
        raise InvalidInput("index", f"is {index}", f"give a leaf from 0 to {size - 1}")
    if not 0 < len(hashes) <= _MAX_HASHES:
        fix = "give a tree of two entries or more; RFC 9942 has no receipt for a tree of one"
        raise InvalidInput("hashes", f"holds {len(hashes)} hashes", fix)
    if any(len(node) != HASH_BYTES for node in (*hashes, root)):
        raise InvalidInput("hashes", "or root holds a hash that has not 32 bytes", "give SHA-256 digests")
    kid = base64url.decode(thumbprint(signer.public_key))
    protected = cbor.dumps({_Label.ALG: _Value.EDDSA, _Label.KID: kid, _Label.VDS: _Value.RFC9162_SHA256})
    proof = cbor.dumps((size, index, tuple(hashes)))
    signature = signer.sign(_signed(protected, root))
    return cbor.dumps(cbor.Tag(_COSE_SIGN1, (protected, {_Label.VDP: {_Label.INCLUSION: (proof,)}}, None, signature)))


def verify_cose_receipt(data: bytes, leaf: bytes, public_key: bytes) -> CoseReceipt:
    """Check that the owner of `public_key` (32 bytes) signed a tree that holds the leaf hash `leaf`.

    What is signed is the root. The format leaves the size out of the signature, and a neighbouring size can have the
    same path: take the size from a checkpoint.

    Raises:
        VerificationFailed: check ``format``, ``inclusion`` (a path that fits no tree), or ``signature``, reason
            ``bad_signature``: another key, another leaf, or a changed path.
    """
    from nacl.exceptions import BadSignatureError
    from nacl.signing import VerifyKey

    receipt = CoseReceipt.parse(data)
    root = inclusion_root(leaf, receipt.index, receipt.size, receipt.hashes)
    try:
        VerifyKey(public_key).verify(_signed(receipt.protected, root), receipt.signature)
    except (BadSignatureError, ValueError) as error:
        message = "The signature does not fit this key and the root to which the path leads from this leaf."
        raise VerificationFailed("signature", "bad_signature", message) from error
    return receipt


def _signed(protected: bytes, root: bytes) -> bytes:
    """The Sig_structure of RFC 9052 section 4.4, without external data."""
    return cbor.dumps(("Signature1", protected, b"", root))


def _proof(item: cbor.Item) -> tuple[int, int, tuple[bytes, ...]]:
    match item:
        case (int(size), int(index), tuple(path)) if 0 <= index < size < 1 << 63 and 0 < len(path) <= _MAX_HASHES:
            if all(isinstance(node, bytes) and len(node) == HASH_BYTES for node in path):
                return size, index, cast("tuple[bytes, ...]", path)
        case _:
            pass
    raise _malformed("The inclusion proof is not [tree size, leaf index, hashes of 32 bytes].")


def _kid(header: cbor.Item) -> bytes:
    match header:
        case {
            _Label.ALG: _Value.EDDSA,
            _Label.KID: bytes(kid),
            _Label.VDS: _Value.RFC9162_SHA256,
            **others,
        } if not others:
            return kid
        case _:
            pass
    raise _malformed("The protected header must hold alg -8 (EdDSA), a key id and vds 1 (RFC9162_SHA256), and no more.")


def _malformed(detail: str) -> VerificationFailed:
    return VerificationFailed("format", "bad_cose_receipt", f"This is not a COSE receipt. {detail}")
