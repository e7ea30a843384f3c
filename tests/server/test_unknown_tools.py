"""A call of a tool that is not there: the nearest names, unless it is malformed, which the protocol refuses."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from mcp.types import CallToolResult

from wattproof.server.mcp_unknown import refusing_unknown_tools

PASSED_ON = object()


async def answered(**params: Any) -> Any:
    async def call_next(_ctx: Any) -> Any:
        return PASSED_ON

    context: Any = SimpleNamespace(method="tools/call", params=params)
    return await refusing_unknown_tools(["estimate_request"], ["estimate_request"])(context, call_next)


async def test_an_unknown_tool_is_answered_with_the_nearest_name() -> None:
    answer = await answered(name="estimate_reqest", arguments={})

    assert isinstance(answer, CallToolResult)
    assert answer.is_error
    assert "Closest: estimate_request." in str(answer.content[0])


@pytest.mark.parametrize("wrong", [{"arguments": 7}, {"inputResponses": "yes"}, {"inputResponses": {"q": 7}}])
async def test_a_malformed_call_of_an_unknown_tool_is_left_to_the_protocol(wrong: dict[str, Any]) -> None:
    assert await answered(name="estimate_reqest", **wrong) is PASSED_ON


async def test_a_known_tool_is_passed_on() -> None:
    assert await answered(name="estimate_request", arguments={}) is PASSED_ON
