"""Names that were given up still work: the call succeeds, the result says today's name, no list shows the old one."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client
from mcp.types import CallToolResult, TextContent

from wattproof.server.app import build_server
from wattproof.server.mcp_renames import RENAMED, Renames

if TYPE_CHECKING:
    from tests.fakes.installation import Installation

ESTIMATE: dict[str, Any] = {"model": "gpt-oss-120b", "input_tokens": 1000, "output_tokens": 400, "zone": "FR"}
RENAMES = Renames(
    tools={"estimate_footprint": "estimate_request"},
    parameters={"estimate_request": {"region": "zone", "prompt_tokens": "input_tokens"}},
)


def text_of(result: CallToolResult) -> str:
    block = result.content[0]
    assert isinstance(block, TextContent)
    return block.text


async def test_an_old_name_of_a_tool_works_and_the_result_says_the_new_one(
    installation: Installation, era: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with Client(build_server(installation.open, renames=RENAMES), mode=era) as client:
        today = await client.call_tool("estimate_request", ESTIMATE)
        with caplog.at_level(logging.WARNING, "wattproof"):
            old = await client.call_tool("estimate_footprint", ESTIMATE)
    assert not old.is_error
    assert text_of(old) == f"{text_of(today)}\nestimate_footprint is now estimate_request."
    assert today.structured_content is not None
    assert old.structured_content == today.structured_content | {"renamed": {"estimate_footprint": "estimate_request"}}
    assert "estimate_footprint is now estimate_request" in caplog.text


async def test_old_names_of_parameters_work_under_the_old_and_the_new_name_of_their_tool(
    installation: Installation, era: Any
) -> None:
    arguments = {"model": "gpt-oss-120b", "prompt_tokens": 1000, "output_tokens": 400, "region": "FR"}
    async with Client(build_server(installation.open, renames=RENAMES), mode=era) as client:
        for name in ("estimate_request", "estimate_footprint"):
            result = await client.call_tool(name, arguments)
            assert not result.is_error
            assert "region is now zone." in text_of(result)
            assert result.structured_content is not None
            assert result.structured_content["provenance"]["region_scope"] == "FR"


async def test_a_parameter_given_by_both_names_is_refused(installation: Installation) -> None:
    async with Client(build_server(installation.open, renames=RENAMES)) as client:
        result = await client.call_tool("estimate_request", ESTIMATE | {"region": "DE"})
    assert result.is_error
    assert "region is not a parameter" in text_of(result)


async def test_an_error_by_an_old_name_says_the_new_one_too(installation: Installation) -> None:
    async with Client(build_server(installation.open, renames=RENAMES)) as client:
        result = await client.call_tool("estimate_request", {"model": "gpt-oss-120b", "region": "Mars"})
    assert result.is_error
    assert "region is now zone." in text_of(result)


async def test_no_list_shows_an_old_name(installation: Installation) -> None:
    async with Client(build_server(installation.open, renames=RENAMES)) as client:
        renamed = (await client.list_tools()).model_dump_json()
    async with Client(build_server(installation.open)) as client:
        assert json.loads((await client.list_tools()).model_dump_json()) == json.loads(renamed)


async def test_calls_by_names_of_today_are_left_as_they_are(installation: Installation) -> None:
    async with Client(build_server(installation.open, renames=RENAMES)) as client:
        result = await client.call_tool("estimate_request", ESTIMATE)
        unknown = await client.call_tool("estimate_everything", {})
    assert "is now" not in text_of(result)
    assert unknown.is_error


@pytest.mark.parametrize(
    "renames",
    [
        Renames(tools={"explain": "verify_receipt"}),
        Renames(tools={"clarify": "expound"}),
        Renames(parameters={"estimate_request": {"zone": "grid"}}),
        Renames(parameters={"estimate_request": {"region": "place"}}),
        Renames(parameters={"expound": {"region": "zone"}}),
    ],
)
def test_a_table_that_hides_a_name_in_use_or_leads_nowhere_is_refused(
    installation: Installation, renames: Renames
) -> None:
    with pytest.raises(ValueError, match="the old name must be free and the new one in use"):
        build_server(installation.open, renames=renames)


def test_the_table_in_use_is_sound(installation: Installation) -> None:
    build_server(installation.open, renames=RENAMED)
