"""Checkpoints and proofs: what a log hands out opens with its published keys and nothing else."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wattproof.methodology.errors import InvalidInput, KeyUnusable, LedgerForked, VerificationFailed
from wattproof.resources.ledger import Ledger
from wattproof.resources.receipts import Frontier, Issuer, leaf_hash, verify_consistency, verify_inclusion
from wattproof.resources.receipts.checkpoint import Checkpoint, open_checkpoint
from wattproof.resources.receipts.keys import log_keys_from_env
from wattproof.resources.receipts.log_evidence import LogGiven, judge_inclusion
from wattproof.resources.receipts.note import SignedNote, VerifierKey
from wattproof.resources.receipts.tlog_proof import TlogProof, verify_tlog_proof

if TYPE_CHECKING:
    from tests.ledger.conftest import Drafts

Tamper = Callable[..., None]


async def fill(ledger: Ledger, drafts: Drafts, count: int, first: int = 0) -> list[bytes]:
    """Append entries in groups, and give all entries of the log in order."""
    await asyncio.gather(*(drafts.settle(ledger, f"r{number}") for number in range(first, first + count)))
    found: list[bytes] = []
    cursor = None
    while not found or cursor is not None:
        page = await ledger.entries("local", cursor=cursor, limit=500)
        found += [settled.entry_hash for settled in page.entries]
        cursor = page.next_cursor
    return found[::-1]


async def test_a_checkpoint_signs_the_present_head_under_the_published_key(
    ledger: Ledger, drafts: Drafts, home: Path
) -> None:
    await fill(ledger, drafts, 3)
    note = await ledger.log.checkpoint("local")
    published = [VerifierKey.parse(line) for line in (home / "keys" / "log.vkey").read_text().splitlines()]
    assert tuple(published) == ledger.log.vkeys("local")
    assert open_checkpoint(note, published) == Checkpoint("wattproof.local/local", *(await ledger.head("local")))


async def test_the_log_key_is_not_the_issuers_and_only_its_owner_reads_it(ledger: Ledger, home: Path) -> None:
    assert (home / "keys" / "log.key").stat().st_mode & 0o777 == 0o600
    assert (home / "keys" / "log.key").read_bytes() != (home / "keys" / "issuer.key").read_bytes()
    assert ledger.keyring.signers("log")[0].kid not in {key["kid"] for key in ledger.jwks["keys"]}


async def test_a_head_is_signed_once(ledger: Ledger, drafts: Drafts) -> None:
    await drafts.settle(ledger)
    note = await ledger.log.checkpoint("local")
    assert await ledger.log.checkpoint("local") == note
    await drafts.settle(ledger, "r2")
    assert await ledger.log.checkpoint("local") != note


async def test_a_log_that_does_not_exist_is_not_signed(ledger: Ledger) -> None:
    with pytest.raises(InvalidInput, match=r"log_id is 'nobody'; the logs here are none yet"):
        await ledger.log.checkpoint("nobody")


async def test_the_operator_names_the_log(open_home: Callable[..., Ledger], drafts: Drafts) -> None:
    async with open_home(origin_of="ledger.example.com/{}".format) as ledger:
        await drafts.settle(ledger)
        note = await ledger.log.checkpoint("local")
        assert open_checkpoint(note, ledger.log.vkeys("local")).origin == "ledger.example.com/local"


async def test_an_id_that_is_no_key_name_is_escaped(ledger: Ledger, drafts: Drafts) -> None:
    await drafts.settle(ledger, log_id="a tenant + one")
    note = await ledger.log.checkpoint("a tenant + one")
    assert open_checkpoint(note, ledger.log.vkeys("a tenant + one")).origin == "wattproof.local/a%20tenant%20%2B%20one"


async def test_a_receipt_of_such_a_log_is_shown_to_be_in_it(ledger: Ledger, drafts: Drafts) -> None:
    settled = await drafts.settle(ledger, log_id="a tenant + one")
    proof = str(await ledger.log.tlog_proof("a tenant + one", 0))
    given = LogGiven(tlog_proof=proof, vkeys=ledger.log.vkeys("a tenant + one"))
    jws = settled.jws or ""
    assert judge_inclusion(jws, {"log_id": "a tenant + one"}, None, given, None).verdict.verdict == "pass"
    assert judge_inclusion(jws, {"log_id": "another"}, None, given, None).verdict.reason == "another_log"


async def test_a_second_root_for_one_size_is_never_signed(
    open_home: Callable[..., Ledger], drafts: Drafts, tamper: Tamper
) -> None:
    async with open_home() as ledger:
        await fill(ledger, drafts, 2)
        note = await ledger.log.checkpoint("local")
    other = Frontier().extend([leaf_hash(bytes(32)), leaf_hash(b"\x01" * 32)]).to_bytes().hex()
    tamper(f"UPDATE head SET frontier = x'{other}'")
    async with open_home() as ledger:
        with pytest.raises(LedgerForked, match="was signed for the first 2 entries of log 'local'; now their root is"):
            await ledger.log.checkpoint("local")
        # A proof goes on resting on what was signed.
        assert (await ledger.log.tlog_proof("local", 0)).checkpoint == note


@pytest.mark.parametrize("seq", [0, 255, 256, 300, 599])
async def test_a_tlog_proof_verifies_offline_and_only_for_its_entry(ledger: Ledger, drafts: Drafts, seq: int) -> None:
    entries = await fill(ledger, drafts, 600)
    proof = TlogProof.parse(str(await ledger.log.tlog_proof("local", seq)))
    keys = ledger.log.vkeys("local")
    assert verify_tlog_proof(proof, entries[seq], keys).size == 600
    with pytest.raises(VerificationFailed):
        verify_tlog_proof(proof, entries[seq - 1], keys)
    with pytest.raises(VerificationFailed, match="None of the signatures"):
        verify_tlog_proof(proof, entries[seq], [VerifierKey(keys[0].name, Issuer(bytes(32)).public_key)])


async def test_a_proof_rests_on_the_newest_checkpoint_that_covers_the_entry(ledger: Ledger, drafts: Drafts) -> None:
    await drafts.settle(ledger, "r0")
    first = await ledger.log.checkpoint("local")
    await drafts.settle(ledger, "r1")
    assert (await ledger.log.tlog_proof("local", 0)).checkpoint == first
    assert "\n2\n" in (await ledger.log.tlog_proof("local", 1)).checkpoint


@pytest.mark.parametrize("seq", [-1, 1])
async def test_a_tlog_proof_of_what_is_not_there_is_refused(ledger: Ledger, drafts: Drafts, seq: int) -> None:
    await drafts.settle(ledger)
    with pytest.raises(InvalidInput, match=f"seq is {seq}; give an entry of the log; 'local' has 1"):
        await ledger.log.tlog_proof("local", seq)


async def test_every_size_extends_every_smaller_one(ledger: Ledger, drafts: Drafts) -> None:
    leaves = [leaf_hash(entry) for entry in await fill(ledger, drafts, 530)]

    def root(size: int) -> bytes:
        return Frontier().extend(leaves[:size]).root()

    for new in (2, 256, 257, 511, 512, 513, 530):
        for old in (1, 2, 3, 255, 256, 257, 511, 512, 513, 529):
            if old <= new:
                path = await ledger.log.consistency("local", old, new)
                verify_consistency(old, new, root(old), root(new), path)
    assert await ledger.log.consistency("local", 200) == await ledger.log.consistency("local", 200, 530)


@pytest.mark.parametrize(("old", "new"), [(0, 2), (3, 2), (1, 4), (4, None)])
async def test_a_consistency_proof_between_sizes_that_never_were_is_refused(
    ledger: Ledger, drafts: Drafts, old: int, new: int | None
) -> None:
    await fill(ledger, drafts, 3)
    with pytest.raises(InvalidInput, match="give sizes from 1 to 3, in order"):
        await ledger.log.consistency("local", old, new)


async def test_inclusion_holds_across_full_and_partial_tiles(ledger: Ledger, drafts: Drafts) -> None:
    entries = await fill(ledger, drafts, 520)
    for size in (257, 512, 513, 520):
        for seq in (0, 200, 255, 256, size - 1):
            proof = await ledger.inclusion("local", seq, size)
            verify_inclusion(leaf_hash(entries[seq]), seq, size, proof.hashes, proof.root)


async def test_a_tile_is_stored_once_it_is_full(open_home: Callable[..., Ledger], drafts: Drafts, home: Path) -> None:
    async with open_home() as ledger:
        entries = await fill(ledger, drafts, 255)
        assert stored_tiles(home) == []
        entries = await fill(ledger, drafts, 300, first=255)
    leaves = [leaf_hash(entry) for entry in entries]
    assert stored_tiles(home) == [
        (0, index, Frontier().extend(leaves[at : at + 256]).root(), b"".join(leaves[at : at + 256]))
        for index, at in enumerate((0, 256))
    ]


async def test_entries_of_several_logs_fill_their_own_tiles(ledger: Ledger, drafts: Drafts) -> None:
    logs = ("one", "two")
    await asyncio.gather(*(drafts.settle(ledger, f"r{n}", log_id=log_id) for n in range(260) for log_id in logs))
    for log_id in logs:
        proof = await ledger.log.tlog_proof(log_id, 3)
        settled = await ledger.get(log_id, seq=3)
        assert settled is not None
        assert verify_tlog_proof(proof, settled.entry_hash, ledger.log.vkeys(log_id)).size == 260


async def test_an_older_ledger_gets_its_tiles_and_its_log_key(
    open_home: Callable[..., Ledger], drafts: Drafts, home: Path
) -> None:
    async with open_home() as ledger:
        entries = await fill(ledger, drafts, 300)
        tiles = stored_tiles(home)
    with sqlite3.connect(home / "ledger.sqlite3") as connection:
        connection.executescript(
            "DROP TABLE tile; DROP TABLE checkpoint; PRAGMA user_version = 2; "
            "DELETE FROM _sqlite_migrations WHERE name = '0003_log'"
        )
    connection.close()
    for name in ("log.key", "log.jwks.json", "log.vkey"):
        (home / "keys" / name).unlink()
    async with open_home() as ledger:
        assert stored_tiles(home) == tiles
        proof = await ledger.log.tlog_proof("local", 299)
        verify_tlog_proof(proof, entries[299], ledger.log.vkeys("local"))
        assert (await ledger.fsck()).findings == ()


async def test_a_log_key_that_went_missing_is_not_replaced(
    open_home: Callable[..., Ledger], drafts: Drafts, home: Path
) -> None:
    async with open_home() as ledger:
        await drafts.settle(ledger)
        await ledger.log.checkpoint("local")
    (home / "keys" / "log.key").unlink()
    with pytest.raises(KeyUnusable, match=r"log\.key does not exist. Restore it from a backup"):
        open_home()


async def test_operators_log_keys_sign_and_are_not_written_down(
    open_home: Callable[..., Ledger], drafts: Drafts, home: Path
) -> None:
    new, old = Issuer(b"\x01" * 32), Issuer(b"\x02" * 32)
    seeds = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE, AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI"
    keys = log_keys_from_env(seeds)
    assert [key.kid for key in keys] == [new.kid, old.kid]
    async with open_home(log_keys=keys) as ledger:
        await drafts.settle(ledger)
        note = await ledger.log.checkpoint("local")
        for signer in (new, old):
            open_checkpoint(note, [VerifierKey("wattproof.local/local", signer.public_key)])
        assert [key.public_key for key in ledger.log.vkeys("local")] == [old.public_key, new.public_key]
    assert not (home / "keys" / "log.key").exists()


async def test_a_change_of_the_operators_keys_signs_the_same_head_again(
    open_home: Callable[..., Ledger], drafts: Drafts
) -> None:
    old, new = Issuer(b"\x01" * 32), Issuer(b"\x02" * 32)
    async with open_home(log_keys=(old,)) as ledger:
        await drafts.settle(ledger)
        first = await ledger.log.checkpoint("local")
    async with open_home(log_keys=(new, old)) as ledger:
        second = await ledger.log.checkpoint("local")
        assert SignedNote.parse(second).text == SignedNote.parse(first).text
        open_checkpoint(second, [VerifierKey("wattproof.local/local", new.public_key)])
        assert (await ledger.fsck()).findings == ()


@pytest.mark.parametrize("value", ["", "short", ",".join(["AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"] * 3)])
def test_log_keys_that_are_none_are_refused_without_repeating_them(value: str) -> None:
    with pytest.raises(KeyUnusable, match="WATTPROOF_LOG_KEY") as raised:
        log_keys_from_env(value)
    assert not value or value not in str(raised.value)


async def test_a_simulation_throws_its_log_key_away(
    open_home: Callable[..., Ledger], drafts: Drafts, home: Path
) -> None:
    keys: list[bytes] = []
    for number in range(2):
        async with open_home(simulation=True, issuer=Issuer(b"\x07" * 32)) as ledger:
            await drafts.settle(ledger, f"r{number}")
            open_checkpoint(await ledger.log.checkpoint("local"), ledger.log.vkeys("local"))
            keys.append(ledger.keyring.signers("log")[0].public_key)
    assert keys[0] != keys[1]
    assert not (home / "keys" / "log.key").exists()


def stored_tiles(home: Path) -> list[tuple[int, int, bytes, bytes]]:
    connection = sqlite3.connect(home / "ledger.sqlite3")
    rows = connection.execute("SELECT level, idx, root, hashes FROM tile ORDER BY level, idx").fetchall()
    connection.close()
    return rows
