"""An authorization server on 127.0.0.1: real keys, a key set over real HTTP, tokens as wrong as a test wants them."""

from __future__ import annotations

import json
import threading
import time
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

RESOURCE = "https://watt.example/mcp"

_RSA = [rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)]
"""Made once: they take long to find."""
WEAK_RSA = rsa.generate_private_key(65537, 1024)


@dataclass
class Issuer:
    """What the server answers, how often it was asked, and keys by their id."""

    keys: dict[str, Any]
    algorithms: dict[str, str]
    port: int = 0
    asked: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None
    gate: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """The iss of its tokens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def jwks_url(self) -> str:
        """Where its keys are."""
        return f"{self.url}/jwks.json"

    def jwks(self) -> bytes:
        """The public halves of the keys that it publishes."""
        return json.dumps({"keys": [public_jwk(key, kid) for kid, key in self.keys.items()]}).encode()

    def token(self, kid: str | None = "rsa-1", *, key: Any = None, alg: str | None = None, **changes: Any) -> str:
        """A token for `RESOURCE` with every scope; `changes` replace claims, or leave out those that are None."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.url,
            "sub": "alice",
            "aud": RESOURCE,
            "iat": now,
            "exp": now + 300,
            "scope": "openid estimate infer audit admin",
            **changes,
        }
        header = {} if kid is None else {"kid": kid}
        signing = key if key is not None else self.keys[kid or "rsa-1"]
        algorithm = alg or self.algorithms.get(kid or "rsa-1", "RS256")
        with warnings.catch_warnings():
            # Of keys that are too short, on purpose.
            warnings.simplefilter("ignore")
            return jwt.encode({k: v for k, v in claims.items() if v is not None}, signing, algorithm, headers=header)


def public_jwk(key: Any, kid: str) -> dict[str, Any]:
    """The public half of `key` as a JWK."""
    public = key.public_key()
    if isinstance(key, rsa.RSAPrivateKey):
        row: dict[str, Any] = RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        row = ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        row = OKPAlgorithm.to_jwk(public, as_dict=True)
    return {**row, "kid": kid, "use": "sig"}


@contextmanager
def issuing() -> Generator[Issuer]:
    """Serve the keys until the block ends."""
    issuer = Issuer(
        keys={
            "rsa-1": _RSA[0],
            "ec-1": ec.generate_private_key(ec.SECP256R1()),
            "ed-1": ed25519.Ed25519PrivateKey.generate(),
        },
        algorithms={"rsa-1": "RS256", "rsa-2": "PS256", "ec-1": "ES256", "ed-1": "EdDSA"},
    )
    issuer.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked += 1
            issuer.gate.wait(20)
            body = issuer.jwks() if issuer.body is None else issuer.body
            self.send_response(issuer.status)
            for name, value in issuer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                # The client had enough.
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield issuer
    finally:
        issuer.gate.set()
        server.shutdown()
        thread.join(20)
        server.server_close()


def rotate(issuer: Issuer) -> None:
    """Sign with another key from now on, and publish that one alone."""
    issuer.keys = {"rsa-2": _RSA[1]}
