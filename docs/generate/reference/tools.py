"""`docs/reference/tools.md`: every tool with its parameters, its result, one call and one refusal."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import Mapping
from typing import Any

from mcp.types import Tool

from docs.generate.listed import listed
from docs.generate.markdown import table
from docs.generate.reference.calls import Called, calls
from docs.generate.reference.notice import NOTICE, cell, code, fenced
from wattproof.server.settings import PROFILES
from wattproof.server.tool_table import PROFILE_TOOLS, TOOLS, ToolSpec
from wattproof.tools.provenance import META_KEY

__all__ = ["render"]

_HEAD = f"""{NOTICE}# Tools

What a call returns stands in the text and, as JSON, in the structured content; `_meta["{META_KEY}"]` repeats the four
fields `region_scope`, `energy_source`, `methodology` and `renewable_ratio_bps`. A brief result leaves out what has its
usual value; `detail: "full"` tells all. `null` is unknown, and `reasons` says why. A figure is an object with `median`,
`low` and `high`; the bounds are null where the method publishes none.

An error is a result with `isError: true` and one sentence: the field, what is wrong with it, what would work. Nothing
is half done after it, except where it says so. [What each costs in tokens](tokens.md).

"""


def render() -> str:
    """The page."""
    parts = [_HEAD]
    found = {tool.name: tool for tool in asyncio.run(listed(PROFILES)).tools}
    parts += [_section(found[spec.name], spec, None) for spec in TOOLS]
    for profile in PROFILES:
        parts += [_section(found[spec.name], spec, profile) for spec in PROFILE_TOOLS[profile]]
    return "\n".join(parts).rstrip() + "\n"


def _section(tool: Tool, spec: ToolSpec, profile: str | None) -> str:
    worked, refused = calls().get(tool.name, (None, None))
    off = f" Only with the profile `{profile}` (`WATTPROOF_PROFILES={profile}`)." if profile else ""
    manners = [
        "reads only" if spec.read_only else "writes to the ledger",
        "asks other hosts" if spec.open_world else "asks no other host",
        "may be repeated" if spec.idempotent else "is not idempotent by itself",
    ]
    return "\n".join(
        (
            f"## `{tool.name}`\n",
            f"{tool.title}. {spec.description}{off} It {', '.join(manners)}.\n",
            table(("parameter", "type", "what"), _parameters(tool.input_schema), numbers=False),
            _result(spec),
            *([] if worked is None else _example(worked)),
            *([] if refused is None else [f"Refused: `{json.dumps(refused.arguments)}`\n", fenced(refused.text)]),
        )
    )


def _parameters(schema: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    required = schema.get("required", ())
    return [
        (
            f"**`{name}`**" if name in required else code(name),
            cell(_type(found)),
            cell(found.get("description", "")),
        )
        for name, found in schema["properties"].items()
    ]


def _type(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(code(value) for value in schema["enum"] if value is not None)
    given: str | list[str] = schema.get("type", "object")
    names = [name for name in ([given] if isinstance(given, str) else given) if name != "null"]
    inner = _type(schema["items"]) if "items" in schema else "anything"
    return " or ".join(f"list of {inner}" if name == "array" else _WORDS[name] for name in names)


_WORDS = {"string": "text", "integer": "integer", "number": "number", "boolean": "true, false", "object": "object"}


def _result(spec: ToolSpec) -> str:
    said = re.sub(r"\s+", " ", inspect.cleandoc(spec.result.__doc__ or ""))
    fields = ", ".join(
        f"`{name}`" + ("?" if name in spec.result.omitted_when_null else "") for name in spec.result.model_fields
    )
    return f"Result (`?`: only where it applies). {said} Fields: {fields}.\n"


def _example(worked: Called) -> list[str]:
    return [
        f"Call: `{json.dumps(worked.arguments)}`\n",
        fenced(worked.text),
        "<details><summary>Structured content</summary>\n",
        fenced(json.dumps(worked.structured, indent=1, ensure_ascii=False), "text"),
        "</details>\n",
    ]
