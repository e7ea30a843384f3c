"""``serve --http``: a socket that is checked before anything is opened, a way in, and the processes that serve."""

from __future__ import annotations

import errno
import ipaddress
import os
import secrets
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial

from wattproof.methodology.errors import InvalidInput
from wattproof.server.auth.entrance import Entrance, entrance_of
from wattproof.server.settings import Settings

__all__ = ["bind", "is_loopback", "serve_http"]

_MIN_TOKEN_CHARACTERS = 16
_NOTICED_AFTER_S = 60
_EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104  (compared, not bound)


def serve_http(
    settings: Settings,
    host: str,
    port: int,
    *,
    authenticated: bool,
    say: Callable[[str], None],
    called: Sequence[str] = (),
    workers: int = 1,
) -> None:
    """Serve until stopped; `say` tells the operator the address and the token.

    `called` are the further names (with a port or without) by which clients call this server. `workers` processes
    serve the same socket.

    Raises:
        InvalidInput: --no-auth on an address that others can reach, a port in use, an address that is not ours.
        KeyboardInterrupt: stopped by Ctrl-C.
    """
    if not authenticated and not is_loopback(host):
        raise InvalidInput("--no-auth", f"was given with {host}, which others can reach", "leave one of the two out")
    if workers > 1 and not hasattr(os, "fork"):
        raise InvalidInput("--workers", f"is {workers}, and this system cannot fork", "leave it out")
    entrance = entrance_of(settings, token=_token(settings) if authenticated else None)
    with bind(host, port) as listener:
        _announce(settings, listener, host, entrance, say)
        if host.strip("[]") in _EVERY_ADDRESS and not called:
            say("Clients elsewhere are refused until --called NAME says by which name they call this server.")
        _run(settings, listener, host, entrance, called, workers)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`. Names other than localhost count as public."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        InvalidInput: naming --port when the port is taken or privileged, --host when the address is not ours.
    """
    host = host.strip("[]")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            other = "--port 0 for a free one"
            raise InvalidInput("--port", f"{port} is already in use on {host}", f"pass another, or {other}") from error
        if error.errno == errno.EACCES:
            raise InvalidInput("--port", f"{port} is not permitted for this user", "pass one above 1023") from error
        raise InvalidInput("--host", f"{host!r} cannot be listened on", "give an address of this machine") from error
    # Inherited by each connection. asyncio leaves it off on a socket made like this one, and then Nagle's algorithm and
    # the client's delayed ACK cost 40 ms on every answer that is written in two parts.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A client that vanished without a word is noticed, though its call may take long.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _NOTICED_AFTER_S)
    return listener


def _token(settings: Settings) -> str:
    given = settings.http_token
    if given is None:
        return secrets.token_urlsafe(32)
    if len(given) < _MIN_TOKEN_CHARACTERS or not given.isascii() or any(c.isspace() for c in given):
        raise InvalidInput(
            "WATTPROOF_HTTP_TOKEN",
            f"has fewer than {_MIN_TOKEN_CHARACTERS} characters, or characters that a header cannot carry",
            "give a long random word, or unset it to have one drawn",
        )
    return given


def _announce(
    settings: Settings, listener: socket.socket, host: str, entrance: Entrance, say: Callable[[str], None]
) -> None:
    shown = f"[{host}]" if ":" in host else host
    say(f"wattproof: MCP over streamable HTTP at http://{shown}:{listener.getsockname()[1]}/mcp")
    if entrance.anyone:
        say("No token is asked for; providers that need a key cannot be run.")
    elif entrance.token is not None:
        say(f"Authorization: Bearer {'<WATTPROOF_HTTP_TOKEN>' if settings.http_token else entrance.token}")
    if entrance.keys is not None:
        say("Authorization: Bearer <an API key: wattproof apikey create>")
    if entrance.oauth is not None:
        say(f"Authorization: Bearer <an access token of {entrance.oauth.issuer} for {entrance.oauth.audience}>")
    if not is_loopback(host):
        say("This address can be reached from outside and the connection is not encrypted; put TLS in front.")


def _run(
    settings: Settings,
    listener: socket.socket,
    host: str,
    entrance: Entrance,
    called: Sequence[str],
    workers: int,
) -> None:
    from wattproof.server.app import build_server
    from wattproof.server.http import MAX_REQUEST_BYTES, build_http_app
    from wattproof.server.open import open_deps
    from wattproof.server.serving.health import Remembered
    from wattproof.server.serving.house import House
    from wattproof.server.serving.logs import install

    install(settings.log or ("text" if sys.stderr.isatty() else "json"), calls=True)
    keyed = not entrance.anyone
    port = listener.getsockname()[1]
    names = [*called, *(f"{name}:{port}" for name in called if ":" not in name)]
    # All of it is made here, before workers are forked: they share its secrets, its memory and what was imported.
    with House.opened(settings, workers) as house:
        opened = Remembered(partial(open_deps, settings, allow_keyed_runs=keyed, watch=house.watch))
        server = build_server(opened, settings.profiles, settings.apps, state_key=entrance.state_key, calls=house.calls)
        app = build_http_app(
            server,
            entrance=entrance,
            host=host,
            port=port,
            allow_keyed_runs=keyed,
            allowed_hosts=names,
            house=house,
        )
        house.serve(house.front(app, opened, max_body_bytes=MAX_REQUEST_BYTES), listener, workers)
