"""Where a value of the edition comes from reaches whoever asks for an estimate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattproof.methodology.data import read_edition
from wattproof.methodology.facilities import facility_of
from wattproof.tools.estimate_request import EstimateArgs, EstimateResult, estimate_one

if TYPE_CHECKING:
    from tests.fakes.installation import Installation

CLAIMS = (Path(__file__).parents[2] / "CLAIMS.md").read_text("utf-8")


async def operands(installation: Installation, **given: Any) -> dict[str, dict[str, Any]]:
    arguments: dict[str, Any] = {"model": "gpt-oss-120b", "input_tokens": 1000, "output_tokens": 400, **given}
    async with installation.open() as deps:
        result = await estimate_one(EstimateArgs(**arguments, detail="full"), deps)
    assert isinstance(result, EstimateResult)
    assert result.full is not None
    return {operand["name"]: operand for operand in result.full["operands"]}


async def test_an_accelerators_manufacture_arrives_with_the_source_of_its_row(installation: Installation) -> None:
    shown = await operands(installation, zone="FR")
    embodied = read_edition("wattproof/embodied.json")
    h100 = next(row for row in embodied["accelerators"] if row["id"] == "H100")
    assert shown["accelerator_gwp_kgco2e"]["value"] == h100["gwp_kgco2e"]
    assert shown["accelerator_gwp_kgco2e"]["source_id"] == embodied["source_id"]
    assert f"`{embodied['source_id']}`" in CLAIMS
    assert "BoaviztAPI" in h100["source"]


async def test_an_operators_published_water_arrives_with_its_source(installation: Installation) -> None:
    shown = await operands(installation, provider="ovhcloud")
    facility = facility_of("ovhcloud")
    assert facility is not None
    assert shown["wue_onsite_l_per_kwh"]["value"] == facility.wue_onsite_l_per_kwh
    assert shown["wue_onsite_l_per_kwh"]["source_id"] == facility.source_id
    assert f"`{facility.source_id}`" in CLAIMS


async def test_every_operand_that_is_shown_names_a_source_and_a_unit(installation: Installation) -> None:
    shown = await operands(installation, zone="FR")
    assert all(operand["source_id"] and operand["unit"] for operand in shown.values())
