"""mcp-use: the LangChain tools that its agent gives to a model, invoked with a tool call.

The message is put into the form of OpenAI's API, which refuses some blocks that LangChain takes.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from langchain_core.messages import convert_to_openai_messages
from langchain_core.utils.function_calling import convert_to_openai_tool
from mcp_use import MCPClient
from mcp_use.agents.adapters.langchain_adapter import LangChainAdapter
from session import Session, Target, serve


class _Session:
    def __init__(self, tools: list[Any]) -> None:
        self._tools = {tool.name: tool for tool in tools}

    async def tools(self) -> dict[str, Any]:
        return {name: convert_to_openai_tool(tool)["function"]["parameters"] for name, tool in self._tools.items()}

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        order = {"name": name, "args": arguments, "id": "call-1", "type": "tool_call"}
        (message,) = convert_to_openai_messages([await self._tools[name].ainvoke(order)])
        content = message["content"]
        return content if isinstance(content, str) else json.dumps(content)


@asynccontextmanager
async def connect(target: Target) -> AsyncIterator[Session]:
    if "url" in target:
        server: Any = {"url": target["url"], "headers": target["headers"]}
    else:
        server = {"command": target["command"], "args": target["args"], "env": target["env"]}
    client = MCPClient.from_dict({"mcpServers": {"wattproof": server}})
    session = await client.create_session("wattproof")
    try:
        adapter = LangChainAdapter()
        await adapter.load_tools_for_connector(session.connector)
        yield _Session(adapter.tools or await adapter.create_tools(client))
    finally:
        await client.close_all_sessions()


if __name__ == "__main__":
    serve(connect, "mcp-use", "langchain-core", "mcp")
