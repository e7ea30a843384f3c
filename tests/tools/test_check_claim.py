"""A claim held against the rules, and its figures against a receipt of a real run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.installation import Installation
from wattproof.methodology.errors import InvalidInput
from wattproof.tools.check_claim import ClaimArgs, ClaimResult, brief, check_claim
from wattproof.tools.figures import Figure
from wattproof.tools.run_inference import RunArgs, RunResult, run_inference
from wattproof.tools.track_operation import OperationArgs, track_operation

if TYPE_CHECKING:
    from tests.fakes.provider import FakeProvider

CHARACTERS_PER_TOKEN = 4
HELLO: dict[str, Any] = {"model": "gpt-oss-120b", "messages": [{"role": "user", "content": "hi"}]}


async def check(installation: Installation, text: str, **more: Any) -> ClaimResult:
    async with installation.open() as deps:
        return await check_claim(ClaimArgs(text=text, **more), deps)


@pytest.fixture
async def ran(installation: Installation, fake_provider: FakeProvider) -> RunResult:
    """A run of 42 input and 8 output tokens in FR."""
    installation.deployments = (fake_provider.deployment(),)
    async with installation.open() as deps:
        return await run_inference(RunArgs(**HELLO, max_output_tokens=50), deps)


def energy_of(ran: RunResult) -> Figure:
    assert ran.energy_wh is not None
    return ran.energy_wh


async def test_a_claim_that_cannot_stand_is_to_be_revised(installation: Installation) -> None:
    result = await check(installation, "Our carbon-neutral assistant saved 3.2 g CO2e per request.")

    assert result.verdict == "revise"
    assert [row["rule"] for row in result.findings] == ["neutral", "saved"]
    assert "3.2 g CO2e" in result.findings[1]["instead"]
    assert set(result.missing) == {"estimate", "interval", "method", "boundary", "place", "accounting"}
    assert not installation.home.exists()


async def test_a_bare_figure_is_unsupported_and_the_suggestion_keeps_it(installation: Installation) -> None:
    result = await check(installation, "The report took 4.3 Wh.")

    assert (result.verdict, result.finding_count) == ("unsupported", 0)
    assert result.suggested is not None
    assert "4.3 Wh" in result.suggested


async def test_a_text_in_which_nothing_is_found_is_not_called_right(installation: Installation) -> None:
    result = await check(installation, "We choose zones by their published intensity.")

    assert result.verdict == "nothing_found"
    assert result.reasons["suggested"]
    assert "its truth" in result.not_checked
    assert "does not make it true" in brief(result)
    assert "compliant" not in brief(result)


async def test_the_figures_of_a_receipt_agree_with_it(installation: Installation, ran: RunResult) -> None:
    text = f"One answer took {energy_of(ran).median * 1000:.2g} mWh at 31 gCO2e/kWh."
    result = await check(installation, text, receipt_id=ran.receipt_id)

    assert [(row["quantity"], row["verdict"]) for row in result.figures] == [
        ("energy_wh", "within"),
        ("intensity_gco2e_per_kwh", "within"),
    ]
    assert result.held_against == {"receipt_id": ran.receipt_id, "receipt": "established"}
    assert result.provenance.region_scope == "FR"
    assert result.provenance.methodology == "wattproof/param@1.0.0"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("It took 3 Wh.", "outside the interval"),
        ("It took 3 mg CO2e.", "outside the interval"),
        ("The grid had 310 gCO2e/kWh.", "the receipt's grid reading is 31 gCO2e/kWh"),
        ("It took 1.6 mWh (1.5–1.7).", "another interval"),
    ],
)
async def test_a_figure_that_the_receipt_does_not_state_is_found(
    installation: Installation, ran: RunResult, text: str, reason: str
) -> None:
    result = await check(installation, text, receipt_id=ran.receipt_id)

    (finding,) = [row for row in result.findings if row["rule"] == "figure_differs"]
    assert reason in finding["why"]
    assert result.verdict == "revise"


async def test_a_unit_off_by_a_thousand_is_found(installation: Installation, ran: RunResult) -> None:
    result = await check(installation, f"{energy_of(ran).median * 1000:.2g} Wh.", receipt_id=ran.receipt_id)

    assert "0 times the median" in result.findings[0]["why"]


async def test_the_sentence_suggested_from_a_receipt_passes_its_own_check(
    installation: Installation, ran: RunResult
) -> None:
    first = await check(installation, "We saved energy.", receipt_id=ran.receipt_id)
    assert first.suggested is not None
    again = await check(installation, first.suggested, receipt_id=ran.receipt_id)

    assert (again.verdict, again.findings, again.missing) == ("nothing_found", (), ())
    assert len(again.figures) == 3


async def test_the_receipt_of_a_workflow_can_be_held_against(
    installation: Installation, fake_provider: FakeProvider
) -> None:
    installation.deployments = (fake_provider.deployment(),)
    async with installation.open() as deps:
        await track_operation(OperationArgs(action="begin", operation_id="op1"), deps)
        await run_inference(RunArgs(**HELLO, max_output_tokens=50, operation_id="op1"), deps)
        ended = await track_operation(OperationArgs(action="end", operation_id="op1"), deps)
    assert ended.receipt_id is not None
    result = await check(installation, "It took 900 kWh.", receipt_id=ended.receipt_id)

    assert [row["rule"] for row in result.findings] == ["figure_differs"]
    assert result.suggested is not None
    assert "for one workflow" in result.suggested


async def test_figures_of_a_result_can_be_held_against_in_either_unit(installation: Installation) -> None:
    energy = {"median": 0.5, "low": 0.4, "high": 0.6}
    wh = await check(installation, "It took 0.9 Wh.", figures={"energy_wh": energy, "model": "m"})
    kwh = await check(
        installation, "It took 480 Wh (400–600).", figures={"estimated_energy_kwh": energy, "carbon_gco2e": None}
    )

    assert wh.figures[0]["verdict"] == "differs"
    assert kwh.figures[0]["verdict"] == "within"
    assert kwh.held_against == {"source": "caller"}


async def test_a_method_without_interval_allows_its_own_value_only(installation: Installation) -> None:
    figures = {"energy_wh": {"median": 0.5, "low": None, "high": None}}

    assert (await check(installation, "0.51 Wh", figures=figures)).figures[0]["verdict"] == "within"
    assert (await check(installation, "0.6 Wh", figures=figures)).figures[0]["reason"].startswith("another value")
    assert (
        "where none is stated" in (await check(installation, "0.5 Wh (0.4–0.6)", figures=figures)).figures[0]["reason"]
    )


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"receipt_id": "r_" + "a" * 26}, "receipt"),
        ({"receipt_id": "a.b.c"}, "give r_ and 26 characters"),
        ({"receipt_id": "r_x", "figures": {"energy_wh": 1}}, "give one of them"),
        ({"figures": {"energy": 1}}, "energy_wh"),
        ({"figures": {"energy_wh": {"median": "many"}}}, "figures.energy_wh"),
    ],
)
async def test_what_cannot_be_held_against_says_what_would_work(
    installation: Installation, more: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        await check(installation, "3 Wh", **more)


async def test_internal_use_says_when_a_consumer_rule_binds(installation: Installation) -> None:
    text = "A green model."
    consumer, internal = await check(installation, text), await check(installation, text, use="internal")

    assert "once consumers get to see it" not in consumer.findings[0]["why"]
    assert "once consumers get to see it" in internal.findings[0]["why"]


async def test_words_of_the_caller_come_back_capped_and_printable(installation: Installation) -> None:
    result = await check(installation, "saved\x00 \x1b[31mmuch energy, net\u2028zero " + "x" * 5000)

    assert result.findings
    assert all(len(row["words"]) <= 160 and row["words"].isprintable() for row in result.findings)


async def test_brief_results_are_capped_and_full_ones_tell_every_need(installation: Installation) -> None:
    text = "We saved 3 g CO2e. " * 12
    some, every = await check(installation, text), await check(installation, text, detail="full")

    assert (some.finding_count, len(some.findings), some.needs) == (12, 5, None)
    assert len(every.findings) == 12
    assert every.needs is not None
    assert every.needs.keys() == set(every.missing)
    assert every.findings[0]["regime"].keys() == {"name", "since", "about"}


async def test_the_text_stays_within_its_budget(installation: Installation, ran: RunResult) -> None:
    text = "Our carbon-neutral, verified, 100 % renewable assistant saved 3.2 g CO2e in real time and is sustainable."
    for more, budget in (({}, 170), ({"receipt_id": ran.receipt_id}, 200)):
        assert len(brief(await check(installation, text, **more))) / CHARACTERS_PER_TOKEN < budget


async def test_nothing_is_sent_to_a_model_but_plain_rows(installation: Installation) -> None:
    structured = (await check(installation, "We saved 3 g.")).structured()

    assert "held_against" not in structured
    assert list(structured)[-1] == "provenance"
