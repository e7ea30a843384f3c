"""Running a request through the tool, against a real socket and a real ledger."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from wattproof.methodology.errors import InvalidInput, RequestConflict, RoutingError, UpstreamError
from wattproof.tools.run_inference import RunArgs, RunResult, brief, run_inference

if TYPE_CHECKING:
    from tests.fakes.installation import Installation
    from tests.fakes.provider import FakeProvider

HELLO: dict[str, Any] = {
    "model": "gpt-oss-120b",
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
    "max_output_tokens": 50,
}


@pytest.fixture
def at_fake(installation: Installation, fake_provider: FakeProvider) -> Installation:
    installation.deployments = (fake_provider.deployment(),)
    return installation


async def run(installation: Installation, **changes: Any) -> RunResult:
    async with installation.open() as deps:
        return await run_inference(RunArgs(**{**HELLO, **changes}), deps)


async def test_a_run_returns_the_answer_its_footprint_and_a_receipt(at_fake: Installation) -> None:
    result = await run(at_fake, request_id="r1", operation_id="op", tags=["t"])
    assert result.answer == "The capital of France is Paris."
    assert result.status == "completed"
    assert result.receipt_id is not None
    assert result.usage == {
        "input_tokens": 42,
        "cached_input_tokens": 10,
        "output_tokens": 8,
        "reasoning_tokens": 2,
        "usage_source": "provider",
    }
    assert result.cost is not None
    assert result.cost.currency == "USD"
    assert result.provenance.region_scope == "FR"
    assert result.grid["intensity_gco2e_per_kwh"] == 31.0
    assert result.decision == {
        "candidates": 1,
        "allowed": 1,
        "in_best_band": 1,
        "excluded": {},
        "decided_by": "only candidate",
    }


async def test_the_text_is_complete_without_the_structured_content(at_fake: Installation) -> None:
    result = await run(at_fake)
    text = brief(result)
    assert text.startswith("The capital of France is Paris.\n[fake, FR, 31 gCO2e/kWh (annual): ")
    assert f"Receipt {result.receipt_id}." in text
    assert text.endswith(
        "region_scope FR; energy_source grid-mix; methodology wattproof/param@1.0.0; renewable_ratio_bps 2700.]"
    )


async def test_a_repeated_request_id_spends_nothing_and_says_so(
    at_fake: Installation, fake_provider: FakeProvider
) -> None:
    async with at_fake.open() as deps:
        first = await run_inference(RunArgs(**HELLO, request_id="same"), deps)
        again = await run_inference(RunArgs(**HELLO, request_id="same"), deps)
    assert len(fake_provider.received) == 1
    assert again.replayed
    assert again.receipt_id == first.receipt_id
    assert again.answer == first.answer
    assert "Replayed: nothing was spent again." in brief(again)


async def test_a_replay_after_a_restart_has_no_answer_and_a_reason(at_fake: Installation) -> None:
    await run(at_fake, request_id="same")
    again = await run(at_fake, request_id="same")
    assert again.replayed
    assert again.answer is None
    assert again.reasons["answer"] == "answers are not stored"
    assert again.reasons["decision"]


async def test_the_same_request_id_with_another_body_is_refused(at_fake: Installation) -> None:
    await run(at_fake, request_id="same")
    with pytest.raises(RequestConflict):
        await run(at_fake, request_id="same", max_output_tokens=51)


async def test_a_dry_run_opens_sends_and_writes_nothing(at_fake: Installation, fake_provider: FakeProvider) -> None:
    result = await run(at_fake, dry_run=True)
    assert fake_provider.received == []
    assert not at_fake.home.exists()
    assert result.status == "dry_run"
    assert result.receipt_id is None
    assert result.decision is not None
    assert [row["deployment"] for row in result.decision["ranked"]] == ["fake/gpt-oss-120b"]
    assert brief(result).startswith("[fake, FR, ")


async def test_a_dry_run_over_the_catalogue_lists_every_candidate_with_its_exclusion(
    installation: Installation,
) -> None:
    result = await run(installation, dry_run=True, max_carbon_intensity=100)
    assert result.decision is not None
    ranked = result.decision["ranked"]
    assert len(ranked) == result.decision["candidates"] > 3
    excluded = [row for row in ranked if "excluded_by" in row]
    assert len(excluded) == len(ranked) - result.decision["allowed"]
    assert all("score" not in row for row in excluded)


async def test_the_text_of_a_choice_says_what_decided_and_among_how_many(installation: Installation) -> None:
    result = await run(installation, dry_run=True, max_carbon_intensity=100)
    assert result.decision is not None
    assert f"{result.decision['allowed']} of {result.decision['candidates']} candidates allowed; " in brief(result)
    assert f"{result.decision['decided_by']} decided." in brief(result)


async def test_a_run_in_an_unknown_place_says_how_to_name_it(
    installation: Installation, fake_provider: FakeProvider
) -> None:
    hidden = fake_provider.deployment(zone=None, location_evidence="unknown")
    installation.deployments = (hidden,)
    assert "Zone unknown: the provider names none." in brief(await run(installation))
    installation.deployments = (replace(hidden, local=True),)
    assert "Zone unknown: set WATTPROOF_ZONE" in brief(await run(installation))


async def test_a_suffix_of_the_model_wins_over_the_preset(at_fake: Installation) -> None:
    result = await run(at_fake, model="gpt-oss-120b:eco", preset="price", dry_run=True)
    assert result.model == "gpt-oss-120b"


async def test_a_ceiling_that_excludes_all_says_what_would_admit_one(at_fake: Installation) -> None:
    with pytest.raises(RoutingError, match="max_carbon_intensity"):
        await run(at_fake, max_carbon_intensity=5)


async def test_the_operators_cost_limit_holds_when_the_caller_sets_none(at_fake: Installation) -> None:
    at_fake.max_cost_usd = 0.0

    with pytest.raises(RoutingError, match="max_cost_usd"):
        await run(at_fake)


async def test_no_argument_raises_the_operators_cost_limit(at_fake: Installation) -> None:
    at_fake.max_cost_usd = 0.5

    with pytest.raises(InvalidInput, match=r"max_cost_usd is 1, above the operator's 0\.5 USD"):
        await run(at_fake, max_cost_usd=1)
    assert (await run(at_fake, max_cost_usd=0.4)).status == "completed"


async def test_keyed_providers_cannot_be_run_where_callers_are_unknown(at_fake: Installation) -> None:
    at_fake.allow_keyed_runs = False
    with pytest.raises(RoutingError, match="token"):
        await run(at_fake)


async def test_the_error_of_the_last_attempt_is_reported(at_fake: Installation, fake_provider: FakeProvider) -> None:
    fake_provider.script("503")
    with pytest.raises(UpstreamError) as caught:
        await run(at_fake)
    assert caught.value.reason == "http_503"


async def test_progress_is_reported_while_the_answer_arrives(at_fake: Installation) -> None:
    heard: list[str | None] = []

    async def listen(progress: float, total: float | None = None, message: str | None = None) -> None:
        heard.append(message)

    async with at_fake.open() as deps:
        await run_inference(RunArgs(**HELLO), deps, listen)
    assert "receiving the answer" in heard


async def test_a_message_without_a_role_is_refused_by_its_place(at_fake: Installation) -> None:
    with pytest.raises(InvalidInput, match=r"messages\[0\]\.role"):
        await run(at_fake, messages=[{"content": "hi"}])


async def test_what_a_provider_reports_stands_beside_our_estimate_with_every_doubt(
    at_fake: Installation, fake_provider: FakeProvider
) -> None:
    fake_provider.script("disclosing")
    result = await run(at_fake)
    assert result.reported is not None
    assert result.reported["summary"] in brief(result)
    assert result.reported["flags"]
    assert result.energy_wh is not None
    assert result.energy_wh.median != result.reported["energy_wh"]
