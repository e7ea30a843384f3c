"""A record of a batch, judged with the receipt of its batch: what fails when one of them is not what it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from wattproof.methodology.errors import InvalidInput, VerificationFailed
from wattproof.resources.receipts import Frontier, Issuer, canonical, entry_hash, inclusion_proof, leaf_hash, sign
from wattproof.resources.receipts import subtree_from_leaves as subtree
from wattproof.resources.receipts.batch import (
    RecordProof,
    factored,
    group_id,
    groups_of,
    read_record,
    record_text,
)
from wattproof.resources.receipts.verify_record import verify_record

NOW = 1_795_327_200.0


SHARED = (
    "status",
    "workload",
    "provider",
    "model",
    "deployment",
    "region_scope",
    "zone",
    "location_evidence",
    "energy_source",
    "renewable_ratio_bps",
    "ghg_scope",
    "method_id",
    "method_sha256",
    "edition",
    "edition_sha256",
    "tier",
    "boundary",
    "reasons",
    "step_kind",
    "tags",
)
COUNTS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens")


@pytest.fixture
def payload(make_payload: Any) -> dict[str, Any]:
    """An ordinary receipt, as if it had been imported."""
    return {**make_payload(), "request_commitment": None}


@pytest.fixture
def group(payload: dict[str, Any]) -> dict[str, Any]:
    """What the records of the batch share: the facts of an ordinary receipt."""
    grid = dict(payload["grid"]["accounting"])
    del grid["requested_at"], grid["age_minutes"]
    return {
        **{name: payload[name] for name in SHARED},
        "source": "litellm",
        "usage_source": "provider",
        "interval": payload["outputs"]["energy_nwh"]["interval"],
        "operands": [each for each in payload["operands"] if each["name"] not in COUNTS],
        "grid": grid,
        "currency": "USD",
    }


@pytest.fixture
def records(payload: dict[str, Any], group: dict[str, Any]) -> list[str]:
    """Seven records with the figures of the receipt."""
    usage = payload["usage"]
    amounts = [
        None if each is None else [each["median"], each["low"], each["high"]] for each in payload["outputs"].values()
    ]
    return [
        record_text(
            {
                "schema": "wattproof-record/1",
                "group": group_id(group),
                "nonce": f"{number:032x}",
                "external_id": f"r{number}",
                "occurred_at": payload["occurred_at"],
                "amounts": amounts,
                "usage": [
                    usage[name] for name in ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens")
                ],
                "requests": 1,
                "until": None,
                "cost_micros": 278,
                "latency_ms": None,
                "finish_reason": None,
                "operation_id": None,
                "project": None,
                "provider_request_id": None,
                "resolved_model": None,
            }
        )
        for number in range(7)
    ]


@pytest.fixture
def batch_payload(payload: dict[str, Any], group: dict[str, Any], records: list[str]) -> dict[str, Any]:
    leaves = [leaf_hash(entry_hash(text)) for text in records]
    common, own = factored([group])
    block = {
        "source": "litellm",
        "count": 7,
        "root_hex": Frontier().extend(leaves).root().hex(),
        "first_occurred_at": payload["occurred_at"],
        "last_occurred_at": payload["occurred_at"],
        "requests": 7,
        "usage": dict.fromkeys(COUNTS, 7),
        "energy_nwh": None,
        "carbon_location_ng": None,
        "energy_known": 7,
        "carbon_known": 7,
        "common": common,
        "groups": own,
    }
    return {**payload, "kind": "operation", "batch": block}


Judge = Callable[..., dict[str, tuple[str, str | None]]]


@pytest.fixture
def proof(issuer: Issuer, batch_payload: dict[str, Any], records: list[str]) -> RecordProof:
    leaves = [leaf_hash(entry_hash(text)) for text in records]
    path = inclusion_proof(3, 7, subtree(lambda start, end: leaves[start:end]))
    return RecordProof(records[3], sign(batch_payload, issuer), 3, tuple(path))


@pytest.fixture
def judge(issuer: Issuer) -> Judge:
    def judging(proof: RecordProof, keys: dict[str, bytes] | None = None) -> dict[str, tuple[str, str | None]]:
        report = verify_record(proof, {issuer.kid: issuer.public_key} if keys is None else keys, now=NOW)
        return {name: (found.verdict, found.reason) for name, found in report.verdicts.items()}

    return judging


def test_a_record_under_its_batch_passes(proof: RecordProof, judge: Judge) -> None:
    verdicts = judge(proof)
    assert verdicts["signature"] == ("pass", None)
    assert verdicts["arithmetic"] == ("pass", None)
    assert verdicts["inclusion"] == ("unknown", "no_proof")


def test_the_file_form_of_a_proof_reads_back(proof: RecordProof) -> None:
    assert RecordProof.from_dict(json.loads(json.dumps(proof.as_dict()))) == proof


@pytest.mark.parametrize(
    ("old", "new"), [('"r3"', '"r4"'), ('"cost_micros":278', '"cost_micros":279'), ('"requests":1', '"requests":2')]
)
def test_a_changed_record_is_not_in_its_batch(proof: RecordProof, judge: Judge, old: str, new: str) -> None:
    assert old in proof.record
    assert judge(replace(proof, record=proof.record.replace(old, new)))["signature"] == ("fail", "not_in_batch")


def test_another_place_or_path_is_not_in_the_batch(proof: RecordProof, judge: Judge) -> None:
    for bad in (replace(proof, position=2), replace(proof, path=proof.path[1:]), replace(proof, position=10**9)):
        assert judge(bad)["signature"] == ("fail", "not_in_batch")


def test_a_record_whose_figures_do_not_follow_fails_the_arithmetic(
    issuer: Issuer, batch_payload: dict[str, Any], records: list[str], judge: Judge
) -> None:
    read = json.loads(records[0])
    read["amounts"][0][0] += 1_000_000
    changed = record_text(read)
    leaf = leaf_hash(entry_hash(changed))
    block = {**batch_payload["batch"], "count": 1, "root_hex": Frontier().append(leaf).root().hex()}
    jws = sign({**batch_payload, "batch": block}, issuer)
    verdicts = judge(RecordProof(changed, jws, 0, ()))
    assert verdicts["signature"] == ("pass", None)
    assert verdicts["arithmetic"][0] == "fail"


def test_a_group_that_the_batch_does_not_state_fails(
    issuer: Issuer, batch_payload: dict[str, Any], proof: RecordProof, judge: Judge
) -> None:
    block = {**batch_payload["batch"], "common": {**batch_payload["batch"]["common"], "zone": "PL"}}
    jws = sign({**batch_payload, "batch": block}, issuer)
    assert judge(replace(proof, batch=jws))["arithmetic"] == ("fail", "bad_payload")


def test_the_receipt_of_something_else_is_no_batch(
    issuer: Issuer, payload: dict[str, Any], proof: RecordProof, judge: Judge
) -> None:
    verdicts = judge(replace(proof, batch=sign(payload, issuer)))
    assert verdicts["signature"] == ("fail", "not_batch")
    assert verdicts["arithmetic"] == ("unknown", "not_batch")


def test_an_unknown_key_establishes_nothing(proof: RecordProof, judge: Judge) -> None:
    assert judge(proof, {})["signature"] == ("unknown", "unknown_key")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", "7", '{"schema":"wattproof-record/1"}', "{" * 5000, "x" * 9000],
)
def test_what_is_no_record_is_told(proof: RecordProof, judge: Judge, text: str) -> None:
    assert judge(replace(proof, record=text))["signature"][0] == "fail"


def test_spaces_or_another_order_of_keys_are_refused(records: list[str]) -> None:
    backwards = dict(reversed(json.loads(records[0]).items()))
    for text in (records[0].replace(",", ", ", 1), json.dumps(backwards, separators=(",", ":"))):
        with pytest.raises(VerificationFailed):
            read_record(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("position", -1),
        ("position", True),
        ("path", "ab"),
        ("path", ["zz"]),
        ("path", [7]),
        ("record", 1),
        ("batch", None),
    ],
    ids=str,
)
def test_a_malformed_proof_names_its_field(proof: RecordProof, name: str, value: Any) -> None:
    with pytest.raises(InvalidInput, match=name):
        RecordProof.from_dict({**proof.as_dict(), name: value})


def test_groups_come_apart_and_together_again(group: dict[str, Any]) -> None:
    second = {**group, "model": "other", "operands": [{**group["operands"][0], "value": 7}, *group["operands"][1:]]}
    common, own = factored([group, second])
    assert len(own[0]["operands"]) == 1
    assert len(common["operands"]) == len(group["operands"]) - 1
    joined = groups_of({"common": common, "groups": own})
    assert joined == {group_id(group): group, group_id(second): second}
    assert canonical.dumps(common)


BAD_BLOCKS: list[dict[str, Any]] = [
    {},
    {"common": 1, "groups": [{}]},
    {"common": {}, "groups": [1]},
    {"common": {"operands": [1]}, "groups": [{"operands": []}]},
]


@pytest.mark.parametrize("block", BAD_BLOCKS, ids=str)
def test_a_malformed_block_is_told(block: dict[str, Any]) -> None:
    with pytest.raises(VerificationFailed):
        groups_of(block)
