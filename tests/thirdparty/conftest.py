"""A folder with a receipt, its log and its proofs, as `docs/third-party.md` names them, from a ledger made for it."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from wattproof.resources.ledger import Ledger, open_ledger
from wattproof.resources.receipts import (
    Issuer,
    consistency_proof,
    entry_hash,
    inclusion_proof,
    leaf_hash,
    subtree_from_leaves,
)
from wattproof.resources.receipts.checkpoint import Checkpoint, sign_checkpoint
from wattproof.resources.receipts.cose import cose_receipt
from wattproof.resources.receipts.cosignature import add_cosignatures, cosign
from wattproof.resources.receipts.note import COSIGNATURE, VerifierKey
from wattproof.resources.receipts.pem import public_pem
from wattproof.resources.receipts.tiles import tiles_of
from wattproof.resources.receipts.timestamp import store_timestamp, timestamp_request
from wattproof.resources.receipts.tlog_proof import TlogProof

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LOG_ID = "local"
OLD_SIZE, SIZE, INDEX = 200, 300, 7
NOW_S = 1_795_327_200
LOG_KEY, WITNESS = Issuer(bytes(range(32))), Issuer(bytes(range(1, 33)))

# What the page asks for: LibreSSL and OpenSSL 1 cannot check Ed25519, Node.js has `crypto` everywhere since 20.
_VERSIONS = {"openssl": r"OpenSSL [3-9]", "node": r"v([2-9][0-9]|\d{3})\."}


@pytest.fixture(scope="session")
def installed() -> Path | None:
    """The folder in which the set-up commands of the page were run; None where they were not."""
    folder = os.environ.get("WATTPROOF_THIRD_PARTY")
    return Path(folder) if folder else None


@pytest.fixture(scope="session")
def here() -> Callable[[str], bool]:
    """Whether a command is on the path, in the version that the page asks for."""
    return _here


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, installed: Path | None) -> Path:
    """The folder, made once; tests work in copies."""
    folder = tmp_path_factory.mktemp("third-party")
    receipts = asyncio.run(_receipts(tmp_path_factory.mktemp("home"), folder))
    _write_log(folder, receipts)
    (folder / "wattproof").symlink_to(ROOT)
    for name in ("node_modules", "scitt", "aics"):
        if installed is not None and (installed / name).exists():
            (folder / name).symlink_to(installed / name)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of the folder that a test may change."""
    return Path(shutil.copytree(made, tmp_path / "files", symlinks=True))


async def _receipts(home: Path, folder: Path) -> list[str]:
    """The receipts of a ledger with as many entries as the log will have; writes the keys that signed them."""
    drafts = _load_drafts()

    async def settle(ledger: Ledger, number: int) -> None:
        draft = drafts.draft(f"r{number}")
        await ledger.settle(draft, drafts.payload(draft))

    async with open_ledger(home, clock=lambda: float(NOW_S), random_bytes=os.urandom) as ledger:
        await asyncio.gather(*(settle(ledger, number) for number in range(SIZE)))
        (folder / "jwks.json").write_text(json.dumps(ledger.jwks), "utf-8")
        found = [await ledger.get(LOG_ID, seq=seq) for seq in range(SIZE)]
        receipts = [entry.jws for entry in found if entry is not None and entry.jws is not None]
        size, root = await ledger.head(LOG_ID)
    leaves = [leaf_hash(entry_hash(jws)) for jws in receipts]
    assert (size, root) == (SIZE, subtree_from_leaves(lambda start, end: leaves[start:end])(0, SIZE))
    return receipts


def _write_log(folder: Path, receipts: list[str]) -> None:
    leaves = [leaf_hash(entry_hash(jws)) for jws in receipts]
    subtree = subtree_from_leaves(lambda start, end: leaves[start:end])
    origin = f"wattproof.local/{LOG_ID}"
    now = Checkpoint(origin, SIZE, subtree(0, SIZE))
    witness = VerifierKey("witness.example.com/w1", WITNESS.public_key, COSIGNATURE)
    signed = sign_checkpoint(now, [LOG_KEY])
    signed = add_cosignatures(signed, cosign(signed, witness.name, WITNESS, NOW_S), [witness])
    path = inclusion_proof(INDEX, SIZE, subtree)
    grown = "".join(f"{_base64(node)}\n" for node in consistency_proof(OLD_SIZE, SIZE, subtree))
    texts = {
        "receipt.jws": receipts[INDEX],
        "other.jws": receipts[INDEX + 1],
        "log.vkey": f"{VerifierKey(origin, LOG_KEY.public_key)}\n",
        "log.pem": public_pem(LOG_KEY.public_key),
        "witness.vkey": f"{witness}\n",
        "checkpoint": signed,
        "old.checkpoint": sign_checkpoint(Checkpoint(origin, OLD_SIZE, subtree(0, OLD_SIZE)), [LOG_KEY]),
        "fork.checkpoint": sign_checkpoint(Checkpoint(origin, OLD_SIZE, bytes(32)), [LOG_KEY]),
        "receipt.tlog-proof": str(TlogProof(INDEX, tuple(path), signed)),
        "consistency": f"old {OLD_SIZE}\n{grown}\n{signed}",
    }
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode())
    (folder / "receipt.cose").write_bytes(cose_receipt(INDEX, SIZE, path, now.root, LOG_KEY))
    for tile in tiles_of(SIZE):
        width = 256**tile.level
        starts = range(tile.index * 256 * width, (tile.index * 256 + tile.width) * width, width)
        place = folder / "tiles" / tile.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"".join(subtree(start, start + width) for start in starts))
    if _here("openssl"):
        _stamp(folder, now)


def _stamp(folder: Path, checkpoint: Checkpoint) -> None:
    """Have the checkpoint stamped by an authority that OpenSSL plays."""
    workshop = folder / "authority"
    workshop.mkdir()
    (workshop / "request.tsq").write_bytes(timestamp_request(checkpoint, nonce=0x8123456789ABCDEF))
    (workshop / "serial").write_text("01\n", "ascii")
    # `basicConstraints` is there because `openssl req` without a section of extensions makes no version 3.
    (workshop / "authority.cnf").write_text(
        "[req]\ndistinguished_name=name\nx509_extensions=use\nprompt=no\n[name]\nCN=authority.example.com\n"
        "[use]\nbasicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping\n"
        "[tsa]\ndefault_tsa=stamp\n[stamp]\nserial=serial\nsigner_cert=../authority.pem\nsigner_key=key.pem\n"
        "signer_digest=sha256\ndefault_policy=1.2.3.4.1\ndigests=sha256\n",
        "ascii",
    )
    _openssl(workshop, "req -x509 -config authority.cnf -newkey rsa:2048 -nodes -keyout key.pem -out ../authority.pem")
    _openssl(workshop, "ts -reply -config authority.cnf -queryfile request.tsq -out answer.tsr")
    stored = store_timestamp(folder, checkpoint, (workshop / "answer.tsr").read_bytes())
    assert stored.name == "300.tsr"


@cache
def _here(command: str) -> bool:
    if shutil.which(command) is None:
        return False
    pattern = _VERSIONS.get(command)
    if pattern is None:
        return True
    option = "version" if command == "openssl" else "--version"
    said = subprocess.run([command, option], capture_output=True, text=True, check=False, timeout=60).stdout
    return re.match(pattern, said) is not None


def _openssl(folder: Path, arguments: str) -> None:
    done = subprocess.run(
        ["openssl", *arguments.split()], cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


def _load_drafts() -> ModuleType:
    """The entries that the ledger's own tests write."""
    spec = importlib.util.spec_from_file_location("third_party_drafts", ROOT / "tests" / "ledger" / "drafts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
