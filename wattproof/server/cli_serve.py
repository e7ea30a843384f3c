"""``serve`` and ``demo``."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from wattproof.methodology.errors import InvalidInput
from wattproof.server.cli_output import print_json, print_text, say

__all__ = ["demo", "serve"]

DEFAULT_PORT = 8321


def serve(
    http: Annotated[bool, typer.Option("--http", help="Streamable HTTP instead of stdin and stdout.")] = False,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 unless given.")] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help=f"Port to listen on; {DEFAULT_PORT} unless given, 0 for a free one."),
    ] = None,
    called: Annotated[
        list[str] | None, typer.Option(help="A further name (or name:port) by which clients call it; may be repeated.")
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Processes that serve the same port; 1 unless given.")
    ] = 1,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="No bearer token; loopback only, and keyed providers cannot be run.")
    ] = False,
) -> None:
    """Serve MCP over stdin and stdout, or with --http over streamable HTTP behind a bearer token."""
    if http:
        from wattproof.server.listen import serve_http
        from wattproof.server.settings import load_settings

        serve_http(
            load_settings(os.environ),
            host or "127.0.0.1",
            DEFAULT_PORT if port is None else port,
            authenticated=not no_auth,
            say=say,
            called=called or (),
            workers=workers,
        )
        return
    if no_auth or called or workers != 1 or host is not None or port is not None:
        raise InvalidInput("--http", "is missing", "the other options of serve are for HTTP; add --http")
    from wattproof.server.faststart import serve_stdio

    raise typer.Exit(serve_stdio(os.environ))


def demo(as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False) -> None:
    """The main job on this machine: estimate, route, run, record, prove. Exits 4 when no model could be run."""
    import anyio

    from wattproof.server.demo import run_demo
    from wattproof.server.settings import load_settings

    outcome = anyio.run(run_demo, load_settings(os.environ))
    if as_json:
        print_json(outcome.structured)
    else:
        print_text(outcome.text)
    if outcome.exit_code:
        raise typer.Exit(outcome.exit_code)
