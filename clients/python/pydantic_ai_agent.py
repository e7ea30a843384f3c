"""pydantic-ai: an agent on a scripted model, which keeps what it is given."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ModelMessage, ModelResponse, RetryPromptPart, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from session import Session, Target, serve


class _Session:
    def __init__(self, toolset: MCPToolset) -> None:
        self._toolset = toolset

    async def tools(self) -> dict[str, Any]:
        told: dict[str, Any] = {}

        def model(_messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
            told.update({tool.name: tool.parameters_json_schema for tool in info.function_tools})
            return ModelResponse(parts=[TextPart("done")])

        await Agent(FunctionModel(model), toolsets=[self._toolset]).run("go")
        return told

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        read: list[str] = []

        def model(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
            last = messages[-1].parts[-1]
            if isinstance(last, ToolReturnPart):
                read.append(last.model_response_str())
            elif isinstance(last, RetryPromptPart):
                read.append(last.model_response())
            else:
                return ModelResponse(parts=[ToolCallPart(name, arguments)])
            return ModelResponse(parts=[TextPart("done")])

        await Agent(FunctionModel(model), toolsets=[self._toolset]).run("go")
        return read[-1]


@asynccontextmanager
async def connect(target: Target) -> AsyncIterator[Session]:
    if "url" in target:
        server = {"url": target["url"], "headers": target["headers"]}
    else:
        server = {"command": target["command"], "args": target["args"], "env": target["env"]}
    toolset: Any = MCPToolset({"mcpServers": {"wattproof": server}})
    async with toolset:
        yield _Session(toolset)


if __name__ == "__main__":
    serve(connect, "pydantic-ai-slim", "fastmcp-slim", "mcp")
