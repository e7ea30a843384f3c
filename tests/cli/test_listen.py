"""Where `serve --http` may listen, and what it says when it may not."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from wattproof.methodology.errors import InvalidInput
from wattproof.server.listen import bind, is_loopback, serve_http
from wattproof.server.settings import Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]"])
def test_only_this_machine_can_reach_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.test", "localhost.example.test", ""])
def test_everything_else_counts_as_public(host: str) -> None:
    assert not is_loopback(host)


def test_a_port_in_use_names_the_option() -> None:
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(InvalidInput, match=rf"--port {port} is already in use on 127\.0\.0\.1; pass another"):
            bind("127.0.0.1", port)


def test_an_address_of_another_machine_names_the_option() -> None:
    with pytest.raises(InvalidInput, match="--host"):
        bind("192.0.2.1", 0)


def test_the_socket_listens_before_anything_is_opened() -> None:
    with bind("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname(), timeout=5):
        pass


def test_answers_are_not_held_back_to_be_sent_together() -> None:
    with bind("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname(), timeout=5):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_public_address_without_a_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--no-auth"):
        serve_http(Settings(home=tmp_path), "0.0.0.0", 0, authenticated=False, say=_unexpected)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("token", ["short", "with spaces in the middle", "nön-ascii-characters"])
def test_a_poor_fixed_token_is_refused_without_being_shown(tmp_path: Path, token: str) -> None:
    settings = Settings(home=tmp_path, environ={"WATTPROOF_HTTP_TOKEN": token})
    with pytest.raises(InvalidInput, match="WATTPROOF_HTTP_TOKEN") as caught:
        serve_http(settings, "127.0.0.1", 0, authenticated=True, say=_unexpected)
    assert token not in str(caught.value)


def _unexpected(text: str) -> None:
    pytest.fail(f"nothing should be said: {text}")
