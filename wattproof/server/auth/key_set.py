"""The public keys of an issuer (JWKS): read from a configured place, kept, and asked for again with restraint."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import anyio
import jwt

if TYPE_CHECKING:
    import httpx2

__all__ = ["KeySet", "KeySetUnavailable"]

MAX_BYTES = 256 * 1024
MAX_KEYS = 100

_FRESH_S = 600.0
_USABLE_S = 24 * 3600.0
# A token can name any key: what it names must not make us ask the issuer at its pace.
_BETWEEN_S = 30.0
_TIMEOUT_S = 5.0
_MIN_RSA_BITS = 2048
_ALGORITHMS_OF: Mapping[str, tuple[str, ...]] = {"RSA": ("RS256", "PS256"), "EC": ("ES256",), "OKP": ("EdDSA",)}
_CURVES = {"EC": "P-256", "OKP": "Ed25519"}

Client = Callable[[], "AbstractAsyncContextManager[httpx2.AsyncClient]"]


class KeySetUnavailable(Exception):
    """There are no keys to check with. `reason` is for the operator; nobody else is told."""

    def __init__(self, reason: str, retry_after_s: int) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class KeySet:
    """The keys at `place`, an address or a file, by id and algorithm.

    They are asked for again when they are older than ten minutes and when a token names an unknown one, never more than
    once in 30 seconds and never twice at a time. When that fails, those that are there count for a day. `monotonic`
    gives seconds; `open_client` an HTTP client that follows no redirects.
    """

    def __init__(self, place: str | Path, open_client: Client, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._place = place
        self._open_client = open_client
        self._now = monotonic
        self._lock = anyio.Lock()
        self._keys: dict[tuple[str, str], Any] = {}
        self._read_at: float | None = None
        self._tried_at: float | None = None
        self.problem: str | None = None

    async def find(self, kid: str, algorithm: str) -> Any:
        """The public key that `algorithm` needs under the id `kid`; None: the issuer publishes none such.

        Raises:
            KeySetUnavailable: no keys could be had, or none for a day.
        """
        key = self._keys.get((kid, algorithm))
        # A slow issuer holds up one request, not all of them.
        if key is not None and (self._age() < _FRESH_S or self._lock.locked()):
            return key
        await self._read_again()
        if self._age() >= _USABLE_S:
            waited = 0.0 if self._tried_at is None else self._now() - self._tried_at
            raise KeySetUnavailable(self.problem or "no keys", max(1, round(_BETWEEN_S - waited)))
        return self._keys.get((kid, algorithm))

    def _age(self) -> float:
        return float("inf") if self._read_at is None else self._now() - self._read_at

    async def _read_again(self) -> None:
        async with self._lock:
            # Whoever waited for the lock finds what the other one brought.
            if self._tried_at is not None and self._now() - self._tried_at < _BETWEEN_S:
                return
            self._tried_at = self._now()
            try:
                self._keys = _parsed(await self._body())
            except KeySetUnreadable as error:
                self.problem = str(error)
            else:
                self._read_at, self.problem = self._tried_at, None

    async def _body(self) -> bytes:
        if isinstance(self._place, Path):
            return await anyio.to_thread.run_sync(_file, self._place)
        import httpx2

        try:
            with anyio.fail_after(_TIMEOUT_S):
                async with self._open_client() as client, client.stream("GET", self._place) as response:
                    if response.status_code != 200:
                        raise KeySetUnreadable(f"{self._place} answers with status {response.status_code}")
                    body = bytearray()
                    async for part in response.aiter_bytes():
                        body += part
                        if len(body) > MAX_BYTES:
                            raise KeySetUnreadable(f"{self._place} has more than {MAX_BYTES} bytes")
                    return bytes(body)
        except TimeoutError as error:
            raise KeySetUnreadable(f"{self._place} does not answer within {_TIMEOUT_S:g} s") from error
        except httpx2.HTTPError as error:
            raise KeySetUnreadable(f"{self._place} cannot be reached ({type(error).__name__})") from error


class KeySetUnreadable(Exception):
    """One look for the keys failed; the text says why."""


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            body = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise KeySetUnreadable(f"{path} cannot be read ({error.strerror})") from error
    if len(body) > MAX_BYTES:
        raise KeySetUnreadable(f"{path} has more than {MAX_BYTES} bytes")
    return body


def _parsed(body: bytes) -> dict[tuple[str, str], Any]:
    """The keys of a set that check signatures of the algorithms that we accept; others are left out."""
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise KeySetUnreadable("what should be the issuer's keys is not JSON") from error
    rows = cast("dict[str, Any]", document).get("keys") if isinstance(document, dict) else None
    if not isinstance(rows, list):
        raise KeySetUnreadable("what should be the issuer's keys is not a JWK set")
    found: dict[tuple[str, str], Any] = {}
    for row in cast("list[Any]", rows)[:MAX_KEYS]:
        if isinstance(row, dict):
            found.update(_usable(cast("dict[str, Any]", row)))
    if not found:
        raise KeySetUnreadable("the issuer's key set has no key with a kid for RS256, PS256, ES256 or EdDSA")
    return found


def _usable(row: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """One public key under each algorithm that it may be used with; a private or symmetric one under none."""
    kid, kind, stated = row.get("kid"), row.get("kty"), row.get("alg")
    if not isinstance(kid, str) or not isinstance(kind, str) or "d" in row or row.get("use", "sig") != "sig":
        return {}
    algorithms = [name for name in _ALGORITHMS_OF.get(kind, ()) if stated is None or stated == name]
    if not algorithms or row.get("crv") != _CURVES.get(kind):
        return {}
    try:
        key = jwt.PyJWK(row, algorithms[0]).key
    except jwt.PyJWTError:
        return {}
    if kind == "RSA" and key.key_size < _MIN_RSA_BITS:
        return {}
    return {(kid, algorithm): key for algorithm in algorithms}
