"""Verifying through the tool: by id, as a JWS, with a proof, with somebody's keys."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode as b64decode
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.receipt_log import WITNESS_KEY, ReceiptLog
from wattproof.methodology.errors import InvalidInput, KeyUnusable
from wattproof.resources.receipts import RECEIPT_TYP, entry_hash, load_issuer, receipt_id, sign
from wattproof.tools.operation_arguments import OperationArgs
from wattproof.tools.run_inference import RunArgs, run_inference
from wattproof.tools.track_operation import track_operation
from wattproof.tools.verify_receipt import VerifyArgs, VerifyResult, brief, verify_receipt
from wattproof.tools.views import receipt_view

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.installation import Installation
    from tests.fakes.provider import FakeProvider
    from wattproof.tools import Deps


@pytest.fixture
def at_fake(installation: Installation, fake_provider: FakeProvider) -> Installation:
    installation.deployments = (fake_provider.deployment(),)
    return installation


async def a_receipt(deps: Deps) -> dict[str, Any]:
    """The receipt of a new run, as the resource hands it out."""
    messages = [{"role": "user", "content": "hello"}]
    result = await run_inference(RunArgs(model="gpt-oss-120b", messages=messages, max_output_tokens=50), deps)
    assert result.receipt_id is not None
    view = await receipt_view(result.receipt_id, deps)
    assert view is not None
    return view


async def verify(deps: Deps, receipt: str | dict[str, Any], **given: Any) -> VerifyResult:
    return await verify_receipt(VerifyArgs(receipt=receipt, **given), deps)


def verdicts(result: VerifyResult) -> dict[str, str | None]:
    return {name: found["verdict"] for name, found in result.verdicts.items()}


ALL_PASS = dict.fromkeys(("signature", "inclusion", "arithmetic", "plausibility", "freshness"), "pass")


async def test_a_receipt_of_this_ledger_passes_every_check_by_its_id(at_fake: Installation) -> None:
    async with at_fake.open() as deps:
        view = await a_receipt(deps)
        result = await verify(deps, view["receipt_id"])
    assert verdicts(result) == ALL_PASS
    assert result.outcome == "established"
    assert result.key_trust == "local"
    assert result.receipt_id == view["receipt_id"]


async def test_the_provenance_is_marked_as_the_receipts_own_words(at_fake: Installation) -> None:
    async with at_fake.open() as deps:
        result = await verify(deps, (await a_receipt(deps))["receipt_id"])
    assert result.provenance.model_dump() == {
        "region_scope": "FR",
        "energy_source": "grid-mix",
        "methodology": "wattproof/param@1.0.0",
        "renewable_ratio_bps": 2700,
        "as_stated": True,
    }
    assert brief(result).endswith(
        "As stated: region_scope FR; energy_source grid-mix; methodology wattproof/param@1.0.0; "
        "renewable_ratio_bps 2700."
    )


@pytest.mark.parametrize("form", ["jws", "object", "text of the object"])
async def test_every_form_of_a_receipt_gives_the_same_verdicts(at_fake: Installation, form: str) -> None:
    async with at_fake.open() as deps:
        view = await a_receipt(deps)
        given = {"jws": view["jws"], "object": view, "text of the object": json.dumps(view)}[form]
        assert verdicts(await verify(deps, given)) == ALL_PASS


async def test_a_strangers_receipt_is_not_established_and_makes_no_ledger(
    at_fake: Installation, tmp_path: Path
) -> None:
    async with at_fake.open() as deps:
        view = await a_receipt(deps)
    at_fake.home = tmp_path / "elsewhere"
    async with at_fake.open() as deps:
        result = await verify(deps, view["jws"])
    assert verdicts(result)["signature"] == "unknown"
    assert verdicts(result)["arithmetic"] == "pass"
    assert result.outcome == "not_established"
    assert result.key_trust == "unknown"
    assert not at_fake.home.exists()


async def test_keys_that_the_caller_gives_establish_it_and_are_named_as_given(
    at_fake: Installation, tmp_path: Path
) -> None:
    async with at_fake.open() as deps:
        view = await a_receipt(deps)
        jwks = dict((await deps.ledger()).jwks)
    at_fake.home = tmp_path / "elsewhere"
    async with at_fake.open() as deps:
        result = await verify(deps, {"jws": view["jws"], "inclusion": view["inclusion"], "jwks": jwks})
    assert result.outcome == "established"
    assert result.key_trust == "given"
    assert verdicts(result)["inclusion"] == "pass"
    assert "Key as given by the caller." in brief(result)


async def test_a_changed_receipt_fails_and_the_text_says_so_first(at_fake: Installation) -> None:
    async with at_fake.open() as deps:
        jws = (await a_receipt(deps))["jws"]
        head, payload, signature = jws.split(".")
        changed = f"{head}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
        result = await verify(deps, changed)
    assert result.outcome == "failed"
    assert ": failed: signature FAIL (" in brief(result)


async def test_full_detail_hands_out_the_whole_statement(at_fake: Installation) -> None:
    async with at_fake.open() as deps:
        view = await a_receipt(deps)
        brief_one = await verify(deps, view["jws"])
        full = await verify(deps, view["jws"], detail="full")
    assert "statement" not in brief_one.structured()
    assert full.statement is not None
    assert full.statement["schema"] == "wattproof-receipt/1"
    assert all(found["message"] for found in full.verdicts.values())
    assert brief_one.checks == ()
    assert len(full.checks) > 3


async def test_an_implausible_intensity_is_shown_as_stated_beside_what_was_expected(at_fake: Installation) -> None:
    async with at_fake.open() as deps:
        view = await a_receipt(deps)
        ledger = await deps.ledger()
        payload = json.loads(b64decode(view["jws"].split(".")[1] + "=="))
        payload["grid"]["accounting"]["value_mgco2e_per_kwh"] = 400_000
        result = await verify(deps, sign(payload, ledger.issuer, RECEIPT_TYP))
    assert verdicts(result)["signature"] == "pass"
    assert verdicts(result)["plausibility"] == "fail"
    assert any(check["stated"] == 400 or check["expected"] == 400 for check in result.checks)
    assert "plausibility FAIL" in brief(result)
    assert "states" in brief(result)


async def test_garbage_with_two_dots_is_reported_not_raised(installation: Installation) -> None:
    async with installation.open() as deps:
        result = await verify(deps, "a.b.c")
    assert result.outcome == "failed"
    assert result.provenance.region_scope == "unstated"
    assert result.reasons["provenance"] == "the receipt could not be read"


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "r_short",
        "r_" + "a" * 26,
        "{not json",
        "[1]",
        {"environment_impact": {}},
        {"jws": 7},
        {"jws": "a.b.c", "x": 1},
    ],
)
async def test_what_is_no_receipt_is_refused_with_what_would_work(
    installation: Installation, nonsense: str | dict[str, Any]
) -> None:
    async with installation.open() as deps:
        with pytest.raises(InvalidInput, match="give "):
            await verify(deps, nonsense)
    assert not installation.home.exists()


async def test_a_malformed_proof_names_its_field(at_fake: Installation) -> None:
    async with at_fake.open() as deps:
        view = await a_receipt(deps)
        with pytest.raises(InvalidInput, match="root_hex"):
            await verify(deps, {"jws": view["jws"], "inclusion": {**view["inclusion"], "root_hex": "zz"}})


def _logged(jws: str, deps: Deps) -> tuple[ReceiptLog, int]:
    """The receipt as the last of 6 entries of a log that its owner signs."""
    log = ReceiptLog(log_id=deps.log_id).fill(5)
    return log, log.append(jws)


async def test_a_tlog_proof_beside_a_receipt_is_held_against_the_key_that_the_caller_gives(
    at_fake: Installation,
) -> None:
    async with at_fake.open() as deps:
        jws = (await a_receipt(deps))["jws"]
        log, at = _logged(jws, deps)
        proof = log.tlog_proof(at, witnessed_at_s=int(at_fake.now_s))
        bundle = {"jws": jws, "tlog_proof": proof, "vkey": str(log.vkey)}
        own = await verify(deps, bundle)
        witnessed = await verify(deps, bundle | {"vkey": [str(log.vkey), str(WITNESS_KEY)]})
        pasted = await verify(deps, bundle | {"tlog_proof": proof.rstrip("\n")})
    assert (own.log_evidence, witnessed.log_evidence, pasted.log_evidence) == ("self", "witnessed", "self")
    assert verdicts(own) == verdicts(witnessed) == verdicts(pasted) == ALL_PASS
    assert "Witnesses signed the log's root." in brief(witnessed)


async def test_a_forked_log_fails_inclusion(at_fake: Installation) -> None:
    async with at_fake.open() as deps:
        jws = (await a_receipt(deps))["jws"]
        log, at = _logged(jws, deps)
        bundle = {
            "jws": jws,
            "tlog_proof": log.tlog_proof(at),
            "vkey": str(log.vkey),
            "old_checkpoint": log.checkpoint(3),
            "consistency": log.consistency(3),
        }
        grown = await verify(deps, bundle)
        lines = log.consistency(3).split()
        forked = await verify(
            deps,
            bundle
            | {"old_checkpoint": ReceiptLog(log_id=deps.log_id).fill(3, b"x").checkpoint(), "consistency": lines},
        )
    assert verdicts(grown)["inclusion"] == "pass"
    assert forked.verdicts["inclusion"]["reason"] == "forked"
    assert forked.outcome == "failed"


async def test_this_ledger_shows_itself_how_it_grew_since_an_older_checkpoint(at_fake: Installation) -> None:
    async with at_fake.open() as deps:
        for _ in range(3):
            jws = (await a_receipt(deps))["jws"]
            ledger = await deps.ledger()
            older = await ledger.log.checkpoint(deps.log_id)
            last = (await a_receipt(deps))["jws"]
            for receipt in (jws, last):
                bundle = {"jws": receipt, "old_checkpoint": older}
                assert verdicts(await verify(deps, bundle)) == ALL_PASS
                settled = await ledger.get(deps.log_id, receipt_id=receipt_id(entry_hash(receipt)))
                assert settled is not None
                signed = bundle | {"tlog_proof": str(await ledger.log.tlog_proof(deps.log_id, settled.seq))}
                assert verdicts(await verify(deps, signed)) == ALL_PASS


@pytest.mark.parametrize(("size", "reason"), [(1, "forked"), (2, "forked"), (9, "bad_consistency_proof")])
async def test_a_ledger_that_does_not_begin_with_what_it_signed_before_fails(
    at_fake: Installation, size: int, reason: str
) -> None:
    async with at_fake.open() as deps:
        jws = (await a_receipt(deps))["jws"]
        await a_receipt(deps)
        key = load_issuer(at_fake.home / "keys" / "log.key")
        other = ReceiptLog(log_id=deps.log_id, key=key).fill(size, seed=b"another past")
        await (await deps.ledger()).log.checkpoint(deps.log_id)
        result = await verify(deps, {"jws": jws, "old_checkpoint": other.checkpoint()})
    assert result.verdicts["inclusion"]["reason"] == reason
    assert result.outcome == "failed"


async def test_the_keys_that_this_installation_published_open_its_checkpoints(at_fake: Installation) -> None:
    async with at_fake.open() as deps:
        jws = (await a_receipt(deps))["jws"]
        log, at = _logged(jws, deps)
        path = at_fake.home / "keys" / "log.vkey"
        path.write_text(f"{log.vkey}\n")
        assert (await verify(deps, {"jws": jws, "tlog_proof": log.tlog_proof(at)})).log_evidence == "self"
        path.write_text("nothing\n")
        with pytest.raises(KeyUnusable, match=r"log\.vkey"):
            await verify(deps, {"jws": jws, "tlog_proof": log.tlog_proof(at)})


async def test_a_proof_alone_names_the_receipt_of_this_ledger_at_its_place(at_fake: Installation) -> None:
    async with at_fake.open() as deps:
        view = await a_receipt(deps)
        log = ReceiptLog(log_id=deps.log_id)
        log.append(view["jws"])
        path = at_fake.home / "keys" / "log.vkey"
        path.write_text(f"{log.vkey}\n")
        found = await verify(deps, log.tlog_proof(0))
        with pytest.raises(InvalidInput, match="not in this ledger; give it together"):
            await verify(deps, log.fill(3).tlog_proof(2))
        with pytest.raises(InvalidInput, match="cannot be read"):
            await verify(deps, "c2sp.org/tlog-proof@v1\nnonsense")
    assert found.receipt_id == view["receipt_id"]
    assert found.log_evidence == "self"


async def test_a_receipt_can_be_named_by_its_id_beside_its_proof(at_fake: Installation) -> None:
    async with at_fake.open() as deps:
        view = await a_receipt(deps)
        log, at = _logged(view["jws"], deps)
        named = {"receipt_id": view["receipt_id"], "tlog_proof": log.tlog_proof(at), "vkey": str(log.vkey)}
        assert verdicts(await verify(deps, named)) == ALL_PASS


async def test_a_key_that_the_caller_says_was_revoked_fails(at_fake: Installation) -> None:
    async with at_fake.open() as deps:
        view = await a_receipt(deps)
        (key,) = (await deps.ledger()).jwks["keys"]
        result = await verify(deps, {"jws": view["jws"], "jwks": {"keys": [key | {"wattproof_revoked_at": 1}]}})
    assert result.verdicts["signature"]["reason"] == "key_revoked"


async def test_the_receipt_of_an_operation_of_this_ledger_is_added_up_from_its_steps(at_fake: Installation) -> None:
    steps = [
        {
            "step_id": "s1",
            "step_kind": "llm",
            "model": "gpt-oss-120b",
            "usage": {"input_tokens": 3000, "output_tokens": 80},
        },
        {"step_id": "s2", "step_kind": "llm", "model": "gpt-4o", "usage": {"input_tokens": 300, "output_tokens": 80}},
    ]
    async with at_fake.open() as deps:
        for fields in ({"action": "begin"}, {"action": "record", "steps": steps}, {"action": "end"}):
            ended = await track_operation(OperationArgs.model_validate({"operation_id": "op_1", **fields}), deps)
        result = await verify(deps, ended.receipt_id or "", detail="full")
    assert verdicts(result) == ALL_PASS
    assert result.verdicts["arithmetic"]["message"] == "The 2 steps, each computed again, add up to its figures."
    assert result.provenance.region_scope == "multi:FR,unknown:openai"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("tlog_proof", 7),
        ("vkey", ["a", 7]),
        ("vkey", "no key"),
        ("consistency", "no hash"),
        ("old_checkpoint", []),
        ("steps", "s"),
        ("steps", [7]),
        ("jwks", 7),
    ],
)
async def test_a_malformed_member_is_named(installation: Installation, member: str, value: object) -> None:
    async with installation.open() as deps:
        with pytest.raises(InvalidInput, match=member):
            await verify(deps, {"jws": "a.b.c", member: value})
