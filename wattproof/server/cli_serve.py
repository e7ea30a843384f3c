"""``serve`` and ``demo``."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from wattproof.server.cli_output import print_json, print_text, say

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("serve")(serve)
    app.command("demo")(demo)


def serve(
    http: Annotated[bool, typer.Option("--http", help="Streamable HTTP instead of stdin and stdout.")] = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8321,
    called: Annotated[
        list[str] | None, typer.Option(help="A further name (or name:port) by which clients call it; may be repeated.")
    ] = None,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="No bearer token; loopback only, and keyed providers cannot be run.")
    ] = False,
) -> None:
    """Serve MCP over stdin and stdout, or with --http over streamable HTTP behind a bearer token."""
    if not http:
        from wattproof.server.open import serve_stdio

        serve_stdio(os.environ)
        return
    from wattproof.server.listen import serve_http
    from wattproof.server.settings import load_settings

    serve_http(load_settings(os.environ), host, port, authenticated=not no_auth, say=say, called=called or ())


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
