"""Where a number comes from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from wattproof.methodology.errors import InvalidInput, UnknownMethod
from wattproof.methodology.methods import all_methods
from wattproof.tools.explain import ExplainArgs, ExplainResult, brief, explain
from wattproof.tools.reproduce import reproduce
from wattproof.tools.run_inference import RunArgs, run_inference
from wattproof.tools.views import receipt_view

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.installation import Installation
    from tests.fakes.provider import FakeProvider

ESTIMATE: dict[str, Any] = {"model": "gpt-4o", "input_tokens": 1000, "output_tokens": 400, "zone": "US"}


async def explained(installation: Installation, subject: str | dict[str, Any]) -> ExplainResult:
    async with installation.open() as deps:
        return await explain(ExplainArgs(subject=subject), deps)


@pytest.mark.parametrize("method", all_methods(), ids=lambda method: method.id)
async def test_every_method_is_explained_within_its_budget(installation: Installation, method: Any) -> None:
    result = await explained(installation, method.id)
    assert result.subject == "method"
    assert result.formula == method.formula
    assert {operand["name"] for operand in result.operands} == set(method.operand_units)
    assert all(operand["unit"] for operand in result.operands)
    assert result.drivers is None
    assert result.reasons["drivers"]
    assert len(brief(result)) / 4 <= 300


async def test_an_estimate_is_explained_by_operands_with_sources_drivers_and_what_would_narrow_it(
    installation: Installation,
) -> None:
    result = await explained(installation, ESTIMATE)
    assert result.subject == "estimate"
    assert all(operand["source_id"] for operand in result.operands)
    assert result.drivers is not None
    assert result.drivers["energy_wh"][0]["factor"] == "batch"
    assert result.would_tighten is not None
    assert result.would_tighten["energy_wh"] is not None
    text = brief(result)
    assert "batch size" in text
    assert "known.batch would narrow energy to" in text
    assert "Assumed: batch, weights, pue." in text
    assert text.endswith(
        "region_scope US; energy_source grid-mix; methodology wattproof/param@1.0.0; renewable_ratio_bps 2400."
    )
    assert len(text) / 4 <= 300


async def test_an_estimate_may_come_as_json_text(installation: Installation) -> None:
    assert (await explained(installation, json.dumps(ESTIMATE))).subject == "estimate"


async def test_without_a_zone_the_zone_would_narrow_the_climate(installation: Installation) -> None:
    result = await explained(installation, {**ESTIMATE, "zone": None})
    assert result.would_tighten is not None
    assert (result.would_tighten["carbon_gco2e"] or {})["input"] == "zone"


async def test_without_an_output_length_that_length_would_narrow_it(installation: Installation) -> None:
    result = await explained(installation, {**ESTIMATE, "output_tokens": None})
    assert result.drivers is not None
    assert result.drivers["energy_wh"][0]["words"] == "the length of the answer"
    assert result.would_tighten is not None
    assert (result.would_tighten["energy_wh"] or {})["input"] == "output_tokens"


async def test_a_receipt_is_explained_by_its_own_operands(
    installation: Installation, fake_provider: FakeProvider, tmp_path: Path
) -> None:
    installation.deployments = (fake_provider.deployment(),)
    run = RunArgs(model="gpt-oss-120b", messages=[{"role": "user", "content": "hello"}], max_output_tokens=50)
    async with installation.open() as deps:
        receipt_id = (await run_inference(run, deps)).receipt_id
        assert receipt_id is not None
        view = await receipt_view(receipt_id, deps)
        result = await explain(ExplainArgs(subject=receipt_id), deps)
        assert "Operand(*row)" in await reproduce(receipt_id, deps)
    assert view is not None
    assert (result.subject, result.receipt_id) == ("receipt", receipt_id)
    assert result.energy_wh is not None
    assert result.structured()["provenance"]["as_stated"] is True
    assert "As stated:" in brief(result)
    assert result.reasons["arithmetic"].startswith("pass")
    assert result.reasons["signature"].startswith("pass")
    assert result.reasons["would_tighten"]
    assert len(brief(result)) / 4 <= 300
    # A stranger, without the key: explained all the same, and said so.
    installation.home = tmp_path / "another"
    elsewhere = await explained(installation, view["jws"])
    assert elsewhere.operands == result.operands
    assert elsewhere.reasons["signature"].startswith("unknown")
    assert not installation.home.exists()


async def test_explaining_writes_nothing(installation: Installation) -> None:
    await explained(installation, ESTIMATE)
    assert not installation.home.exists()


@pytest.mark.parametrize(
    ("subject", "error", "says"),
    [
        ("wattproof/parm", UnknownMethod, "wattproof/param"),
        ("r_abc", InvalidInput, "neither a JWS nor the id"),
        ({"modle": "gpt-4o"}, InvalidInput, "estimate_request"),
        ({**ESTIMATE, "methods": "all"}, InvalidInput, "name one model"),
        ({**ESTIMATE, "input_tokens": None}, InvalidInput, "input_tokens is missing"),
    ],
)
async def test_what_is_none_of_the_three_is_refused(
    installation: Installation, subject: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        await explained(installation, subject)
