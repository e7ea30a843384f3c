"""A provider that speaks HTTP/2 over TLS on 127.0.0.2, an address that no client takes for this machine's own."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset

from tests.fakes.dialects import Answer, OpenAiChat

ADDRESS = "127.0.0.2"
_ANSWER = Answer("gpt-oss-120b-2026", ("The capital ", "of France ", "is Paris."), {}, {})

_FRAMES = [*OpenAiChat().frames(_ANSWER), OpenAiChat.done]
# RFC 9113, section 6.1: a connection error.
_DATA_ON_STREAM_0 = b"\0\0\1\0\0\0\0\0\0x"


@dataclass
class Http2Provider:
    """What the server saw. `hang` keeps every answer open after its first piece, until another
    answer of its connection is left; `mute` answers nothing at all.

    `garble` sends a frame that must not be, before the answer (0 pieces) or after its first piece (1).
    """

    base_url: str
    trust: ssl.SSLContext
    hang: bool = False
    mute: bool = False
    garble: int | None = None
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    streams: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    resets: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def saw(self, what: list[Any], item: object) -> None:
        with self._changed:
            what.append(item)
            self._changed.notify_all()

    def wait_for_resets(self, count: int, at_most_s: float = 5) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self.resets) >= count, at_most_s)

    def wait_for_streams(self, count: int, at_most_s: float = 5) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self.streams) >= count, at_most_s)


@contextlib.contextmanager
def serving(folder: Path, *protocols: str) -> Generator[Http2Provider]:
    """The server, offering `protocols` in the handshake (h2 unless given)."""
    certificate = _certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(list(protocols or ("h2",)))
    trust = ssl.create_default_context(cafile=str(certificate))
    with socket.create_server((ADDRESS, 0)) as listener:
        provider = Http2Provider(f"https://{ADDRESS}:{listener.getsockname()[1]}/v1", trust)
        threading.Thread(target=_accept, args=(listener, context, provider), daemon=True).start()
        try:
            yield provider
        finally:
            # A blocked accept does not notice a close.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, context: ssl.SSLContext, provider: Http2Provider) -> None:
    while True:
        try:
            plain, (_, port) = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(plain, port, context, provider), daemon=True).start()


def _serve(plain: socket.socket, port: int, context: ssl.SSLContext, provider: Http2Provider) -> None:
    with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as connection:
        state = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        state.initiate_connection()
        hanging: set[int] = set()
        connection.sendall(state.data_to_send())
        while data := connection.recv(65_536):
            for event in state.receive_data(data):
                _react(event, port, state, provider, hanging)
            connection.sendall(state.data_to_send())
            if provider.garble is not None and provider.streams:
                connection.sendall(_DATA_ON_STREAM_0)


def _react(event: object, port: int, state: H2Connection, provider: Http2Provider, hanging: set[int]) -> None:
    if isinstance(event, RequestReceived):
        provider.headers.append({str(name): str(value) for name, value in event.headers or ()})
    elif isinstance(event, DataReceived):
        state.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
    elif isinstance(event, StreamReset):
        left = event.stream_id or 0
        provider.saw(provider.resets, (left, int(event.error_code or 0)))
        for stream_id in hanging - {left}:
            _send(stream_id, state, _FRAMES[1:], last=True)
        hanging.clear()
    elif isinstance(event, StreamEnded):
        stream_id = event.stream_id or 0
        if not provider.mute and provider.garble != 0:
            partly = provider.hang or provider.garble is not None
            headers = [(":status", "200"), ("content-type", "text/event-stream"), ("set-cookie", "id=1")]
            state.send_headers(stream_id, headers)
            _send(stream_id, state, _FRAMES[: 1 if partly else None], last=not partly)
            hanging |= {stream_id} if partly else set()
        provider.saw(provider.streams, (port, stream_id))


def _send(stream_id: int, state: H2Connection, frames: list[bytes], *, last: bool) -> None:
    for frame in frames:
        state.send_data(stream_id, frame)
    if last:
        state.end_stream(stream_id)


def _certificate(folder: Path) -> Path:
    """A self-signed certificate for ADDRESS with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fake provider")])
    now = datetime.datetime.now(datetime.UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(ADDRESS))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(alternative, critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "provider.pem"
    unencrypted = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unencrypted)
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
