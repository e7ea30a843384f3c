"""Whose word it is that a receipt is in its log, and when each key counts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.receipt_log import WITNESS, WITNESS_KEY, ReceiptLog
from wattproof.methodology.errors import InvalidInput, KeyUnusable
from wattproof.resources.receipts import Issuer, Report, exit_code, keys_from_jwks, sign, verify_receipt
from wattproof.resources.receipts.consistency import read_consistency
from wattproof.resources.receipts.key_times import KeyTimes, key_times
from wattproof.resources.receipts.log_evidence import LogGiven, judge_inclusion, verifier_keys
from wattproof.resources.receipts.note import VerifierKey

MakePayload = Callable[..., dict[str, Any]]

# Receipts of these tests are issued at 2026-11-05T12:00:04Z.
ISSUED = 1_793_880_004
NOW = ISSUED + 600.0


def _both(log: ReceiptLog) -> tuple[VerifierKey, VerifierKey]:
    return log.vkey, WITNESS_KEY


@pytest.fixture
def jws(make_payload: MakePayload, issuer: Issuer) -> str:
    return sign(make_payload(), issuer)


@pytest.fixture
def log(jws: str) -> ReceiptLog:
    """The receipt as entry 10 of 24."""
    made = ReceiptLog().fill(10)
    made.append(jws)
    return made.fill(13)


def _verify(jws: str, issuer: Issuer, log: LogGiven, **options: Any) -> Report:
    return verify_receipt(jws, {issuer.kid: issuer.public_key}, now=NOW, log=log, **options)


def _inclusion(report: Report) -> str:
    found = report.verdicts["inclusion"]
    return found.reason or found.verdict


def test_a_checkpoint_of_the_log_shows_inclusion_on_the_logs_own_word(
    jws: str, log: ReceiptLog, issuer: Issuer
) -> None:
    report = _verify(jws, issuer, LogGiven(tlog_proof=log.tlog_proof(10), vkeys=(log.vkey,)))
    assert (_inclusion(report), report.log_evidence) == ("pass", "self")
    assert "Entry 10 of 24 in wattproof.local/log-1" in report.verdicts["inclusion"].message
    assert exit_code(report) == 0


def test_a_known_witness_makes_it_witnessed_and_a_strangers_line_does_not(
    jws: str, log: ReceiptLog, issuer: Issuer
) -> None:
    proof = log.tlog_proof(10, witnessed_at_s=ISSUED + 60)
    assert _verify(jws, issuer, LogGiven(tlog_proof=proof, vkeys=_both(log))).log_evidence == "witnessed"
    assert _verify(jws, issuer, LogGiven(tlog_proof=proof, vkeys=(log.vkey,))).log_evidence == "self"


def test_a_witness_from_the_future_fails(jws: str, log: ReceiptLog, issuer: Issuer) -> None:
    proof = log.tlog_proof(10, witnessed_at_s=ISSUED + 7200)
    report = _verify(jws, issuer, LogGiven(tlog_proof=proof, vkeys=_both(log)))
    assert (_inclusion(report), report.log_evidence) == ("witness_in_the_future", None)


def test_a_changed_cosignature_fails(jws: str, log: ReceiptLog, issuer: Issuer) -> None:
    proof = log.tlog_proof(10, witnessed_at_s=ISSUED + 60)
    spoilt = proof[:-10] + ("A" if proof[-10] != "A" else "B") + proof[-9:]
    assert _inclusion(_verify(jws, issuer, LogGiven(tlog_proof=spoilt, vkeys=_both(log)))) == "bad_log_signature"


def test_without_a_key_of_the_log_a_good_path_is_left_open_and_a_bad_one_fails(
    jws: str, log: ReceiptLog, issuer: Issuer
) -> None:
    assert _inclusion(_verify(jws, issuer, LogGiven(tlog_proof=log.tlog_proof(10)))) == "no_log_key"
    assert _inclusion(_verify(jws, issuer, LogGiven(tlog_proof=log.tlog_proof(11)))) == "root_differs"


def test_a_checkpoint_by_strangers_is_not_established(jws: str, log: ReceiptLog, issuer: Issuer) -> None:
    stranger = VerifierKey(log.origin, Issuer(b"s" * 32).public_key)
    report = _verify(jws, issuer, LogGiven(tlog_proof=log.tlog_proof(10), vkeys=(stranger,)))
    assert (report.verdicts["inclusion"].verdict, _inclusion(report)) == ("unknown", "unknown_log_key")


def test_a_checkpoint_of_another_log_fails_whoever_signed_it(jws: str, issuer: Issuer) -> None:
    other = ReceiptLog(log_id="log-2")
    other.append(jws)
    report = _verify(jws, issuer, LogGiven(tlog_proof=other.tlog_proof(0), vkeys=(other.vkey,)))
    assert _inclusion(report) == "another_log"


def test_any_changed_line_of_a_tlog_proof_fails(jws: str, log: ReceiptLog, issuer: Issuer) -> None:
    lines = log.tlog_proof(10).split("\n")
    for at, line in enumerate(lines):
        if not line:
            continue
        changed = "\n".join([*lines[:at], ("X" if line[0] != "X" else "Y") + line[1:], *lines[at + 1 :]])
        found = _verify(jws, issuer, LogGiven(tlog_proof=changed, vkeys=(log.vkey,))).verdicts["inclusion"]
        assert found.verdict != "pass", line


@given(text=st.text(max_size=300), old=st.none() | st.text(max_size=100))
def test_no_proof_at_all_raises(text: str, old: str | None) -> None:
    log = ReceiptLog().fill(1)
    found = judge_inclusion("a.b.c", {}, None, LogGiven(tlog_proof=text, vkeys=(log.vkey,), old_checkpoint=old), NOW)
    assert found.verdict.verdict == "fail"


def test_a_log_that_only_grew_since_the_auditors_checkpoint_passes(jws: str, log: ReceiptLog, issuer: Issuer) -> None:
    for old_size in (1, 8, 24):
        given_ = LogGiven(
            tlog_proof=log.tlog_proof(10),
            vkeys=(log.vkey,),
            old_checkpoint=log.checkpoint(old_size),
            consistency=read_consistency(log.consistency(old_size)),
        )
        assert _inclusion(_verify(jws, issuer, given_)) == "pass"


def test_an_auditors_newer_checkpoint_is_compared_the_other_way_round(
    jws: str, log: ReceiptLog, issuer: Issuer
) -> None:
    held = LogGiven(
        tlog_proof=log.tlog_proof(10, size=12),
        vkeys=(log.vkey,),
        old_checkpoint=log.checkpoint(24),
        consistency=read_consistency(log.consistency(12)),
    )
    assert _inclusion(_verify(jws, issuer, held)) == "pass"


@pytest.mark.parametrize("old_size", [5, 10, 24])
@pytest.mark.parametrize("as_json", [False, True])
def test_a_log_with_another_past_is_forked(
    jws: str, log: ReceiptLog, issuer: Issuer, old_size: int, as_json: bool
) -> None:
    other = ReceiptLog().fill(30, seed=b"other")
    held: dict[str, Any] = {
        "vkeys": (log.vkey,),
        "old_checkpoint": other.checkpoint(old_size),
        "consistency": read_consistency(log.consistency(old_size)),
    }
    if as_json:
        report = _verify(jws, issuer, LogGiven(**held), inclusion=log.json_proof(10))
    else:
        report = _verify(jws, issuer, LogGiven(tlog_proof=log.tlog_proof(10), **held))
    assert (_inclusion(report), report.log_evidence) == ("forked", None)
    assert exit_code(report) == 1


def test_an_older_checkpoint_without_a_proof_leaves_it_open(jws: str, log: ReceiptLog, issuer: Issuer) -> None:
    held = LogGiven(tlog_proof=log.tlog_proof(10), vkeys=(log.vkey,), old_checkpoint=log.checkpoint(7))
    assert _inclusion(_verify(jws, issuer, held)) == "no_consistency_proof"
    one_hash = replace(held, consistency=(b"x" * 32,))
    assert _inclusion(_verify(jws, issuer, one_hash)) == "bad_consistency_proof"


def test_an_older_checkpoint_of_another_log_fails_and_one_by_nobody_known_is_left_open(
    jws: str, log: ReceiptLog, issuer: Issuer
) -> None:
    other = ReceiptLog(log_id="log-2").fill(3)
    held = LogGiven(
        tlog_proof=log.tlog_proof(10), vkeys=(log.vkey, other.vkey), old_checkpoint=other.checkpoint(3), consistency=()
    )
    assert _inclusion(_verify(jws, issuer, held)) == "another_log"
    nobody = LogGiven(tlog_proof=log.tlog_proof(10), vkeys=(log.vkey,), old_checkpoint=other.checkpoint(3))
    assert _inclusion(_verify(jws, issuer, nobody)) == "unknown_log_key"
    keyless = LogGiven(old_checkpoint=log.checkpoint(3))
    assert _inclusion(_verify(jws, issuer, keyless, inclusion=log.json_proof(10))) == "no_log_key"


def test_an_empty_older_log_proves_nothing_and_contradicts_nothing(jws: str, log: ReceiptLog, issuer: Issuer) -> None:
    held = LogGiven(tlog_proof=log.tlog_proof(10), vkeys=(log.vkey,), old_checkpoint=log.checkpoint(0))
    assert _inclusion(_verify(jws, issuer, held)) == "pass"


def test_both_kinds_of_proof_must_hold_and_the_signed_one_is_told(jws: str, log: ReceiptLog, issuer: Issuer) -> None:
    proof = log.tlog_proof(10, witnessed_at_s=ISSUED + 60)
    both = _verify(jws, issuer, LogGiven(tlog_proof=proof, vkeys=_both(log)), inclusion=log.json_proof(10))
    assert (both.log_evidence, _inclusion(both)) == ("witnessed", "pass")
    open_one = _verify(jws, issuer, LogGiven(tlog_proof=proof), inclusion=log.json_proof(10))
    assert (open_one.log_evidence, _inclusion(open_one)) == ("self", "pass")
    bad_one = _verify(jws, issuer, LogGiven(tlog_proof=proof, vkeys=_both(log)), inclusion=log.json_proof(11))
    assert (bad_one.log_evidence, _inclusion(bad_one)) == (None, "root_differs")


def _limited(issuer: Issuer, **limits: Any) -> dict[str, Any]:
    return {"keys": [issuer.public_jwk() | limits]}


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, "pass"),
        ({"nbf": ISSUED - 1000, "exp": ISSUED + 100}, "pass"),
        ({"exp": "2026-11-05T12:00:05Z"}, "pass"),
        ({"nbf": ISSUED + 200}, "pass"),
        ({"nbf": ISSUED + 400}, "key_not_yet_valid"),
        ({"exp": ISSUED - 400}, "key_retired"),
        ({"wattproof_revoked_at": ISSUED + 500}, "key_revoked"),
        ({"wattproof_revoked_at": "2027-01-01T00:00:00Z"}, "key_revoked"),
    ],
)
def test_a_key_counts_in_its_time(jws: str, issuer: Issuer, limits: dict[str, Any], expected: str) -> None:
    document = _limited(issuer, **limits)
    report = verify_receipt(jws, keys_from_jwks(document), now=NOW, limits=key_times(document))
    found = report.verdicts["signature"]
    assert (found.reason or found.verdict) == expected
    assert exit_code(report) == (0 if expected == "pass" else 1)


@pytest.mark.parametrize(("witnessed_at", "expected"), [(ISSUED + 100, "pass"), (ISSUED + 500, "key_revoked")])
def test_a_receipt_by_a_revoked_key_counts_where_a_witness_saw_it_before(
    jws: str, log: ReceiptLog, issuer: Issuer, witnessed_at: int, expected: str
) -> None:
    limits = {issuer.kid: KeyTimes(revoked_at=ISSUED + 500)}
    held = LogGiven(tlog_proof=log.tlog_proof(10, witnessed_at_s=witnessed_at), vkeys=_both(log))
    found = _verify(jws, issuer, held, limits=limits).verdicts["signature"]
    assert (found.reason or found.verdict) == expected
    own_word = LogGiven(tlog_proof=log.tlog_proof(10), vkeys=_both(log))
    assert _verify(jws, issuer, own_word, limits=limits).verdicts["signature"].reason == "key_revoked"


def test_a_receipt_that_is_not_dated_leaves_a_limited_key_open(issuer: Issuer) -> None:
    for payload in ({"schema": "wattproof-receipt/1"}, {"issued_at": "yesterday"}, {"issued_at": 7}):
        found = _verify(sign(payload, issuer), issuer, LogGiven(), limits={issuer.kid: KeyTimes(expires=1.0)})
        assert found.verdicts["signature"].reason == "not_dated"
        free = _verify(sign(payload, issuer), issuer, LogGiven())
        assert free.verdicts["signature"].verdict == "pass"


@pytest.mark.parametrize("value", [True, -1, 1.5, "soon", [], 2**60])
def test_a_limit_that_is_no_time_is_refused(issuer: Issuer, value: object) -> None:
    with pytest.raises(KeyUnusable, match="nbf"):
        key_times(_limited(issuer, nbf=value))


def test_keys_come_one_a_line_and_comments_are_passed_over(log: ReceiptLog) -> None:
    assert verifier_keys(f"# ours\n{log.vkey}\n\n{WITNESS_KEY}\n") == (log.vkey, WITNESS_KEY)
    with pytest.raises(InvalidInput, match="vkey"):
        verifier_keys("# nothing\n")
    assert WITNESS.public_key == WITNESS_KEY.public_key


def test_a_consistency_proof_reads_from_the_request_that_a_witness_gets(log: ReceiptLog) -> None:
    path = log.consistency(7)
    assert read_consistency(f"old 7\n{path}\n{log.checkpoint()}") == read_consistency(path)
    assert read_consistency("") == ()


@given(st.text(max_size=200))
def test_any_text_is_a_consistency_proof_or_refused(text: str) -> None:
    with suppress(InvalidInput):
        assert all(len(node) == 32 for node in read_consistency(text))
