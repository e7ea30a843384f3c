"""A pydantic-ai agent that can ask wattproof what a request costs.

Run: OPENAI_API_KEY=... python docs/examples/pydantic_ai_agent.py "What do 1000 tokens cost on gpt-oss-20b?"
"""

from __future__ import annotations

import asyncio
import sys

from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.models import KnownModelName, Model

WATTPROOF = {"mcpServers": {"wattproof": {"command": sys.executable, "args": ["-m", "wattproof"]}}}


def build_agent(model: Model | KnownModelName) -> Agent[None, str]:
    """An agent on `model` with wattproof's tools, spawned over stdio."""
    return Agent(model, toolsets=[MCPToolset(WATTPROOF)])


async def main(question: str) -> None:
    agent = build_agent("openai:gpt-5.1")
    async with agent:
        result = await agent.run(question)
    print(result.output)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
