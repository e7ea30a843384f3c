"""Where each MCP host keeps its servers: one row per host."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wattproof.methodology.errors import InvalidInput

__all__ = ["HOSTS", "Host", "config_path"]


@dataclass(frozen=True, slots=True)
class Host:
    """One MCP host: where its file is on each platform (`sys.platform`), under which key, and what an entry states.

    `locations` are relative to the folder that the first element names: `home`, `config` (XDG_CONFIG_HOME),
    `appdata` (%APPDATA%) or `claude` (CLAUDE_CONFIG_DIR, else the home folder).
    """

    id: str
    title: str
    locations: Mapping[str, tuple[str, ...]]
    servers_key: str
    entry_type: str | None
    then: str
    source: str


HOSTS: Mapping[str, Host] = {
    host.id: host
    for host in (
        Host(
            "claude-desktop",
            "Claude Desktop",
            {
                "darwin": ("home", "Library", "Application Support", "Claude", "claude_desktop_config.json"),
                "win32": ("appdata", "Claude", "claude_desktop_config.json"),
                "linux": ("config", "Claude", "claude_desktop_config.json"),
            },
            "mcpServers",
            None,
            "Quit Claude Desktop completely and start it again.",
            "https://modelcontextprotocol.io/docs/develop/connect-local-servers",
        ),
        Host(
            "vscode",
            "VS Code (default profile)",
            {
                "darwin": ("home", "Library", "Application Support", "Code", "User", "mcp.json"),
                "win32": ("appdata", "Code", "User", "mcp.json"),
                "linux": ("config", "Code", "User", "mcp.json"),
            },
            "servers",
            "stdio",
            "In VS Code run the command 'MCP: List Servers' and start wattproof.",
            "https://code.visualstudio.com/docs/copilot/reference/mcp-configuration",
        ),
        Host(
            "cursor",
            "Cursor",
            {
                "darwin": ("home", ".cursor", "mcp.json"),
                "win32": ("home", ".cursor", "mcp.json"),
                "linux": ("home", ".cursor", "mcp.json"),
            },
            "mcpServers",
            None,
            "In Cursor open Settings, MCP, and switch wattproof on.",
            "https://docs.cursor.com/context/model-context-protocol",
        ),
        Host(
            "claude-code",
            "Claude Code (user scope)",
            {
                "darwin": ("claude", ".claude.json"),
                "win32": ("claude", ".claude.json"),
                "linux": ("claude", ".claude.json"),
            },
            "mcpServers",
            "stdio",
            "Start a new Claude Code session and type /mcp.",
            "https://docs.claude.com/en/docs/claude-code/mcp",
        ),
    )
}


def config_path(host: Host, environ: Mapping[str, str], platform: str = sys.platform) -> Path:
    """The host's configuration file for this user.

    Raises:
        InvalidInput: the host has no known location on this platform, or %APPDATA% is not set.
    """
    location = host.locations.get("linux" if platform.startswith("linux") else platform)
    if location is None:
        raise InvalidInput("host", f"{host.id} has no known file on {platform}", "pass --config FILE")
    home = Path(environ.get("USERPROFILE" if platform == "win32" else "HOME") or Path.home())
    roots = {
        "home": home,
        "config": Path(environ.get("XDG_CONFIG_HOME") or home / ".config"),
        "appdata": Path(environ.get("APPDATA") or home / "AppData" / "Roaming"),
        "claude": Path(environ.get("CLAUDE_CONFIG_DIR") or home),
    }
    return roots[location[0]].joinpath(*location[1:])
