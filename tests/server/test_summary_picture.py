"""A summary with its picture over MCP: an image where it can be drawn, plain text where not."""

from __future__ import annotations

import sys
from base64 import b64decode

import pytest
from mcp import Client
from mcp.types import ImageContent, TextContent


async def test_the_days_of_a_summary_come_as_an_image_beside_text_and_data(client: Client) -> None:
    result = await client.call_tool(
        "summarize_ledger", {"since": "2026-11-01", "until": "2026-12-01", "detail": "plot"}
    )
    assert not result.is_error
    text, image = result.content
    assert isinstance(text, TextContent)
    assert isinstance(image, ImageContent)
    assert b64decode(image.data).startswith(b"\x89PNG")
    assert result.structured_content is not None
    assert result.structured_content["bar_unit"] == "day"
    assert result.structured_content["provenance"]["region_scope"] == "none"


async def test_without_matplotlib_the_days_are_plain_text(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = await client.call_tool("summarize_ledger", {"detail": "plot"})
    assert not result.is_error
    _, drawn = result.content
    assert isinstance(drawn, TextContent)
    assert "No entries, so nothing to draw." in drawn.text
    assert "wattproof[plot]" in drawn.text
