"""smolagents: what a tool returns, which its agents print for the model; `variant` is `text` or `structured`."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mcp import StdioServerParameters
from session import Session, Target, serve
from smolagents import MCPClient


class _Session:
    def __init__(self, tools: list[Any]) -> None:
        self._tools = {tool.name: tool for tool in tools}

    async def tools(self) -> dict[str, Any]:
        return {name: {"properties": tool.inputs} for name, tool in self._tools.items()}

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        result = await asyncio.to_thread(self._tools[name], **arguments)
        return result if isinstance(result, str) else json.dumps(result)


@asynccontextmanager
async def connect(target: Target) -> AsyncIterator[Session]:
    if "url" in target:
        server: Any = {"url": target["url"], "headers": target["headers"], "transport": "streamable-http"}
    else:
        server = StdioServerParameters(command=target["command"], args=target["args"], env=target["env"])
    structured = target["variant"] == "structured"
    client = await asyncio.to_thread(MCPClient, server, structured_output=structured)
    try:
        yield _Session(client.get_tools())
    finally:
        await asyncio.to_thread(client.disconnect)


if __name__ == "__main__":
    serve(connect, "smolagents", "mcpadapt", "mcp")
