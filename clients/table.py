"""Which clients travel, and how each is used."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CLIENTS", "Client"]

# For a client that hands the whole result to the application, which then decides what its model reads.
_SDK = "an SDK: the application decides what its model reads"


@dataclass(frozen=True, slots=True)
class Client:
    """One way to use one client.

    `script` is a file of `clients/python` or `clients/node`, `environment` names the file of `clients/requirements`
    (or is `node`), `variant` is what the script is told, `note` what a reader should know beside the results.
    """

    name: str
    script: str
    environment: str
    variant: str = ""
    note: str = ""

    @property
    def is_sdk(self) -> bool:
        """Whether it leaves the result to the application, so that nothing is known about a model."""
        return self.note == _SDK


CLIENTS: tuple[Client, ...] = (
    Client("mcp 2 (auto)", "official_v2.py", "mcp_v2", "auto", _SDK),
    Client("mcp 2 (legacy)", "official_v2.py", "mcp_v2", "legacy", _SDK),
    Client("mcp 1", "official_v1.py", "mcp_v1", "", _SDK),
    Client("TypeScript SDK 1", "sdk_v1.mjs", "node", "", _SDK),
    Client("TypeScript client 2 (auto)", "sdk_v2.mjs", "node", "auto", _SDK),
    Client("TypeScript client 2 (legacy)", "sdk_v2.mjs", "node", "legacy", _SDK),
    Client("fastmcp", "fastmcp_client.py", "fastmcp", "", _SDK),
    Client("pydantic-ai", "pydantic_ai_agent.py", "pydantic_ai"),
    Client("langchain-mcp-adapters", "langchain_tools.py", "langchain", "", "structured content stays in `artifact`"),
    Client("openai-agents", "openai_agents_run.py", "openai_agents", "text", "with `convert_schemas_to_strict`"),
    Client(
        "openai-agents (structured)",
        "openai_agents_run.py",
        "openai_agents",
        "structured",
        "with `use_structured_content` and `convert_schemas_to_strict`",
    ),
    Client("agent-framework", "agent_framework_run.py", "agent_framework"),
    Client(
        "agent-framework (detailed)",
        "agent_framework_run.py",
        "agent_framework",
        "detailed",
        "with `include_detailed_errors`",
    ),
    Client("google-adk", "google_adk_run.py", "google_adk"),
    Client("llama-index", "llama_index_run.py", "llama_index", "", "a new connection for every call"),
    Client("strands-agents", "strands_run.py", "strands", "", "structured content stays in the agent's message"),
    Client("mcp-use", "mcp_use_tools.py", "mcp_use"),
    Client("smolagents", "smolagents_tools.py", "smolagents", "text", "needs mcp 1 and websockets beside it"),
    Client("smolagents (structured)", "smolagents_tools.py", "smolagents", "structured", "with `structured_output`"),
)
