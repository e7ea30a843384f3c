"""agent-framework: an agent on a scripted chat client, which keeps what it is given; `variant` may be `detailed`."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agent_framework import (
    Agent,
    BaseChatClient,
    ChatResponse,
    Content,
    FunctionInvocationLayer,
    MCPStdioTool,
    MCPStreamableHTTPTool,
    Message,
)
from session import Session, Target, serve


class _Scripted(FunctionInvocationLayer, BaseChatClient):
    """Calls one tool, then stops; keeps what it was given."""

    def __init__(self, order: tuple[str, dict[str, Any]] | None, detailed: bool) -> None:
        super().__init__()
        self.function_invocation_configuration["include_detailed_errors"] = detailed
        self.order = order
        self.schemas: dict[str, Any] = {}
        self.read = ""

    async def _inner_get_response(self, *, messages: Any, stream: bool, options: Any, **_more: Any) -> Any:
        self.schemas = {tool.name: tool.parameters() for tool in options.get("tools") or []}
        last = messages[-1].contents[-1]
        content: Any = "done"
        if last.type == "function_result":
            self.read = last.result if isinstance(last.result, str) else json.dumps(last.result, default=str)
        elif self.order:
            name, arguments = self.order
            content = Content.from_function_call(call_id="call-1", name=name, arguments=json.dumps(arguments))
        return ChatResponse(messages=[Message(role="assistant", contents=[content])], response_id="r")


class _Session:
    def __init__(self, server: Any, detailed: bool) -> None:
        self._server = server
        self._detailed = detailed

    async def _run(self, order: tuple[str, dict[str, Any]] | None) -> _Scripted:
        client = _Scripted(order, self._detailed)
        await Agent(client=client, name="asker", tools=self._server).run("go")
        return client

    async def tools(self) -> dict[str, Any]:
        return (await self._run(None)).schemas

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        return (await self._run((name, arguments))).read


@asynccontextmanager
async def connect(target: Target) -> AsyncIterator[Session]:
    if "url" in target:
        server: Any = MCPStreamableHTTPTool("wattproof", target["url"], static_headers=target["headers"])
    else:
        server = MCPStdioTool("wattproof", target["command"], args=target["args"], env=target["env"])
    async with server:
        yield _Session(server, target["variant"] == "detailed")


if __name__ == "__main__":
    serve(connect, "agent-framework-core", "mcp")
