"""The official Python SDK, version 2; `variant` is its mode. The application decides what its model reads."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from session import Session, Target, serve


class _Session:
    def __init__(self, client: Client) -> None:
        self._client = client

    async def tools(self) -> dict[str, Any]:
        return {tool.name: tool.input_schema for tool in (await self._client.list_tools()).tools}

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        async def progress(*_: Any) -> None:
            """Asking for it is enough."""

        result = await self._client.call_tool(name, arguments, progress_callback=progress)
        return result.model_dump_json(by_alias=True)


@asynccontextmanager
async def connect(target: Target) -> AsyncIterator[Session]:
    if "url" in target:
        http = httpx2.AsyncClient(headers=target["headers"], timeout=60)
        server: Any = streamable_http_client(target["url"], http_client=http)
    else:
        server = StdioServerParameters(command=target["command"], args=target["args"], env=target["env"])
    async with Client(server, mode=target["variant"]) as client:
        yield _Session(client)


if __name__ == "__main__":
    serve(connect, "mcp")
