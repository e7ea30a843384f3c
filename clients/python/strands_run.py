"""strands-agents: an agent on a scripted model; what it is given is the content of the tool result.

The agent's message holds more (structured content, metadata), but the model providers of strands send `content` alone.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp import StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from session import Session, Target, serve
from strands import Agent
from strands.models import Model
from strands.tools.mcp import MCPClient


class _Scripted(Model):
    """Calls one tool, then stops; keeps what it was given."""

    def __init__(self, order: tuple[str, dict[str, Any]] | None) -> None:
        self.order = order
        self.schemas: dict[str, Any] = {}
        self.read = ""

    def update_config(self, **_more: Any) -> None:
        """Nothing to configure."""

    def get_config(self) -> Any:
        return {}

    def structured_output(self, *_rest: Any, **_more: Any) -> Any:
        raise NotImplementedError

    async def stream(self, messages: Any, tool_specs: Any = None, *_rest: Any, **_more: Any) -> Any:
        self.schemas = {spec["name"]: spec["inputSchema"]["json"] for spec in tool_specs or []}
        result = messages[-1]["content"][-1].get("toolResult")
        yield {"messageStart": {"role": "assistant"}}
        if result:
            content = result["content"]
            only_text = len(content) == 1 and "text" in content[0]
            self.read = content[0]["text"] if only_text else json.dumps(content)
        if result or not self.order:
            yield {"contentBlockStart": {"start": {}}}
            yield {"contentBlockDelta": {"delta": {"text": "done"}}}
            yield {"contentBlockStop": {}}
            yield {"messageStop": {"stopReason": "end_turn"}}
            return
        name, arguments = self.order
        yield {"contentBlockStart": {"start": {"toolUse": {"name": name, "toolUseId": "call-1"}}}}
        yield {"contentBlockDelta": {"delta": {"toolUse": {"input": json.dumps(arguments)}}}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "tool_use"}}


class _Session:
    def __init__(self, client: MCPClient) -> None:
        self._client = client

    async def _run(self, order: tuple[str, dict[str, Any]] | None) -> _Scripted:
        model = _Scripted(order)
        tools: Any = await asyncio.to_thread(self._client.list_tools_sync)
        await Agent(model=model, tools=tools, callback_handler=None).invoke_async("go")
        return model

    async def tools(self) -> dict[str, Any]:
        return (await self._run(None)).schemas

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        return (await self._run((name, arguments))).read


@asynccontextmanager
async def connect(target: Target) -> AsyncIterator[Session]:
    def transport() -> Any:
        if "url" in target:
            http = httpx2.AsyncClient(headers=target["headers"], timeout=60)
            return streamable_http_client(target["url"], http_client=http)
        return stdio_client(StdioServerParameters(command=target["command"], args=target["args"], env=target["env"]))

    client = MCPClient(transport)
    await asyncio.to_thread(client.start)
    try:
        yield _Session(client)
    finally:
        await asyncio.to_thread(client.stop, None, None, None)


if __name__ == "__main__":
    serve(connect, "strands-agents", "mcp")
