"""llama-index-tools-mcp: an agent on llama-index's own mock model, scripted here, which keeps what it is given."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, MessageRole, ToolCallBlock
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.tools.mcp import BasicMCPClient, McpToolSpec
from session import Session, Target, serve


class _Session:
    def __init__(self, tools: list[Any]) -> None:
        self._tools = tools

    async def tools(self) -> dict[str, Any]:
        return {tool.metadata.name: tool.metadata.get_parameters_dict() for tool in self._tools}

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        read: list[str] = []

        def scripted(messages: Any, **_more: Any) -> ChatMessage:
            last = messages[-1]
            if last.role == MessageRole.TOOL:
                read.append(str(last.content))
                return ChatMessage(role=MessageRole.ASSISTANT, content="done")
            call = ToolCallBlock(tool_call_id="call-1", tool_name=name, tool_kwargs=arguments)
            return ChatMessage(role=MessageRole.ASSISTANT, blocks=[call])

        model = MockFunctionCallingLLM(response_generator=scripted, is_chat_model=True)
        await FunctionAgent(tools=self._tools, llm=model, streaming=False).run("go")
        return read[-1]


@asynccontextmanager
async def connect(target: Target) -> AsyncIterator[Session]:
    if "url" in target:
        client = BasicMCPClient(target["url"], headers=target["headers"])
    else:
        client = BasicMCPClient(target["command"], args=target["args"], env=target["env"])
    yield _Session(await McpToolSpec(client=client).to_tool_list_async())


if __name__ == "__main__":
    serve(connect, "llama-index-tools-mcp", "llama-index-core", "mcp")
