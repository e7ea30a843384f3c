"""The log from the command line: what an auditor gets, keeps and checks."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ledger.drafts import draft, payload
from wattproof.resources.ledger import open_ledger
from wattproof.resources.receipts import keys_from_jwks, read_jwks, verify_consistency
from wattproof.resources.receipts.checkpoint import open_checkpoint
from wattproof.resources.receipts.consistency import read_consistency
from wattproof.resources.receipts.note import VerifierKey
from wattproof.resources.receipts.tlog_proof import TlogProof, verify_tlog_proof

if TYPE_CHECKING:
    from tests.cli.conftest import Finished

Wattproof = Callable[..., "Finished"]
SEED, NEXT = (base64.urlsafe_b64encode(bytes([n]) * 32).decode().rstrip("=") for n in (1, 2))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def receipts(home: Path) -> list[str]:
    """A home with a few entries: the ids of their receipts."""
    return more(home, 0, 3)


def more(home: Path, first: int, count: int) -> list[str]:
    """Append entries by a process of its own, as a server would."""

    async def settle() -> list[str]:
        async with open_ledger(home, clock=time.time, random_bytes=os.urandom) as ledger:
            drafts = [draft(f"r{number}") for number in range(first, first + count)]
            return [(await ledger.settle(each, payload(each))).receipt_id for each in drafts]

    return asyncio.run(settle())


def vkeys(wattproof: Wattproof) -> list[VerifierKey]:
    return [VerifierKey.parse(line) for line in done(wattproof("ledger", "keys", "--vkey")).splitlines()]


def done(finished: Finished) -> str:
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.usefixtures("receipts")
def test_a_checkpoint_opens_with_the_printed_key(wattproof: Wattproof) -> None:
    note = done(wattproof("ledger", "checkpoint"))
    assert open_checkpoint(note, vkeys(wattproof)).size == 3
    # Signed text is bytes; a terminal that cannot show a dash must not change it.
    assert done(wattproof("ledger", "checkpoint", PYTHONUTF8="1")) == note


def test_a_proof_verifies_without_the_ledger(wattproof: Wattproof, receipts: list[str], home: Path) -> None:
    proof = TlogProof.parse(done(wattproof("ledger", "proof", receipts[1])))
    connection = sqlite3.connect(home / "ledger.sqlite3")
    (entry,) = connection.execute("SELECT entry_hash FROM entry WHERE receipt_id = ?", (receipts[1],)).fetchone()
    connection.close()
    assert verify_tlog_proof(proof, entry, vkeys(wattproof)).size == 3


@pytest.mark.usefixtures("receipts")
def test_a_proof_of_a_receipt_of_nobody_is_refused(wattproof: Wattproof) -> None:
    failed = wattproof("ledger", "proof", "r_nothing")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert "RECEIPT_ID is 'r_nothing', which log 'local' does not hold" in failed.stderr


@pytest.mark.usefixtures("receipts")
def test_a_log_that_grew_is_consistent_with_the_checkpoint_that_was_kept(
    wattproof: Wattproof, home: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.write_text(done(wattproof("ledger", "checkpoint")), "utf-8")
    more(home, 3, 2)
    text = done(wattproof("ledger", "consistency", "--from", str(kept)))
    assert text == "consistent: the 5 entries of wattproof.local/local begin with the 3 of the checkpoint.\n"
    found = json.loads(done(wattproof("ledger", "consistency", "--from", str(kept), "--json", "--proof")))
    assert (found["verdict"], found["old_size"], found["entry_count"]) == ("consistent", 3, 5)
    old_root, root = (bytes.fromhex(found[name]) for name in ("old_root", "root"))
    verify_consistency(3, 5, old_root, root, read_consistency(found["proof"]))
    assert open_checkpoint(found["proof"].partition("\n\n")[2], vkeys(wattproof)).root == root


@pytest.mark.usefixtures("receipts")
def test_a_changed_history_fails_against_the_checkpoint_that_was_kept(
    wattproof: Wattproof, home: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.write_text(done(wattproof("ledger", "checkpoint")), "utf-8")
    connection = sqlite3.connect(home / "ledger.sqlite3")
    connection.executescript("DROP TRIGGER entry_update; UPDATE entry SET entry_hash = zeroblob(32) WHERE seq = 1")
    connection.close()
    failed = wattproof("ledger", "consistency", "--from", str(kept))
    assert failed.returncode == 1
    assert failed.stdout.startswith("forked: the first 3 entries of wattproof.local/local have the root ")
    connection = sqlite3.connect(home / "ledger.sqlite3")
    connection.executescript("DROP TRIGGER entry_delete; DELETE FROM entry WHERE seq = 2")
    connection.close()
    failed = wattproof("ledger", "consistency", "--from", str(kept))
    assert (failed.returncode, failed.stdout) == (
        1,
        "forked: the checkpoint covers 3 entries of wattproof.local/local, and 2 are left.\n",
    )


@pytest.mark.usefixtures("receipts")
@pytest.mark.parametrize(("text", "status"), [(None, 2), ("no note", 1)])
def test_a_checkpoint_that_is_none_is_named(
    wattproof: Wattproof, tmp_path: Path, text: str | None, status: int
) -> None:
    if text is not None:
        (tmp_path / "kept").write_text(text)
    failed = wattproof("ledger", "consistency", "--from", str(tmp_path / "kept"))
    assert failed.returncode == status
    assert failed.stderr.startswith("wattproof: ")


@pytest.mark.usefixtures("receipts")
def test_tiles_are_written_once(wattproof: Wattproof, tmp_path: Path) -> None:
    folder = tmp_path / "public"
    assert "covers 3 entries (3 new); 2 files written" in done(wattproof("ledger", "tiles", str(folder)))
    assert "covers 3 entries (0 new); 0 files written" in done(wattproof("ledger", "tiles", str(folder)))
    assert (folder / "tile/0/000.p/3").stat().st_size == 96


@pytest.mark.usefixtures("receipts")
def test_the_keys_are_the_published_ones(wattproof: Wattproof, home: Path) -> None:
    found = json.loads(done(wattproof("ledger", "keys")))
    assert found["jwks"] == read_jwks(home / "keys" / "jwks.json")
    assert found["vkeys"] == (home / "keys" / "log.vkey").read_text().splitlines()


@pytest.mark.usefixtures("receipts")
def test_a_rotated_key_is_entered_and_the_ledger_stays_sound(wattproof: Wattproof, home: Path) -> None:
    (old,) = keys_from_jwks(read_jwks(home / "keys" / "jwks.json"))
    text = done(wattproof("ledger", "rotate-key", "issuer"))
    assert f"signs now, in place of {old}. Entered in 1 log(s): local entry 3." in text
    assert "local entry 4" in done(wattproof("ledger", "rotate-key", "log"))
    assert len(vkeys(wattproof)) == 2
    assert "signs no more; it stays published." in done(wattproof("ledger", "rotate-key", "log", "--retire"))
    assert "there is none to retire" in done(wattproof("ledger", "rotate-key", "log", "--retire"))
    revoked = done(wattproof("ledger", "revoke", old, "--since", "2026-11-22T06:00:00Z"))
    assert revoked == f"{old} is revoked. Entered in 1 log(s): local entry 5.\n"
    (jwk, _) = read_jwks(home / "keys" / "jwks.json")["keys"]
    assert jwk["wattproof_revoked_at"] == 1_795_327_200
    done(wattproof("ledger", "fsck"))


@pytest.mark.usefixtures("receipts")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rotate-key", "issuer", "--retire"), "--retire is given for the issuer key"),
        (("revoke", "x", "--since", "yesterday"), "--since is 'yesterday'; give a time in UTC"),
        (("revoke", "x"), "kid is 'x', which no key has"),
        (("revoke", f"-{'x' * 42}"), f"kid is '-{'x' * 42}', which no key has"),
        (("revoke", f"-{'x' * 42}", "--since", "2026-11-22T06:00:00Z"), "which no key has"),
    ],
)
def test_what_cannot_be_done_with_a_key_is_said(wattproof: Wattproof, arguments: tuple[str, ...], message: str) -> None:
    failed = wattproof("ledger", *arguments)
    assert failed.returncode == 2
    assert message in failed.stderr


def test_a_key_from_the_environment_is_replaced_by_one_from_there(wattproof: Wattproof, home: Path) -> None:
    more(home, 0, 1)
    keys = {"WATTPROOF_ISSUER_KEY": SEED, "WATTPROOF_LOG_KEY": SEED}
    failed = wattproof("ledger", "rotate-key", "issuer", **keys)
    assert failed.returncode == 2
    assert "give the new one in WATTPROOF_ISSUER_KEY_NEXT" in failed.stderr
    finished = wattproof("ledger", "rotate-key", "issuer", **keys, WATTPROOF_ISSUER_KEY_NEXT=NEXT)
    assert "Entered in 1 log(s)" in done(finished)
    assert "Now move the value of WATTPROOF_ISSUER_KEY_NEXT to WATTPROOF_ISSUER_KEY" in finished.stderr
    assert NEXT not in finished.stdout + finished.stderr
    assert done(wattproof("ledger", "checkpoint", WATTPROOF_LOG_KEY=f"{NEXT},{SEED}")).count("—") == 2


@pytest.mark.parametrize("arguments", [("checkpoint",), ("keys",), ("rotate-key", "log"), ("tiles", "public")])
def test_without_a_ledger_nothing_is_made(wattproof: Wattproof, home: Path, arguments: tuple[str, ...]) -> None:
    failed = wattproof("ledger", *arguments)
    assert failed.returncode == 1
    assert "There is no ledger yet: the first run makes it." in failed.stderr
    assert not home.exists()


@pytest.mark.usefixtures("receipts")
def test_the_operators_name_begins_the_origin_of_a_checkpoint(wattproof: Wattproof) -> None:
    note = done(wattproof("ledger", "checkpoint", WATTPROOF_LOG_ORIGIN="ledger.example.com"))
    assert note.splitlines()[0] == "ledger.example.com/local"
