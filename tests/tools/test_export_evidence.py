"""A sample of receipts for a reviewer, through the tool: drawn by a seed, readable, under a root that verifies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.installation import Installation
from wattproof.methodology.errors import InvalidInput
from wattproof.resources.receipts.log_evidence import verifier_keys
from wattproof.resources.receipts.note import SignedNote
from wattproof.tools.export_evidence import EvidenceArgs, EvidenceResult, brief, export_evidence
from wattproof.tools.run_inference import RunArgs, run_inference
from wattproof.tools.verify_receipt import VerifyArgs, verify_receipt
from wattproof.tools.views import receipt_view

if TYPE_CHECKING:
    from tests.fakes.provider import FakeProvider
    from wattproof.tools import Deps


@pytest.fixture
async def eight_runs(installation: Installation, fake_provider: FakeProvider) -> Installation:
    installation.deployments = (fake_provider.deployment(),)
    ask: dict[str, Any] = {"model": "gpt-oss-120b", "messages": [{"role": "user", "content": "hi"}]}
    async with installation.open() as deps:
        for number in range(8):
            await run_inference(RunArgs(**ask, max_output_tokens=9, tags=["x"] if number < 3 else None), deps)
    return installation


async def drawn(deps: Deps, **given: Any) -> EvidenceResult:
    return await export_evidence(EvidenceArgs(**given), deps)


async def test_every_receipt_that_is_drawn_can_be_read_with_its_proof_and_verifies(eight_runs: Installation) -> None:
    async with eight_runs.open() as deps:
        result = await drawn(deps, seed="s")
        assert (result.population, len(result.sample)) == (8, 5)
        for row in result.sample:
            view = await receipt_view(row["receipt_id"], deps)
            assert view is not None
            receipt = {"jws": view["jws"], "inclusion": view["inclusion"]}
            checked = await verify_receipt(VerifyArgs(receipt=receipt), deps)
            assert checked.outcome == "established"
            assert row["uri"] == f"wattproof://receipts/{row['receipt_id']}"


async def test_the_checkpoint_is_signed_by_the_keys_beside_it(eight_runs: Installation) -> None:
    async with eight_runs.open() as deps:
        result = await drawn(deps)
    assert result.checkpoint is not None
    keys = verifier_keys("\n".join(result.vkeys))

    assert SignedNote.parse(result.checkpoint).text.splitlines()[1] == "8"
    assert keys


async def test_the_same_seed_draws_the_same_and_another_may_not(eight_runs: Installation) -> None:
    async with eight_runs.open() as deps:
        first, again = await drawn(deps, seed="a"), await drawn(deps, seed="a")
        others = [await drawn(deps, seed=seed) for seed in "bcdef"]
    assert first.sample == again.sample
    assert any(other.sample != first.sample for other in others)


async def test_a_seed_that_nobody_gave_is_drawn_and_told(eight_runs: Installation) -> None:
    async with eight_runs.open() as deps:
        result = await drawn(deps)
        again = await drawn(deps, seed=result.seed)
    assert result.seed in brief(result)
    assert again.sample == result.sample


async def test_only_what_was_asked_for_is_in_the_population(eight_runs: Installation) -> None:
    async with eight_runs.open() as deps:
        assert (await drawn(deps, tag="x", size=25)).population == 3
        assert (await drawn(deps, since="2030-01-01")).population == 0


async def test_nothing_there_says_so_and_signs_nothing(installation: Installation) -> None:
    async with installation.open() as deps:
        result = await drawn(deps)
    assert (result.sample, result.checkpoint) == ((), None)
    assert result.reasons["checkpoint"] == "nothing was drawn"
    assert brief(result).startswith("No entries there")


async def test_a_brief_sample_stays_small_and_a_full_one_names_the_entries(eight_runs: Installation) -> None:
    async with eight_runs.open() as deps:
        short, full = await drawn(deps, seed="a"), await drawn(deps, seed="a", detail="full")
    assert len(json.dumps(short.structured())) / 4 < 450
    assert len(brief(short)) / 4 < 150
    assert all(len(row["entry_hex"]) == 64 for row in full.sample)


async def test_a_time_that_is_not_understood_is_refused(installation: Installation) -> None:
    async with installation.open() as deps:
        with pytest.raises(InvalidInput, match="since"):
            await drawn(deps, since="last week")
