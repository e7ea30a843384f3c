"""The fastmcp client. The application decides what its model reads."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastmcp import Client
from session import Session, Target, serve


class _Session:
    def __init__(self, client: Any) -> None:
        self._client = client

    async def tools(self) -> dict[str, Any]:
        tools = await self._client.list_tools()
        return {tool.name: tool.model_dump(by_alias=True)["inputSchema"] for tool in tools}

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        result = await self._client.call_tool(name, arguments, raise_on_error=False)
        content = [block.model_dump(by_alias=True) for block in result.content]
        return json.dumps({"content": content, "structuredContent": result.structured_content, "_meta": result.meta})


@asynccontextmanager
async def connect(target: Target) -> AsyncIterator[Session]:
    if "url" in target:
        server = {"url": target["url"], "headers": target["headers"]}
    else:
        server = {"command": target["command"], "args": target["args"], "env": target["env"]}
    async with Client({"mcpServers": {"wattproof": server}}) as client:
        yield _Session(client)


if __name__ == "__main__":
    serve(connect, "fastmcp", "mcp")
