"""Every command of `docs/third-party.md`, on good files and on files in which something was changed.

A tool that is not there is skipped with its name. With WATTPROOF_REQUIRE_THIRD_PARTY=1 (set in CI, after the set-up
commands of the page were run) its absence is a failure instead. WATTPROOF_THIRD_PARTY names the folder of the set-up.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from wattproof.resources.receipts.note import COSIGNATURE, VerifierKey
from wattproof.resources.receipts.pem import public_pem

PAGE = Path(__file__).parents[2] / "docs" / "third-party.md"
_SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
GO_SOURCE = Path("/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog")

# The commands of a section, in order, as one script.
SECTIONS = {
    title: "".join(_BLOCK.findall(body))
    for title, body in _SECTION.findall(PAGE.read_text("utf-8"))
    if "```sh\n" in body
}

CHECKPOINT = "OpenSSL: the checkpoint"
TIMESTAMP = "OpenSSL: a timestamp"
JOSE = "jose: the receipt"
WEBCRYPTO = "WebCrypto: the receipt, without a library"
GO = "Go: checkpoint, inclusion, consistency"
SCITT = "scitt-cose: the COSE Receipt"
AICS = "aics-tlog: the whole log from its tiles, and a witness"

# What each section needs, and whether CI must have it.
NEEDS = {
    CHECKPOINT: ("openssl",),
    TIMESTAMP: ("openssl",),
    JOSE: ("node", "node_modules/jose"),
    WEBCRYPTO: ("node",),
    GO: ("go", str(GO_SOURCE)),
    SCITT: ("openssl", "scitt/bin/scitt-cose"),
    AICS: ("openssl", "aics/bin/aics-tlog"),
}
OPTIONAL = {AICS}

# What a tool says when all is well: the last thing that its commands print.
PASSES = {
    CHECKPOINT: "Signature Verified Successfully",
    TIMESTAMP: "Verification: OK",
    JOSE: "signature OK:",
    WEBCRYPTO: "signature OK",
    GO: "consistency OK: 200 entries are the first of 300",
    SCITT: "leaf_index     : 7",
    AICS: '"cmd": "verify-consistency"',
}

Spoil = Callable[[Path], None]


def _replace(name: str, old: str, new: str) -> Spoil:
    def spoil(folder: Path) -> None:
        text = (folder / name).read_text("utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new), "utf-8")

    return spoil


def _swap(name: str, other: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).write_bytes((folder / other).read_bytes())

    return spoil


def _flip(name: str, at: int) -> Spoil:
    """Change one bit of byte `at` of a file."""

    def spoil(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[at] ^= 1
        (folder / name).write_bytes(bytes(data))

    return spoil


def _line(name: str, number: int) -> Spoil:
    """Replace one line by another hash."""

    def spoil(folder: Path) -> None:
        lines = (folder / name).read_text("utf-8").splitlines(keepends=True)
        lines[number] = "A" * 43 + "=\n"
        (folder / name).write_text("".join(lines), "utf-8")

    return spoil


def _payload(folder: Path) -> None:
    """Another receipt's statement under this receipt's signature."""
    header, _, signature = (folder / "receipt.jws").read_text("ascii").split(".")
    payload = (folder / "other.jws").read_text("ascii").split(".")[1]
    (folder / "receipt.jws").write_text(f"{header}.{payload}.{signature}", "ascii")


def _other_key(folder: Path) -> None:
    """The witness's key in the place of the log's, under the log's name."""
    origin = (folder / "checkpoint").read_text("utf-8").partition("\n")[0]
    witness = VerifierKey.parse((folder / "witness.vkey").read_text("utf-8"))
    (folder / "log.vkey").write_text(f"{VerifierKey(origin, witness.public_key)}\n", "utf-8")
    (folder / "log.pem").write_text(public_pem(witness.public_key), "ascii")


def _other_witness(folder: Path) -> None:
    """The log's key in the place of the witness's, under the witness's name."""
    log = VerifierKey.parse((folder / "log.vkey").read_text("utf-8"))
    name = VerifierKey.parse((folder / "witness.vkey").read_text("utf-8")).name
    (folder / "witness.vkey").write_text(f"{VerifierKey(name, log.public_key, COSIGNATURE)}\n", "utf-8")


def _other_time(folder: Path) -> None:
    """The witness's line with another time."""
    text, line = (folder / "checkpoint").read_text("utf-8").rsplit("— ", 1)
    name, encoded = line.split()
    raw = bytearray(base64.b64decode(encoded))
    raw[11] ^= 1
    (folder / "checkpoint").write_text(f"{text}— {name} {base64.b64encode(raw).decode('ascii')}\n", "utf-8")


SIZE_RAISED = _replace("checkpoint", "\n300\n", "\n301\n")
REFUSED = [
    (CHECKPOINT, "another size", SIZE_RAISED, "Signature Verification Failure"),
    (CHECKPOINT, "another root", _line("checkpoint", 2), "Signature Verification Failure"),
    (CHECKPOINT, "another key", _other_key, "Signature Verification Failure"),
    (TIMESTAMP, "another size", SIZE_RAISED, "Verification: FAILED"),
    (TIMESTAMP, "another signature", _flip("300.tsr", -1), "Verification: FAILED"),
    (JOSE, "another statement", _payload, "signature verification failed"),
    (JOSE, "an unknown key", _replace("jwks.json", '"kid": "', '"kid": "x'), "no applicable key found"),
    (WEBCRYPTO, "another statement", _payload, "signature WRONG"),
    (GO, "another size", SIZE_RAISED, "refused: invalid signature"),
    (GO, "another key", _other_key, "refused: note has no verifiable signatures"),
    (GO, "another hash in the path", _line("receipt.tlog-proof", 3), "refused: invalid transparency proof"),
    (GO, "another index", _replace("receipt.tlog-proof", "index 7\n", "index 6\n"), "refused: invalid transparency"),
    (GO, "another receipt", _swap("receipt.jws", "other.jws"), "refused: invalid transparency proof"),
    (GO, "a forked log", _swap("old.checkpoint", "fork.checkpoint"), "refused: invalid transparency proof"),
    (GO, "another hash in the consistency proof", _line("consistency", 1), "refused: invalid transparency proof"),
    (SCITT, "another receipt", _swap("receipt.jws", "other.jws"), "signature did not verify"),
    (SCITT, "another signature", _flip("receipt.cose", -1), "signature did not verify"),
    (SCITT, "another path", _flip("receipt.cose", 100), "signature did not verify"),
    (SCITT, "another key", _other_key, "signature did not verify"),
    (AICS, "another size", SIZE_RAISED, "log signature from wattproof.local/local failed verification"),
    (AICS, "another tile", _flip("tiles/tile/0/000", 5), "TileVerificationError"),
    (AICS, "another witness", _other_witness, "quorum not met"),
    (AICS, "another time of the witness", _other_time, "cosignature from witness.example.com/w1 failed"),
    (AICS, "another receipt", _swap("receipt.jws", "other.jws"), "not included"),
    (AICS, "a forked log", _swap("old.checkpoint", "fork.checkpoint"), "history was rewritten"),
]


def _run(folder: Path, title: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", SECTIONS[title]],
        cwd=folder,
        env={**os.environ, "LC_ALL": "C.UTF-8", "NODE_NO_WARNINGS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=100,
    )


@pytest.fixture
def require(folder: Path, here: Callable[[str], bool]) -> Callable[[str], None]:
    """Skips, or in CI fails, where what a section needs is missing."""

    def check(title: str) -> None:
        for need in NEEDS[title]:
            if (folder / need).exists() if "/" in need else here(need):
                continue
            reason = f"{need} is not here, or too old; see docs/third-party.md"
            if os.environ.get("WATTPROOF_REQUIRE_THIRD_PARTY") == "1" and title not in OPTIONAL:
                pytest.fail(reason)
            pytest.skip(reason)

    return check


def test_every_command_of_the_page_is_run_here() -> None:
    assert SECTIONS.keys() == NEEDS.keys() == PASSES.keys() == {title for title, *_ in REFUSED}
    assert len(re.findall(r"^```sh$", PAGE.read_text("utf-8"), re.MULTILINE)) == len(SECTIONS)


@pytest.mark.parametrize("title", SECTIONS)
def test_the_tool_accepts_what_wattproof_wrote(title: str, folder: Path, require: Callable[[str], None]) -> None:
    require(title)
    done = _run(folder, title)
    assert done.returncode == 0, done.stdout
    assert PASSES[title] in done.stdout


@pytest.mark.parametrize(
    ("title", "spoil", "says"),
    [pytest.param(title, spoil, says, id=f"{title}: {what}") for title, what, spoil, says in REFUSED],
)
def test_the_tool_refuses_what_was_changed(
    title: str, spoil: Spoil, says: str, folder: Path, require: Callable[[str], None]
) -> None:
    require(title)
    spoil(folder)
    done = _run(folder, title)
    assert done.returncode != 0, done.stdout
    assert says in done.stdout


def test_the_key_that_the_page_makes_is_the_key_that_we_export(folder: Path, require: Callable[[str], None]) -> None:
    require(CHECKPOINT)
    exported = (folder / "log.pem").read_text("ascii")
    (folder / "log.pem").unlink()
    assert _run(folder, CHECKPOINT).returncode == 0
    assert (folder / "log.pem").read_text("ascii") == exported
