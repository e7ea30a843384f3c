"""Serve MCP over stdin and stdout, with the first answers there before the SDK is.

Importing the SDK and the tools takes about half a second, an interpreter a few milliseconds. So a thread answers what
the baked file can answer (see `faststart_answers`) and holds back the rest, while this thread imports; then the SDK
gets the lines held back, in order, and every line after them (see `faststart_session`).

When a definition of a tool, a resource or a prompt, the instructions or the SDK's version changes, write the baked file
anew: ``python -m wattproof.server.bake``, or ``make contracts``. A stale file is noticed by a test, and by its version
at start; then everything waits for the SDK, and nothing else changes. ``WATTPROOF_FAST_START=0`` does without all of
it, for comparing: the SDK's own transport serves.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp.server import MCPServer

    from wattproof.server.settings import Settings
    from wattproof.tools.deps import Deps

__all__ = ["load_server", "serve_stdio"]

_AT_A_TERMINAL = (
    "wattproof: serving MCP over stdin and stdout; an MCP host normally starts this. Ctrl-C stops.\n"
    "To try it here: wattproof demo. To add it to a host: wattproof install --help. All commands: --help.\n"
)

# A host writes its first line before or soon after it starts a server. Until then importing would only delay the reply.
_WAIT_FOR_FIRST_LINE_S = 0.05
# How long the importing thread may keep the interpreter from the answering one.
_SWITCH_S = 0.0005


def serve_stdio(environ: Mapping[str, str]) -> int:
    """Serve MCP over stdin and stdout until stdin ends; returns the exit status.

    To a person at a terminal, says so on stderr.

    Raises:
        InvalidInput, KeyUnusable: a setting is wrong; nothing was served.
    """
    from wattproof.server.settings import load_settings

    settings = load_settings(environ)
    if sys.stdin is not None and sys.stdin.isatty():
        sys.stderr.write(_AT_A_TERMINAL)
        sys.stderr.flush()
    wire = None
    if environ.get("WATTPROOF_FAST_START", "").strip() != "0":
        from wattproof.server.faststart_answers import load_answers
        from wattproof.server.faststart_desk import Desk
        from wattproof.server.faststart_wire import take_stdio

        wire = take_stdio(Desk(load_answers(settings.profiles, settings.apps)))
    if wire is None:
        load_server(settings).run("stdio")
        return 0
    import gc

    usual = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    # What is imported stays: looking for garbage in it takes a tenth of the time.
    gc.disable()
    wire.start()
    wire.first_line.wait(_WAIT_FOR_FIRST_LINE_S)
    server = load_server(settings)
    from wattproof.server.faststart_session import serve_behind

    gc.freeze()
    gc.enable()
    sys.setswitchinterval(usual)
    return serve_behind(wire, server)


def load_server(settings: Settings) -> MCPServer[Deps]:
    """The server over its own installation: everything that takes time to import."""
    from wattproof.server.app import build_server
    from wattproof.server.serving.stdio import watched_over_stdio

    return build_server(watched_over_stdio(settings), settings.profiles, settings.apps)
