"""langchain-mcp-adapters: a tool invoked with a tool call gives the ToolMessage that goes to the model.

The message is put into the form of OpenAI's API, which refuses some blocks that LangChain takes.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from langchain_core.messages import convert_to_openai_messages
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools
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
        server = {"transport": "streamable_http", "url": target["url"], "headers": target["headers"]}
    else:
        names = ("command", "args", "env")
        server = {"transport": "stdio", **{name: target[name] for name in names}}
    async with MultiServerMCPClient({"wattproof": server}).session("wattproof") as session:
        yield _Session(await load_mcp_tools(session))


if __name__ == "__main__":
    serve(connect, "langchain-mcp-adapters", "langchain-core", "mcp")
