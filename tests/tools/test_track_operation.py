"""A workflow through the tool: begun, added to, looked at, ended, and its receipt checked from those of its steps."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattproof.methodology.errors import InvalidInput, OperationClosed, RequestConflict, UnknownZone
from wattproof.methodology.quantity import Usage
from wattproof.resources.ledger.operation_total import total_of_steps
from wattproof.resources.operations import Step, closing_of, stated_step
from wattproof.resources.operations.closing import MAX_LISTED
from wattproof.resources.providers import load_catalogue
from wattproof.resources.receipts import Frontier, entry_hash, keys_from_jwks, leaf_hash, parse, sign, verify_receipt
from wattproof.resources.receipts.operation import judge_operation
from wattproof.tools.run_inference import RunArgs, run_inference
from wattproof.tools.track_operation import OperationArgs, OperationResult, brief, track_operation

if TYPE_CHECKING:
    from tests.fakes.installation import Installation
    from tests.fakes.provider import FakeProvider
    from wattproof.resources.ledger import Ledger
    from wattproof.tools import Deps

CHARACTERS_PER_TOKEN = 4
OSS = {
    "step_id": "s1",
    "model": "gpt-oss-120b",
    "provider": "ovhcloud",
    "usage": {"input_tokens": 1000, "output_tokens": 400},
}
GPT: dict[str, Any] = {"step_id": "s2", "model": "gpt-5.1", "usage": {"input_tokens": 3000, "output_tokens": 800}}


async def track(deps: Deps, action: str, *steps: dict[str, Any], **more: Any) -> OperationResult:
    given: dict[str, Any] = {"operation_id": "op_1", "action": action, **more}
    if steps:
        given["steps"] = list(steps)
    return await track_operation(OperationArgs.model_validate(given), deps)


async def receipts(deps: Deps, result: OperationResult) -> tuple[Ledger, str, list[str]]:
    """The ledger, the operation's receipt and those of its steps."""
    ledger = await deps.ledger()
    assert result.receipt_id is not None
    whole = await ledger.get_jws(result.receipt_id)
    assert whole is not None
    steps = await ledger.operations.steps("local", result.operation_id)
    return ledger, whole, [step.jws or "" for step in steps]


async def test_an_operation_of_our_own_naming_is_begun_with_a_budget(installation: Installation) -> None:
    async with installation.open() as deps:
        result = await track(deps, "begin", operation_id=None, budget={"unit": "energy_wh", "limit": 5})
        other = await track(deps, "begin", operation_id=None)
    assert result.operation_id.startswith("op_")
    assert result.operation_id != other.operation_id
    assert result.budget == {
        "of": "operation",
        "unit": "energy_wh",
        "limit": 5.0,
        "counted": "high",
        "spent": 0.0,
        "reserved": 0.0,
        "remaining": 5.0,
        "status": "ok",
    }
    assert "open, 0 steps. Budget left 5 of 5 Wh (high bound counts). No receipt until end." in brief(result)


async def test_recorded_steps_add_up_and_the_largest_is_named(installation: Installation) -> None:
    async with installation.open() as deps:
        await track(deps, "begin", budget={"unit": "energy_wh", "limit": 5})
        result = await track(deps, "record", OSS, GPT)
    assert (result.recorded, result.step_count, result.token_count) == ({"new": 2, "known": 0}, 2, 5200)
    assert (result.zone_known_count, result.usage_sources) == (1, {"caller": 2})
    assert [(step["step_id"], step["share"]) for step in result.steps] == [("s2", 0.93), ("s1", 0.07)]
    assert result.energy_wh is not None
    assert result.budget is not None
    # The high bounds of the steps, added: never less than the high bound of their sum.
    assert result.budget["spent"] >= (result.energy_wh.high or 0)
    told = brief(result)
    assert "s2 is 93 %" in told
    assert "1 of 2 zones known." in told
    assert "Usage of 2 stated by the caller." in told
    assert result.provenance.model_dump() == {
        "region_scope": "multi:FR,unknown:openai",
        "energy_source": "multi:grid-mix,unknown-mix",
        "methodology": "wattproof/param@1.0.0",
        "renewable_ratio_bps": None,
    }
    assert told.endswith(
        "region_scope multi:FR,unknown:openai; energy_source multi:grid-mix,unknown-mix; "
        "methodology wattproof/param@1.0.0; renewable_ratio_bps null."
    )


async def test_results_stay_within_their_budgets_of_tokens(installation: Installation) -> None:
    async with installation.open() as deps:
        results = [
            await track(deps, "begin", budget={"unit": "energy_wh", "limit": 5}),
            await track(deps, "record", OSS, GPT),
            await track(deps, "status"),
            await track(deps, "end"),
        ]
    for result in results:
        assert len(brief(result)) / CHARACTERS_PER_TOKEN <= 150
        structured = json.dumps(result.structured(), separators=(",", ":"))
        assert len(structured) / CHARACTERS_PER_TOKEN <= 270


async def test_a_step_is_recorded_once_and_a_changed_one_is_a_conflict(installation: Installation) -> None:
    async with installation.open() as deps:
        await track(deps, "record", OSS)
        again = await track(deps, "record", OSS)
        assert (again.recorded, again.step_count) == ({"new": 0, "known": 1}, 1)
        with pytest.raises(RequestConflict, match="Step 's1' of operation 'op_1' was recorded before"):
            await track(deps, "record", {**OSS, "usage": {"input_tokens": 1001, "output_tokens": 400}})


async def test_a_run_is_a_step_beside_those_made_elsewhere(
    installation: Installation, fake_provider: FakeProvider
) -> None:
    installation.deployments = (fake_provider.deployment(),)
    async with installation.open() as deps:
        messages = [{"role": "user", "content": "hello"}]
        args = RunArgs(
            model="gpt-oss-120b", messages=messages, max_output_tokens=50, operation_id="op_1", request_id="r1"
        )
        await run_inference(args, deps)
        result = await track(deps, "record", GPT)
    assert {step["step_id"] for step in result.steps} == {"r1", "s2"}
    assert result.usage_sources == {"provider": 1, "caller": 1}
    assert "Usage of 1 stated by the caller." in brief(result)


async def test_ending_gives_one_receipt_that_adds_up_from_the_receipts_of_the_steps(
    installation: Installation,
) -> None:
    async with installation.open() as deps:
        await track(deps, "record", OSS, GPT, {**GPT, "step_id": "s3", "step_kind": "tool", "retry_of": "s2"})
        result = await track(deps, "end")
        ledger, whole, steps = await receipts(deps, result)
        keys = keys_from_jwks(ledger.jwks)
        assert (await ledger.fsck()).findings == ()
    payload = parse(whole).payload
    assert payload["operation"]["count"] == 3
    assert [step["seq"] for step in payload["operation"]["steps"]] == [0, 1, 2]
    assert payload["usage"]["input_tokens"] == 7000
    report = verify_receipt(whole, keys, steps=steps)
    assert report.verdicts["signature"].verdict == "pass"
    assert report.verdicts["arithmetic"].verdict == "pass", report.verdicts["arithmetic"]
    assert verify_receipt(whole, keys, steps=steps[:2]).verdicts["arithmetic"].reason == "steps_missing"
    assert verify_receipt(whole, keys).verdicts["arithmetic"].reason == "steps_not_given"
    assert result.retry_count == 1
    assert f"Receipt {result.receipt_id}." in brief(result)


async def test_ending_again_gives_the_same_receipt_and_more_steps_are_refused(installation: Installation) -> None:
    async with installation.open() as deps:
        await track(deps, "record", OSS)
        first = await track(deps, "end")
        assert (await track(deps, "end")).receipt_id == first.receipt_id
        with pytest.raises(OperationClosed, match="Begin another operation"):
            await track(deps, "record", GPT)


async def test_a_step_of_an_unknown_model_is_kept_with_the_reason_and_no_figures(installation: Installation) -> None:
    async with installation.open() as deps:
        result = await track(deps, "record", OSS, {**GPT, "model": "gpt-99"})
        assert result.reasons["energy_wh"] == "known for 1 of 2 steps"
        assert result.sci["sci_gco2e"] is None
        ended = await track(deps, "end")
        ledger, whole, steps = await receipts(deps, ended)
        keys = keys_from_jwks(ledger.jwks)
    unknown = parse(steps[1]).payload
    assert unknown["outputs"]["energy_nwh"] is None
    assert unknown["reasons"]["energy_nwh"].startswith("unknown model: Unknown model 'gpt-99'. Closest:")
    assert verify_receipt(steps[1], keys).verdicts["arithmetic"].reason == "no_estimate"
    assert parse(whole).payload["reasons"]["energy_nwh"] == "known for 1 of 2 steps"
    assert verify_receipt(whole, keys, steps=steps).verdicts["arithmetic"].verdict == "pass"


async def test_an_operation_without_steps_ends_too_and_says_that_it_had_none(installation: Installation) -> None:
    async with installation.open() as deps:
        await track(deps, "begin")
        result = await track(deps, "end")
        _, whole, _ = await receipts(deps, result)
    payload = parse(whole).payload
    assert payload["operation"]["count"] == 0
    assert payload["outputs"]["energy_nwh"] is None
    assert payload["reasons"]["energy_nwh"] == "known for 0 of 0 steps"


@pytest.mark.parametrize("steps", [(), ({**OSS, "model": "gpt-99"},)], ids=["no steps", "no figures"])
async def test_an_operation_that_comes_to_no_intensity_is_no_implausible_one(
    installation: Installation, steps: tuple[dict[str, Any], ...]
) -> None:
    async with installation.open() as deps:
        await track(deps, "begin")
        if steps:
            await track(deps, "record", *steps)
        result = await track(deps, "end")
        ledger, whole, given = await receipts(deps, result)
        report = verify_receipt(whole, keys_from_jwks(ledger.jwks), steps=given)
    assert (report.verdicts["plausibility"].verdict, report.verdicts["plausibility"].reason) == (
        "unknown",
        "no_intensity",
    )
    assert [name for name, found in report.verdicts.items() if found.verdict == "fail"] == []


async def test_a_parent_adds_up_its_children_and_ends_after_them(installation: Installation) -> None:
    async with installation.open() as deps:
        await track(deps, "begin", budget={"unit": "tokens", "limit": 10_000})
        await track(deps, "begin", operation_id="op_2", parent_id="op_1")
        await track(deps, "record", GPT, operation_id="op_2")
        parent = await track(deps, "record", OSS)
        assert (parent.step_count, parent.below) == (2, ("op_2",))
        assert parent.budget is not None
        assert (parent.budget["spent"], parent.budget["counted"]) == (5200, "exact")
        await track(deps, "end", operation_id="op_2")
        ended = await track(deps, "end")
        ledger, whole, steps = await receipts(deps, ended)
        keys = keys_from_jwks(ledger.jwks)
    assert parse(whole).payload["operation"]["count"] == len(steps) == 2
    assert verify_receipt(whole, keys, steps=steps).verdicts["arithmetic"].verdict == "pass"


async def test_beyond_a_few_hundred_steps_their_root_stands_for_them(installation: Installation) -> None:
    async with installation.open() as deps:
        for start in range(0, MAX_LISTED + 1, 100):
            ids = range(start, min(start + 100, MAX_LISTED + 1))
            await track(deps, "record", *({**OSS, "step_id": f"s{number}"} for number in ids))
        result = await track(deps, "end")
        ledger, whole, _ = await receipts(deps, result)
        assert (await ledger.fsck()).findings == ()
    block = parse(whole).payload["operation"]
    assert (block["count"], block["steps"]) == (MAX_LISTED + 1, None)
    assert len(block["root_hex"]) == 64


async def test_the_software_carbon_intensity_is_the_standards_formula(installation: Installation) -> None:
    async with installation.open() as deps:
        sci = (await track(deps, "record", OSS, GPT, detail="full")).sci
    assert sci["R"] == "operation"
    assert sci["M_gco2e"] > 0
    expected = sci["E_kwh"] * sci["I_gco2e_per_kwh"] + sci["M_gco2e"]
    assert sci["sci_gco2e"] == pytest.approx(expected)


async def test_without_the_hardware_of_a_step_there_is_no_software_carbon_intensity(
    installation: Installation, fake_provider: FakeProvider
) -> None:
    async with installation.open() as deps:
        smol = {"step_id": "s0", "model": "smollm2-135m-instruct", "usage": {"input_tokens": 10, "output_tokens": 10}}
        ledger = await deps.ledger()
        await track(deps, "record", smol)
        (entry,) = await ledger.operations.steps("local", "op_1")
        payload = parse(entry.jws or "").payload
        result = await track(deps, "status")
    if any(operand["name"] == "rated_w" for operand in payload["operands"]):
        assert result.sci["sci_gco2e"] is not None
    else:
        assert result.sci["sci_gco2e"] is None
        assert "making the hardware is unknown for step 0" in result.reasons["sci"]
        assert "SCI null (M unknown)." in brief(result)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"action": "status"}, "'op_1' has no steps and was never begun; begin it, or record a step"),
        ({"action": "status", "operation_id": None}, "operation_id is missing; give the one that begin returned"),
        ({"action": "record"}, "steps are missing; give 1 to 100 steps"),
        ({"action": "end", "steps": [OSS]}, "steps is given with action end; it belongs to record"),
        ({"action": "record", "steps": [OSS], "budget": {"unit": "tokens", "limit": 1}}, "it belongs to begin"),
        ({"action": "record", "steps": [OSS], "parent_id": "op_0"}, "parent_id is given with action record"),
        ({"action": "begin", "operation_id": "a\nb"}, "give printable characters"),
        ({"action": "begin", "budget": {"unit": "energy_wh", "limit": 1e30}}, "give an amount from 0 to"),
        (
            {"action": "record", "steps": [{**OSS, "usage": {"input_tokens": 1, "cached_input_tokens": 2}}]},
            "cached_input_tokens is 2, more than input_tokens",
        ),
        ({"action": "record", "steps": [{**OSS, "step_id": "a\tb"}]}, "steps.step_id is 'a\\\\tb'"),
    ],
)
async def test_what_does_not_fit_the_action_is_refused_with_what_would(
    installation: Installation, given: dict[str, Any], told: str
) -> None:
    async with installation.open() as deps:
        with pytest.raises(InvalidInput, match=told):
            await track_operation(OperationArgs.model_validate({"operation_id": "op_1", **given}), deps)


async def test_a_zone_that_no_edition_lists_records_nothing(installation: Installation) -> None:
    async with installation.open() as deps:
        with pytest.raises(UnknownZone, match="Closest:"):
            await track(deps, "record", GPT, {**OSS, "zone": "FRA"})
        assert (await (await deps.ledger()).head("local"))[0] == 0


async def test_where_a_step_ran_is_what_the_caller_says_else_what_is_sure(installation: Installation) -> None:
    async with installation.open() as deps:
        await track(
            deps,
            "record",
            {**OSS, "step_id": "a", "zone": "SE"},
            {**OSS, "step_id": "b", "provider": "nobody-knows"},
            {**OSS, "step_id": "c", "provider": None},
        )
        steps = await (await deps.ledger()).operations.steps("local", "op_1")
    found = [(step.draft.zone, step.draft.location_evidence, step.draft.usage_source) for step in steps]
    assert found[0] == ("SE", "caller", "caller")
    assert found[1] == ("unknown:nobody-knows", "unknown", "caller")
    assert found[2][0].startswith("unknown:")


async def test_full_detail_lists_every_step_with_its_interval(installation: Installation) -> None:
    async with installation.open() as deps:
        await track(deps, "begin", budget={"unit": "energy_wh", "limit": 5})
        await track(deps, "record", OSS, GPT)
        result = await track(deps, "status", detail="full")
    assert [step["model"] for step in result.steps] == ["gpt-5.1", "gpt-oss-120b"]
    low, high = result.steps[0]["energy_wh_interval"]
    assert low < result.steps[0]["energy_wh"] < high
    assert result.budgets is not None
    assert result.budgets[0]["name"] == "op_1"


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["gpt-oss-120b", "gpt-5.1", "llama-3.3-70b-instruct", "no-such-model"]),
            st.integers(0, 10**6),
            st.integers(0, 10**5),
            st.sampled_from([None, "FR", "SE", "PL"]),
            st.sampled_from(["llm", "embedding", "tool", "other"]),
        ),
        max_size=8,
    )
)
def test_totals_of_any_steps_are_what_the_verifier_adds_up(drawn: list[tuple[Any, ...]]) -> None:
    steps = [
        stated_step(
            Step(f"s{number}", kind, model, Usage(given, made), zone=zone),
            log_id="local",
            operation_id="op_1",
            deployments=load_catalogue(),
            now_s=1_793_880_000.0,
            nonce=bytes(16),
        )
        for number, (model, given, made, zone, kind) in enumerate(drawn)
    ]
    outputs, _ = total_of_steps([step.entry for step in steps])
    usage = {name: sum(getattr(step.entry.usage, name) for step in steps) for name in Usage.__slots__}
    signed = [_signed(step.statement.issued("2026-11-05T12:00:00Z"), number) for number, step in enumerate(steps)]
    hashes = [entry_hash(jws) for jws in signed]
    block = {
        "count": len(steps),
        "root_hex": Frontier().extend([leaf_hash(entry) for entry in hashes]).root().hex(),
        "steps": [{"seq": seq, "entry_hex": entry.hex()} for seq, entry in enumerate(hashes)],
    }
    verdict = judge_operation({"outputs": outputs, "usage": usage, "operation": block}, signed, [])
    assert verdict.verdict == "pass", verdict


def _signed(payload: dict[str, Any], number: int) -> str:
    class Unsigned:
        kid = "k"

        def sign(self, message: bytes) -> bytes:
            return bytes(64)

    return sign({**payload, "nonce": f"{number:032x}"}, Unsigned())


async def test_the_draft_of_the_closing_entry_has_no_figures(installation: Installation) -> None:
    async with installation.open() as deps:
        await track(deps, "record", OSS)
        ledger = await deps.ledger()
        view = await ledger.operations.view("local", "op_1")
        steps = await ledger.operations.steps("local", "op_1")
        closing = closing_of(view, steps, local=False, now_s=installation.now_s, nonce=bytes(16))
    assert closing.draft.energy_nwh is None
    assert closing.draft.usage.total_tokens == 0
    assert closing.outputs["energy_nwh"] is not None
