"""Old names of tools and parameters: they still work, are not listed, and the result says the name of today.

A rename is one row of `RENAMED`. A call by an old name is rewritten before anything else sees it, so nothing below has
to know that there ever was another name.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext

    from wattproof.server.tool_table import ToolSpec

__all__ = ["RENAMED", "Renames", "answering_to_old_names", "require_sound"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Renames:
    """What was called otherwise: `tools` old name -> new; `parameters` by today's tool name, old -> new."""

    tools: Mapping[str, str] = field(default_factory=dict[str, str])
    parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])

    def __bool__(self) -> bool:
        return bool(self.tools or self.parameters)


RENAMED = Renames()
"""Every rename since the first release; none so far."""


def require_sound(renames: Renames, specs: tuple[ToolSpec, ...]) -> None:
    """Refuse a table whose old names are in use, or whose new names are not.

    Raises:
        ValueError: a mistake in the table, which is ours.
    """
    names = {spec.name: set(spec.arguments.model_fields) for spec in specs}
    for old, new in renames.tools.items():
        if old in names or new not in names:
            raise ValueError(f"tool {old!r} -> {new!r}: the old name must be free and the new one in use")
    for tool, pairs in renames.parameters.items():
        known = names.get(tool, set[str]())
        for old, new in pairs.items():
            if old in known or new not in known:
                raise ValueError(f"{tool}.{old} -> {new}: the old name must be free and the new one in use")


def answering_to_old_names(renames: Renames) -> ServerMiddleware[Any]:
    """Middleware that understands the old names of `renames` and says in the result what they are called now."""

    async def rename(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.method != "tools/call" or ctx.params is None:
            return await call_next(ctx)
        params, renamed = _today(ctx.params, renames)
        if not renamed:
            return await call_next(ctx)
        _LOG.warning("called by old names: %s", ", ".join(f"{old} is now {new}" for old, new in renamed.items()))
        result = await call_next(replace(ctx, params=params))
        return _told(result, renamed) if isinstance(result, dict) else result

    return rename


def _today(params: Mapping[str, Any], renames: Renames) -> tuple[Mapping[str, Any], dict[str, str]]:
    """The call by today's names, and which old ones it used. A parameter given by both names is left for the check."""
    name, arguments = params.get("name"), params.get("arguments")
    renamed: dict[str, str] = {}
    pairs: Mapping[str, str] = {}
    if isinstance(name, str) and name in renames.tools:
        renamed[name] = name = renames.tools[name]
    if isinstance(name, str):
        pairs = renames.parameters.get(name, pairs)
    if isinstance(arguments, Mapping) and pairs:
        given = cast("Mapping[str, Any]", arguments)
        used = {old: new for old, new in pairs.items() if old in given and new not in given}
        renamed |= used
        arguments = {used.get(key, key): value for key, value in given.items()}
    return {**params, "name": name, "arguments": arguments}, renamed


def _told(result: dict[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """The result with the new names, in the text and in the structured content."""
    words = " ".join(f"{old} is now {new}." for old, new in renamed.items())
    content: list[Any] = list(result.get("content", ()))
    for at, block in enumerate(content):
        if block.get("type") == "text":
            content[at] = {**block, "text": f"{block['text']}\n{words}"}
            break
    structured = result.get("structuredContent")
    more = {} if structured is None else {"structuredContent": {**structured, "renamed": dict(renamed)}}
    return {**result, "content": content, **more}
