"""What registries and hosts read about wattproof: server.json, the manifest of the MCPB bundle, llms.txt."""

from __future__ import annotations

import asyncio
import json
import tomllib
from pathlib import Path
from typing import Any

from docs.generate.listed import listed
from docs.generate.variables import OWN, Variable, grid_variables, provider_variables
from wattproof import __version__
from wattproof.server.settings import PROFILES

__all__ = ["IMAGE", "REGISTRY_NAME", "REPOSITORY", "llms_txt", "manifest", "server_json"]

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

REGISTRY_NAME = "io.github.wattproof/wattproof"
REPOSITORY = "https://github.com/wattproof/wattproof"
IMAGE = "ghcr.io/wattproof/wattproof"
REGISTRY_SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"

_SUMMARY = "Estimate, route, record and prove the energy and carbon footprint of LLM requests"
_LONG = (
    "Estimates the energy and CO2e of an LLM request with an interval and a named method, sends it to the provider "
    "that fits a policy and a carbon ceiling, and signs a receipt that anyone can recompute. Works offline and "
    "without a key on data that ships with it; keys add live grid readings and providers to run on. Figures are "
    "estimates: what is unknown is null with a reason."
)


def server_json() -> str:
    """The entry for the MCP registry (server.json, schema 2025-12-11): the wheel and the image, over stdio."""
    variables = [_registry_variable(v) for v in (*OWN, *grid_variables(), *provider_variables()) if v.serves == "all"]
    in_image = [entry for entry in variables if entry["name"] != "WATTPROOF_HOME"]
    volume = {
        "type": "named",
        "name": "--mount",
        "description": "Where the ledger and the keys stay when the container is gone.",
        "value": "type=volume,source=wattproof,target=/data",
    }
    entry = {
        "$schema": REGISTRY_SCHEMA,
        "name": REGISTRY_NAME,
        "title": "wattproof",
        "description": _SUMMARY,
        "version": __version__,
        "repository": {"url": REPOSITORY, "source": "github"},
        "packages": [
            {
                "registryType": "pypi",
                "identifier": PROJECT["name"],
                "version": __version__,
                "runtimeHint": "uvx",
                "transport": {"type": "stdio"},
                "environmentVariables": variables,
            },
            {
                "registryType": "oci",
                "identifier": f"{IMAGE}:{__version__}",
                "runtimeHint": "docker",
                "transport": {"type": "stdio"},
                "runtimeArguments": [volume],
                "environmentVariables": in_image,
            },
        ],
    }
    return _json(entry)


def manifest() -> str:
    """The manifest of the MCPB bundle: started by uv, with a form for settings and keys."""
    asked = [v for v in (*OWN, *grid_variables(), *provider_variables()) if v.asked]
    found = asyncio.run(listed())
    bundle = {
        "manifest_version": "0.4",
        "name": PROJECT["name"],
        "display_name": "wattproof",
        "version": __version__,
        "description": _SUMMARY,
        "long_description": _LONG,
        "author": {"name": PROJECT["authors"][0]["name"]},
        "repository": {"type": "git", "url": REPOSITORY},
        "license": PROJECT["license"],
        "keywords": PROJECT["keywords"],
        "server": {
            "type": "uv",
            "entry_point": "server.py",
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--quiet", "--no-progress", "--directory", "${__dirname}", "server.py"],
                "env": {v.name: f"${{user_config.{_key(v)}}}" for v in asked},
            },
        },
        "user_config": {_key(v): _form_field(v) for v in asked},
        "tools": [{"name": tool.name, "description": tool.description} for tool in found.tools],
        "tools_generated": True,
        "prompts": [_prompt(prompt) for prompt in found.prompts],
        "prompts_generated": True,
        "compatibility": {
            "platforms": ["darwin", "linux", "win32"],
            "runtimes": {"python": PROJECT["requires-python"]},
        },
    }
    return _json(bundle)


def llms_txt() -> str:
    """llms.txt: what wattproof is and where its pages are, for a model that reads the repository."""
    found = asyncio.run(listed())
    tools = "\n".join(f"- `{tool.name}`: {tool.description}" for tool in found.tools)
    pages = "\n".join(f"- [{title}]({path}): {what}" for title, path, what in _PAGES)
    return (
        f"# wattproof\n\n> {PROJECT['description']}.\n\n{_LONG}\n\n"
        "Start: `uvx wattproof` serves MCP over stdin and stdout; `wattproof install HOST` writes a host's entry; "
        "`wattproof --help` lists the commands. Quote a figure with its interval and its method.\n\n"
        f"## Tools\n\n{tools}\n\n## Pages\n\n{pages}\n"
    )


_PAGES = (
    ("README", "README.md", "what it does, worked examples, what the numbers are not"),
    ("Tours", "docs/README.md", "five minutes for a host user, a framework author, a reviewer, a platform engineer"),
    ("Tools", "docs/reference/tools.md", "every parameter, result and error, with one call each"),
    ("Commands", "docs/reference/commands.md", "every command and option"),
    ("Settings", "docs/reference/settings.md", "every environment variable and key of config.toml"),
    ("Methods", "docs/reference/methods.md", "every method by which a figure is made, and what it does not cover"),
    ("Errors", "docs/reference/errors.md", "exit codes and the tree of errors"),
    ("Troubleshooting", "docs/troubleshooting.md", "by symptom, with the message that is shown"),
    ("Routing", "docs/routing.md", "where a request runs, and why"),
    ("Ledger", "docs/ledger.md", "workflows, budgets, proofs"),
    ("Third-party checks", "docs/third-party.md", "receipts and the log checked with tools of others"),
    ("Claims", "CLAIMS.md", "where every number that is printed comes from"),
    ("Security", "SECURITY.md", "what is protected, what is not, how to report"),
)


def _registry_variable(variable: Variable) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": variable.name,
        "description": variable.meaning,
        "isRequired": False,
        "isSecret": variable.secret,
        "format": variable.kind,
    }
    if variable.choices:
        entry["choices"] = list(variable.choices)
    if variable.placeholder:
        entry["placeholder"] = variable.placeholder
    return entry


def _key(variable: Variable) -> str:
    return variable.name.removeprefix("WATTPROOF_").lower()


def _form_field(variable: Variable) -> dict[str, Any]:
    """One field of a host's form. The default is empty: without one a host passes the placeholder on as it is."""
    meaning = variable.meaning
    if variable.name == "WATTPROOF_PROFILES":
        meaning += f" There are: {', '.join(PROFILES)}."
    field: dict[str, Any] = {
        "type": {"boolean": "boolean", "filepath": "directory"}.get(variable.kind, "string"),
        "title": variable.title,
        "description": f"{meaning} Unless given: {variable.default}.",
        "required": False,
        "default": False if variable.kind == "boolean" else "",
    }
    return {**field, "sensitive": True} if variable.secret else field


def _prompt(prompt: Any) -> dict[str, Any]:
    arguments = [argument.name for argument in prompt.arguments or ()]
    given = ", ".join(f"{name}: ${{arguments.{name}}}" for name in arguments)
    text = f"{prompt.description} {given}".rstrip()
    listed_arguments = {"arguments": arguments} if arguments else {}
    return {"name": prompt.name, "description": prompt.description, **listed_arguments, "text": text}


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
