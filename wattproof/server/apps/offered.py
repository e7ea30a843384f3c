"""Whether a client is offered the cards. Imports nothing heavy: the fast start asks too, before the SDK is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

__all__ = ["APPS_SETTINGS", "EXTENSION", "VIEW_MIME", "AppsSetting", "apps_offered"]

EXTENSION = "io.modelcontextprotocol/ui"
"""The identifier of MCP Apps among a client's, and a server's, `capabilities.extensions`."""

VIEW_MIME = "text/html;profile=mcp-app"
"""What a view is served as, and what a client lists in its `mimeTypes` when it can show one."""

AppsSetting = Literal["auto", "on", "off"]
APPS_SETTINGS: tuple[AppsSetting, ...] = ("auto", "on", "off")


def apps_offered(setting: AppsSetting, capabilities: Mapping[str, object] | None) -> bool:
    """Whether lists name the views and the tools that only views call.

    `capabilities` are the client's as they came over the wire: of `initialize`, or of a request's `_meta` since
    2026-07-28. None: nobody knows them, as in a stateless request of the older protocol; only "on" offers then.
    """
    if setting != "auto":
        return setting == "on"
    settings = _object(_object(capabilities, "extensions"), EXTENSION)
    mime_types = None if settings is None else settings.get("mimeTypes")
    return isinstance(mime_types, list | tuple) and VIEW_MIME in cast("list[object]", mime_types)


def _object(holder: Mapping[str, object] | None, name: str) -> Mapping[str, object] | None:
    value = None if holder is None else holder.get(name)
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else None
