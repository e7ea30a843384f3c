"""Every source that a figure names is explained in CLAIMS.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from wattproof.methodology.methods import Method, all_methods
from wattproof.methodology.models import find_model
from wattproof.methodology.quantity import Usage
from wattproof.resources.footprints import estimate
from wattproof.resources.grid.bundled import annual_reading, unknown_reading

CLAIMS = (Path(__file__).parents[2] / "CLAIMS.md").read_text("utf-8")


@pytest.mark.parametrize("method", all_methods(), ids=lambda m: m.id)
@pytest.mark.parametrize("model", ["gpt-oss-120b", "claude-sonnet-5-5", "smollm2-135m-instruct"])
def test_every_source_of_an_operand_is_explained(method: Method, model: str) -> None:
    readings = (annual_reading("FR", 1.8e9), unknown_reading("groq", 1.8e9))
    sources = {
        operand.source_id
        for reading in readings
        for operand in estimate(find_model(model), Usage(10, 10), reading, method_id=method.id).operands
    }

    assert {source for source in sources if f"`{source}`" not in CLAIMS} == set()
