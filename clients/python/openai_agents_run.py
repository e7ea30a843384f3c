"""openai-agents: an agent on a scripted model; `variant` is `text` (its default) or `structured`."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agents import Agent, ModelResponse, Runner, Usage, set_tracing_disabled
from agents.mcp import MCPServerStdio, MCPServerStreamableHttp
from agents.models.interface import Model
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText
from session import Session, Target, serve


class _Scripted(Model):
    """Calls one tool, then stops; keeps what it was given."""

    def __init__(self, order: tuple[str, dict[str, Any]] | None) -> None:
        self.order = order
        self.schemas: dict[str, Any] = {}
        self.read = ""

    async def get_response(self, *, input: Any, tools: Any, **_more: Any) -> Any:  # noqa: A002
        self.schemas = {tool.name: tool.params_json_schema for tool in tools}
        last = input[-1] if isinstance(input, list) else {}
        if last.get("type") == "function_call_output":
            output = last["output"]
            self.read = output if isinstance(output, str) else json.dumps(output)
        elif self.order:
            name, arguments = self.order
            call = ResponseFunctionToolCall(
                arguments=json.dumps(arguments), call_id="call-1", name=name, type="function_call"
            )
            return ModelResponse(output=[call], usage=Usage(), response_id=None)
        text = ResponseOutputText(annotations=[], text="done", type="output_text")
        message = ResponseOutputMessage(
            id="message-1", content=[text], role="assistant", status="completed", type="message"
        )
        return ModelResponse(output=[message], usage=Usage(), response_id=None)

    def stream_response(self, *rest: Any, **more: Any) -> Any:
        raise NotImplementedError


class _Session:
    def __init__(self, server: Any) -> None:
        self._server = server

    async def _run(self, order: tuple[str, dict[str, Any]] | None) -> _Scripted:
        model = _Scripted(order)
        # As the documentation of the SDK shows it for MCP servers whose tools shall be called strictly.
        config: Any = {"convert_schemas_to_strict": True}
        agent = Agent(name="asker", model=model, mcp_servers=[self._server], mcp_config=config)
        await Runner.run(agent, "go")
        return model

    async def tools(self) -> dict[str, Any]:
        return (await self._run(None)).schemas

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        return (await self._run((name, arguments))).read


@asynccontextmanager
async def connect(target: Target) -> AsyncIterator[Session]:
    set_tracing_disabled(True)
    structured = target["variant"] == "structured"
    more: Any = {"use_structured_content": structured, "client_session_timeout_seconds": 60}
    if "url" in target:
        server: Any = MCPServerStreamableHttp({"url": target["url"], "headers": target["headers"]}, **more)
    else:
        names = ("command", "args", "env")
        server = MCPServerStdio({name: target[name] for name in names}, **more)
    async with server:
        yield _Session(server)


if __name__ == "__main__":
    serve(connect, "openai-agents", "mcp")
