"""The verbs: one file per tool, each `async def x(args, deps) -> XResult` with a `brief(result)` in words.

Nothing here imports the MCP SDK: the server, the command line and the gateway call the same functions.
"""

from wattproof.tools.deps import Deps

__all__ = ["Deps"]
