"""Intervals side by side, as an image and in plain text."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from wattproof.methodology.errors import Unavailable
from wattproof.tools.estimate_request import EstimateArgs, EstimateResult, EstimateRows, estimate_request
from wattproof.tools.intervals import panels, text_bars
from wattproof.tools.picture import picture

if TYPE_CHECKING:
    from tests.fakes.installation import Installation


async def estimate(installation: Installation, **given: Any) -> EstimateResult | EstimateRows:
    arguments: dict[str, Any] = {"model": "gpt-4o", "input_tokens": 1000, "output_tokens": 400, **given}
    async with installation.open() as deps:
        return await estimate_request(EstimateArgs(**arguments), deps)


async def test_every_row_with_a_figure_is_drawn_with_its_kind_of_interval(installation: Installation) -> None:
    result = await estimate(installation, methods="all", zone="US")
    assert isinstance(result, EstimateRows)
    with_figures = [row["label"] for row in result.rows if row["energy_wh"]]
    energy, climate = panels(result)
    assert [bar.label for bar in energy.bars] == with_figures == [bar.label for bar in climate.bars]
    assert {bar.interval for bar in energy.bars} == {"credible90", "range", "none"}


async def test_one_estimate_without_a_zone_shows_the_telling_zones_and_the_baseline(
    installation: Installation,
) -> None:
    result = await estimate(installation, model="claude-haiku-5-5", baseline="claude-sonnet-5-5")
    climate = panels(result)[1]
    labels = [bar.label for bar in climate.bars]
    assert labels == ["claude-haiku-5-5", "if in US", "if in FR", "claude-sonnet-5-5 (baseline)"]


async def test_the_plain_text_fits_its_width_and_puts_the_median_inside_its_interval(
    installation: Installation,
) -> None:
    text = text_bars(await estimate(installation, methods="all", zone="US"), 100)
    assert max(map(len, text.splitlines())) <= 100
    bars = [line for line in text.splitlines() if re.search(r"[├\[].*●.*[┤\]]", line) and "@" in line]
    assert len(bars) == 2 * 5
    assert "0.65 Wh (0.23–1.8)" in text


async def test_nothing_at_all_is_drawn_as_0(installation: Installation) -> None:
    result = await estimate(installation, input_tokens=0, output_tokens=0, zone="FR")
    assert "0 Wh" in text_bars(result)
    assert picture(result, "png").startswith(b"\x89PNG")


@pytest.mark.parametrize(("image_format", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
async def test_the_same_result_gives_the_same_image(
    installation: Installation, image_format: Any, begins: bytes
) -> None:
    result = await estimate(installation, methods="all", zone="US")
    first = picture(result, image_format)
    assert first.startswith(begins)
    assert first == picture(result, image_format)


async def test_without_matplotlib_it_says_what_to_install(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = await estimate(installation, zone="US")
    with pytest.raises(Unavailable, match=r"wattproof\[plot\]"):
        picture(result, "png")
