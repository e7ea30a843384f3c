"""google-adk: an agent on a scripted model, which keeps what it is given."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from google.adk.agents import LlmAgent
from google.adk.models import BaseLlm, LlmResponse
from google.adk.runners import InMemoryRunner
from google.adk.tools.mcp_tool import McpToolset, StdioConnectionParams, StreamableHTTPConnectionParams
from google.genai import types
from mcp import StdioServerParameters
from session import Session, Target, serve


class _Scripted(BaseLlm):
    """Calls one tool, then stops; keeps what it was given."""

    order: Any = None
    schemas: dict[str, Any]
    read: list[str]

    async def generate_content_async(self, llm_request: Any, stream: bool = False) -> Any:
        for tool in llm_request.config.tools or []:
            for declared in tool.function_declarations or []:
                given = declared.parameters_json_schema
                self.schemas[declared.name] = given or declared.parameters.model_dump(mode="json", exclude_none=True)
        last = llm_request.contents[-1].parts[-1]
        part = types.Part(text="done")
        if last.function_response:
            self.read.append(json.dumps(last.function_response.response))
        elif self.order:
            name, arguments = self.order
            part = types.Part(function_call=types.FunctionCall(name=name, args=arguments))
        yield LlmResponse(content=types.Content(role="model", parts=[part]))


class _Session:
    def __init__(self, toolset: McpToolset) -> None:
        self._toolset = toolset

    async def _run(self, order: tuple[str, dict[str, Any]] | None) -> _Scripted:
        model = _Scripted(model="scripted", order=order, schemas={}, read=[])
        runner = InMemoryRunner(agent=LlmAgent(name="asker", model=model, tools=[self._toolset]), app_name="app")
        session = await runner.session_service.create_session(app_name="app", user_id="u")
        message = types.Content(role="user", parts=[types.Part(text="go")])
        async for _ in runner.run_async(user_id="u", session_id=session.id, new_message=message):
            pass
        return model

    async def tools(self) -> dict[str, Any]:
        return (await self._run(None)).schemas

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        return (await self._run((name, arguments))).read[-1]


@asynccontextmanager
async def connect(target: Target) -> AsyncIterator[Session]:
    if "url" in target:
        server: Any = StreamableHTTPConnectionParams(url=target["url"], headers=target["headers"], timeout=60)
    else:
        parameters = StdioServerParameters(command=target["command"], args=target["args"], env=target["env"])
        server = StdioConnectionParams(server_params=parameters, timeout=60)
    toolset = McpToolset(connection_params=server)
    try:
        yield _Session(toolset)
    finally:
        await toolset.close()


if __name__ == "__main__":
    serve(connect, "google-adk", "google-genai", "mcp")
