"""The agent framework example in README is run, with a scripted model in the place of a paid one."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "pydantic_ai_agent.py"


def load_example() -> Any:
    spec = importlib.util.spec_from_file_location("pydantic_ai_agent", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scripted(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Asks for an estimate, then repeats what the tool returned."""
    returned = [p for m in messages for p in m.parts if isinstance(p, ToolReturnPart)]
    if returned:
        return ModelResponse(parts=[TextPart(json.dumps(returned[-1].content))])
    assert "estimate_request" in {tool.name for tool in info.function_tools}
    arguments = {"model": "gpt-oss-120b", "input_tokens": 1000, "output_tokens": 400, "zone": "FR"}
    return ModelResponse(parts=[ToolCallPart("estimate_request", arguments)])


async def test_a_pydantic_ai_agent_estimates_through_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATTPROOF_HOME", str(tmp_path / "home"))
    agent = load_example().build_agent(FunctionModel(scripted))

    async with agent:
        result = await agent.run("What would that cost?")

    answer = json.loads(result.output)
    assert answer["energy_wh"]["low"] < answer["energy_wh"]["median"] < answer["energy_wh"]["high"]
    assert answer["provenance"]["region_scope"] == "FR"
