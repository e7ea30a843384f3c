"""The official Python SDK, version 1. The application decides what its model reads."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client
from session import Session, Target, serve


class _Session:
    def __init__(self, client: ClientSession) -> None:
        self._client = client

    async def tools(self) -> dict[str, Any]:
        return {tool.name: tool.inputSchema for tool in (await self._client.list_tools()).tools}

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        async def progress(*_: Any) -> None:
            """Asking for it is enough."""

        result = await self._client.call_tool(name, arguments, progress_callback=progress)
        return result.model_dump_json(by_alias=True)


@asynccontextmanager
async def connect(target: Target) -> AsyncIterator[Session]:
    if "url" in target:
        streams: Any = streamablehttp_client(target["url"], headers=target["headers"])
    else:
        parameters = StdioServerParameters(command=target["command"], args=target["args"], env=target["env"])
        streams = stdio_client(parameters)
    async with streams as (reading, writing, *_), ClientSession(reading, writing) as client:
        await client.initialize()
        yield _Session(client)


if __name__ == "__main__":
    serve(connect, "mcp")
