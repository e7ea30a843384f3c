"""`docs/reference/resources.md`: resources, templates and prompts."""

from __future__ import annotations

import anyio
from mcp import Client
from mcp.types import TextContent, TextResourceContents

from docs.generate.listed import Listed, closed, listed
from docs.generate.markdown import table
from docs.generate.reference.notice import NOTICE, cell, code, fenced
from wattproof.server.app import build_server

__all__ = ["render"]

_ARGUMENTS = {
    "footprint_report": {"since": "2026-11-01", "until": "2026-12-01"},
    "choose_a_model": {"task": "summarise a contract", "models": "gpt-oss-120b, mistral-small-3.2-24b"},
    "audit_a_receipt": {"receipt": "r_01m8h4"},
}


def render() -> str:
    """The page."""
    return anyio.run(_page)


async def _page() -> str:
    found = await listed()
    own = [r for r in found.resources if str(r.uri).startswith("wattproof:")]
    rows = [(code(r.uri), cell(r.title or ""), cell(r.description or "")) for r in own]
    rows += [(code(t.uri_template), cell(t.title or ""), cell(t.description or "")) for t in found.templates]
    async with Client(build_server(closed)) as client:
        zone = (await client.read_resource("wattproof://zones/FR")).contents[0]
        assert isinstance(zone, TextResourceContents)
        prompts = [await _prompt(client, found, name) for name in (prompt.name for prompt in found.prompts)]
    return "\n".join(
        (
            f"{NOTICE}# Resources and prompts\n",
            "## Resources\n",
            "All are JSON. Ids, zones and methods in a template can be completed (`completion/complete`).\n",
            table(("address", "title", "what"), rows, numbers=False),
            "`wattproof://zones/FR`:\n",
            fenced(zone.text),
            "## Prompts\n",
            "What a person picks from a host's menu; the text tells the model what to do with the tools.\n",
            *prompts,
        )
    )


async def _prompt(client: Client, found: Listed, name: str) -> str:
    prompt = next(prompt for prompt in found.prompts if prompt.name == name)
    rows = [
        (f"**`{a.name}`**" if a.required else code(a.name), cell(a.description or "")) for a in prompt.arguments or ()
    ]
    given = {a.name: _ARGUMENTS[name][a.name] for a in prompt.arguments or () if a.name in _ARGUMENTS[name]}
    said = (await client.get_prompt(name, given)).messages[0].content
    assert isinstance(said, TextContent)
    return "\n".join(
        (
            f"### `{name}`\n",
            f"{prompt.description}\n",
            table(("argument", "what"), rows, numbers=False),
            f"With {', '.join(f'`{key}` {value}' for key, value in given.items())}:\n",
            fenced(said.text),
        )
    )
