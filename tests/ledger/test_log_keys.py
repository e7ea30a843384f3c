"""Keys are replaced and revoked in sight of everybody: old receipts verify, new ones carry the new key."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from wattproof.methodology.errors import InvalidInput, KeyUnusable, VerificationFailed
from wattproof.resources.ledger import Ledger, Settled, SummaryQuery
from wattproof.resources.receipts import Issuer, keys_from_jwks, parse, read_jwks, sign
from wattproof.resources.receipts.checkpoint import open_checkpoint
from wattproof.resources.receipts.jws import verify
from wattproof.resources.receipts.key_statement import KeyStatement, read_key_statement
from wattproof.resources.receipts.key_times import KeyTimes, key_times
from wattproof.resources.receipts.keys import thumbprint
from wattproof.resources.receipts.note import VerifierKey

if TYPE_CHECKING:
    from tests.ledger.conftest import Clock, Drafts

Opened = Callable[..., Ledger]
START = 1_795_327_200


def kid_of(settled: Settled) -> str:
    return parse(settled.jws or "").kid


def file_names(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "keys").iterdir())


async def test_old_receipts_verify_and_new_ones_carry_the_new_key(ledger: Ledger, drafts: Drafts, home: Path) -> None:
    before = await drafts.settle(ledger, "r1")
    change = await ledger.log.rotate_issuer()
    after = await drafts.settle(ledger, "r2")
    assert (kid_of(before), kid_of(after)) == (change.old_kid, change.new_kid)
    assert ledger.issuer.kid == change.new_kid
    keys = keys_from_jwks(read_jwks(home / "keys" / "jwks.json"))
    for settled in (before, after):
        verify(parse(settled.jws or ""), keys)
    report = await ledger.fsck()
    assert (report.entry_count, report.findings) == (3, ())


async def test_the_old_key_signs_the_new_one_as_an_entry_of_every_log(ledger: Ledger, drafts: Drafts) -> None:
    for log_id in ("one", "two"):
        await drafts.settle(ledger, log_id=log_id)
    old = {ledger.issuer.kid: ledger.issuer.public_key}
    change = await ledger.log.rotate_issuer()
    assert [(entry.log_id, entry.seq, entry.draft.kind) for entry in change.entries] == [
        ("one", 1, "key"),
        ("two", 1, "key"),
    ]
    for entry in change.entries:
        stated = read_key_statement(entry.jws or "", old)
        assert (stated.action, stated.role, stated.kid, stated.replaces) == (
            "rotate",
            "issuer",
            change.new_kid,
            change.old_kid,
        )
        proof = await ledger.inclusion(entry.log_id, entry.seq)
        assert proof.tree_size == 2


async def test_the_key_set_says_from_when_until_when_each_key_signs(
    ledger: Ledger, drafts: Drafts, clock: Clock, home: Path
) -> None:
    await drafts.settle(ledger)
    first = ledger.issuer.kid
    clock.now_s += 60
    change = await ledger.log.rotate_issuer()
    limits = key_times(read_jwks(home / "keys" / "jwks.json"))
    assert limits == {
        first: KeyTimes(expires=START + 61),
        change.new_kid: KeyTimes(not_before=START + 60),
    }


async def test_no_total_counts_a_statement_about_a_key(ledger: Ledger, drafts: Drafts) -> None:
    await drafts.settle(ledger)
    query = SummaryQuery("local", group_by="provider")
    before = await ledger.summary(query)
    await ledger.log.rotate_issuer()
    await ledger.log.rotate_log_key()
    assert await ledger.summary(query) == before


async def test_a_process_that_is_open_signs_with_the_new_key_from_then_on(open_home: Opened, drafts: Drafts) -> None:
    async with open_home() as one, open_home() as other:
        await drafts.settle(other, "r1")
        change = await one.log.rotate_issuer()
        assert kid_of(await drafts.settle(other, "r2")) == change.new_kid
        assert {key["kid"] for key in other.jwks["keys"]} == {change.old_kid, change.new_kid}
        second = await other.log.rotate_issuer()
        assert second.old_kid == change.new_kid
        assert kid_of(await drafts.settle(one, "r3")) == second.new_kid
        assert (await one.fsck()).findings == ()


async def test_a_home_without_a_log_gets_a_new_key_too(ledger: Ledger, drafts: Drafts) -> None:
    change = await ledger.log.rotate_issuer()
    assert change.entries == ()
    assert kid_of(await drafts.settle(ledger)) == change.new_kid


async def test_only_the_key_that_signs_is_left_on_disk(ledger: Ledger, drafts: Drafts, home: Path) -> None:
    await drafts.settle(ledger)
    await ledger.log.rotate_issuer()
    names = ["issuer.key", "jwks.json", "log.jwks.json", "log.key", "log.vkey"]
    assert file_names(home) == names
    assert (home / "keys" / "issuer.key").stat().st_mode & 0o777 == 0o600


async def test_both_log_keys_sign_until_the_old_one_is_retired(ledger: Ledger, drafts: Drafts, home: Path) -> None:
    await drafts.settle(ledger)
    (old,) = ledger.log.vkeys("local")
    change = await ledger.log.rotate_log_key()
    _, new = ledger.log.vkeys("local")
    assert new.public_key == ledger.keyring.signers("log")[0].public_key
    note = await ledger.log.checkpoint("local")
    for key in (old, new):
        assert open_checkpoint(note, [key]).size == 2
    assert await ledger.log.retire_log_key() == change.old_kid
    await drafts.settle(ledger, "r2")
    note = await ledger.log.checkpoint("local")
    assert open_checkpoint(note, [new]).size == 3
    with pytest.raises(VerificationFailed, match="None of the signatures"):
        open_checkpoint(note, [old])
    assert (home / "keys" / "log.vkey").read_text().splitlines() == [str(old), str(new)]
    assert await ledger.log.retire_log_key() is None
    assert (await ledger.fsck()).findings == ()


async def test_a_third_log_key_ends_the_first(ledger: Ledger, drafts: Drafts, home: Path, clock: Clock) -> None:
    await drafts.settle(ledger)
    (first,) = ledger.log.vkeys("local")
    await ledger.log.rotate_log_key()
    clock.now_s += 100
    second = await ledger.log.rotate_log_key()
    note = await ledger.log.checkpoint("local")
    with pytest.raises(VerificationFailed):
        open_checkpoint(note, [first])
    assert [key.kid for key in ledger.keyring.signers("log")] == [second.new_kid, second.old_kid]
    limits = key_times(read_jwks(home / "keys" / "log.jwks.json"))
    assert [times.expires for times in limits.values() if times.expires] == [START + 101]
    assert limits[thumbprint(first.public_key)].expires == START + 101


async def test_the_new_log_key_is_signed_by_the_issuer(ledger: Ledger, drafts: Drafts) -> None:
    await drafts.settle(ledger)
    change = await ledger.log.rotate_log_key()
    (entry,) = change.entries
    stated = read_key_statement(entry.jws or "", {ledger.issuer.kid: ledger.issuer.public_key})
    assert (stated.role, stated.kid, stated.replaces) == ("log", change.new_kid, change.old_kid)


async def test_a_key_of_the_operator_is_replaced_by_one_that_the_operator_gives(
    open_home: Opened, drafts: Drafts, home: Path
) -> None:
    old, new = Issuer(b"\x01" * 32), Issuer(b"\x02" * 32)
    async with open_home(issuer=old) as ledger:
        await drafts.settle(ledger)
        with pytest.raises(InvalidInput, match="give the new one in WATTPROOF_ISSUER_KEY_NEXT"):
            await ledger.log.rotate_issuer()
        change = await ledger.log.rotate_issuer(new)
        assert kid_of(await drafts.settle(ledger, "r2")) == change.new_kid == new.kid
    async with open_home(issuer=new) as ledger:
        assert (await ledger.fsck()).findings == ()
    assert "issuer.key" not in file_names(home)


async def test_a_key_that_was_used_before_is_refused(open_home: Opened, drafts: Drafts) -> None:
    old, new = Issuer(b"\x01" * 32), Issuer(b"\x02" * 32)
    async with open_home(issuer=old, log_keys=(new,)) as ledger:
        await drafts.settle(ledger)
        for given in (old, new):
            with pytest.raises(InvalidInput, match="was used before; give a new one"):
                await ledger.log.rotate_issuer(given)
        assert (await ledger.head("local"))[0] == 1


async def test_a_revoked_key_is_published_and_entered(ledger: Ledger, drafts: Drafts, home: Path, clock: Clock) -> None:
    await drafts.settle(ledger)
    rotated = await ledger.log.rotate_issuer()
    clock.now_s += 3600
    change = await ledger.log.revoke(rotated.old_kid, since_s=START - 100)
    limits = key_times(read_jwks(home / "keys" / "jwks.json"))[rotated.old_kid]
    assert limits.revoked_at == START - 100
    (entry,) = change.entries
    stated = read_key_statement(entry.jws or "", keys_from_jwks(ledger.jwks))
    assert (stated.action, stated.kid, stated.effective_at) == ("revoke", rotated.old_kid, "2026-11-22T05:58:20Z")
    assert kid_of(entry) == rotated.new_kid
    assert (await ledger.fsck()).findings == ()


async def test_a_revoked_log_key_signs_no_more_and_is_no_verifier_key(
    ledger: Ledger, drafts: Drafts, home: Path
) -> None:
    await drafts.settle(ledger)
    before = await ledger.log.checkpoint("local")
    rotated = await ledger.log.rotate_log_key()
    await ledger.log.revoke(rotated.old_kid)
    (left,) = ledger.log.vkeys("local")
    assert (home / "keys" / "log.vkey").read_text() == f"{left}\n"
    assert [key.kid for key in ledger.keyring.signers("log")] == [rotated.new_kid]
    with pytest.raises(VerificationFailed):
        await ledger.log.compare("local", before)
    # What it signed in its time is still what the tree gives.
    assert (await ledger.fsck()).findings == ()


async def test_the_key_that_signs_is_not_revoked_without_a_successor(ledger: Ledger) -> None:
    for role in ("issuer", "log"):
        kid = (ledger.issuer if role == "issuer" else ledger.keyring.signers("log")[0]).kid
        with pytest.raises(InvalidInput, match=f"rotate first: wattproof ledger rotate-key {role}"):
            await ledger.log.revoke(kid)


async def test_a_key_that_nobody_knows_is_not_revoked(ledger: Ledger) -> None:
    with pytest.raises(InvalidInput, match="kid is 'unknown', which no key has"):
        await ledger.log.revoke("unknown")


@pytest.mark.parametrize("role", ["issuer", "log"])
async def test_a_rotation_that_was_cut_off_after_its_entry_is_completed(
    open_home: Opened, drafts: Drafts, home: Path, child: Callable[..., subprocess.Popen[str]], role: str
) -> None:
    async with open_home() as ledger:
        await drafts.settle(ledger)
    process = child("child_rotate.py", home, role)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (9, "")
    assert f"{role}.key.next" in file_names(home)
    new = Issuer((home / "keys" / f"{role}.key.next").read_bytes())
    async with open_home() as ledger:
        assert ledger.keyring.signers("issuer" if role == "issuer" else "log")[0].kid == new.kid
        assert f"{role}.key.next" not in file_names(home)
        settled = await drafts.settle(ledger, "r2")
        assert (kid_of(settled) == new.kid) is (role == "issuer")
        await ledger.log.checkpoint("local")
        assert (await ledger.fsck()).findings == ()


async def test_a_key_whose_rotation_was_never_entered_is_dropped(open_home: Opened, drafts: Drafts, home: Path) -> None:
    async with open_home() as ledger:
        kid = kid_of(await drafts.settle(ledger))
    (home / "keys" / "issuer.key.next").write_bytes(b"\x05" * 32)
    (home / "keys" / "issuer.key.next").chmod(0o600)
    async with open_home() as ledger:
        assert kid_of(await drafts.settle(ledger, "r2")) == kid
    assert "issuer.key.next" not in file_names(home)


async def test_a_rotation_that_was_cut_off_does_not_push_a_key_of_the_operator_aside(
    open_home: Opened, drafts: Drafts, home: Path, child: Callable[..., subprocess.Popen[str]]
) -> None:
    async with open_home() as ledger:
        await drafts.settle(ledger)
    child("child_rotate.py", home, "issuer").communicate(timeout=60)
    supplied = Issuer(b"\x06" * 32)
    async with open_home(issuer=supplied) as ledger:
        assert kid_of(await drafts.settle(ledger, "r2")) == supplied.kid
    assert "issuer.key.next" in file_names(home)


async def test_a_key_file_removed_under_a_running_process_costs_no_receipt(
    ledger: Ledger, drafts: Drafts, home: Path
) -> None:
    kid = kid_of(await drafts.settle(ledger, "r1"))
    (home / "keys" / "issuer.key").unlink()
    assert kid_of(await drafts.settle(ledger, "r2")) == kid


async def test_a_key_file_that_others_can_read_is_refused_at_the_next_signature(
    ledger: Ledger, drafts: Drafts, home: Path
) -> None:
    (home / "keys" / "issuer.key").write_bytes(b"\x05" * 32)
    (home / "keys" / "issuer.key").chmod(0o644)
    with pytest.raises(KeyUnusable, match="chmod 600"):
        await drafts.settle(ledger, "r1")


KEY, OTHER = Issuer(b"\x01" * 32), Issuer(b"\x02" * 32)
STATED = KeyStatement("rotate", "issuer", OTHER.public_key, KEY.kid, "2026-11-22T06:00:00Z").payload(
    "local", "2026-11-22T06:00:00Z"
)


def test_a_statement_reads_as_it_was_made() -> None:
    stated = read_key_statement(sign(STATED, KEY), {KEY.kid: KEY.public_key})
    assert stated == KeyStatement("rotate", "issuer", OTHER.public_key, KEY.kid, "2026-11-22T06:00:00Z")


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "wattproof-key/2"},
        {"kind": "inference"},
        {"action": "extend"},
        {"role": "witness"},
        {"replaces": 3},
        {"log_id": None},
        {"effective_at": "yesterday"},
        {"jwk": {}},
        {"jwk": {**STATED["jwk"], "kid": KEY.kid}},
        {"more": "x"},
    ],
)
def test_a_statement_that_says_something_else_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(VerificationFailed, match="not a statement about a key"):
        read_key_statement(sign({**STATED, **change}, KEY), {KEY.kid: KEY.public_key})


def test_a_statement_by_another_key_is_refused() -> None:
    with pytest.raises(VerificationFailed) as raised:
        read_key_statement(sign(STATED, OTHER), {KEY.kid: KEY.public_key})
    assert raised.value.reason == "unknown_key"


async def test_the_vkey_file_names_every_log(open_home: Opened, drafts: Drafts, home: Path) -> None:
    async with open_home() as ledger:
        for log_id in ("one", "two"):
            await drafts.settle(ledger, log_id=log_id)
        await ledger.log.checkpoint("one")
        keys = [VerifierKey.parse(line) for line in (home / "keys" / "log.vkey").read_text().splitlines()]
    assert [key.name for key in keys] == ["wattproof.local/one", "wattproof.local/two"]
