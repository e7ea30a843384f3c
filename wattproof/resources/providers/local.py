"""Model servers on this machine: look once on the usual ports, and take what answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import anyio
import httpx2
import orjson

from wattproof.methodology.errors import UnknownModel
from wattproof.methodology.models import find_model
from wattproof.resources.providers.records import Deployment, Price

__all__ = ["LOCAL_SERVERS", "probe_local"]

# (provider, address): where each listens unless told otherwise.
LOCAL_SERVERS = (
    ("ollama", "http://127.0.0.1:11434/v1"),
    ("vllm", "http://127.0.0.1:8000/v1"),
    ("llama.cpp", "http://127.0.0.1:8080/v1"),
)
_PROBE_AT_MOST_S = 0.3
_MAX_BODY_BYTES = 256 * 1024
_MAX_MODELS = 64
# Ollama's own names for models of the edition.
_OLLAMA_TAGS: Mapping[str, str] = {
    "gpt-oss:120b": "gpt-oss-120b",
    "gpt-oss:20b": "gpt-oss-20b",
    "llama3.3:70b": "llama-3.3-70b-instruct",
    "mistral-small3.2:24b": "mistral-small-3.2-24b",
    "qwen3:32b": "qwen3-32b",
    "smollm2:135m": "smollm2-135m-instruct",
}


async def probe_local(
    client: httpx2.AsyncClient,
    environ: Mapping[str, str],
    servers: tuple[tuple[str, str], ...] = LOCAL_SERVERS,
) -> tuple[Deployment, ...]:
    """The models that servers on this machine offer, asked in parallel with 300 ms each; absent ones are no error.

    Their zone is WATTPROOF_ZONE, stated by the caller. A model that the edition does not list keeps the server's name.
    """
    found: dict[str, tuple[Deployment, ...]] = {}

    async def probe(provider: str, base_url: str) -> None:
        names = await _model_names(client, base_url)
        found[provider] = tuple(_deployment(provider, base_url, name, environ) for name in names)

    async with anyio.create_task_group() as group:
        for provider, base_url in servers:
            group.start_soon(probe, provider, base_url)
    return tuple(row for provider, _ in servers for row in found[provider])


async def _model_names(client: httpx2.AsyncClient, base_url: str) -> tuple[str, ...]:
    body = bytearray()
    with anyio.move_on_after(_PROBE_AT_MOST_S) as scope:
        try:
            async with client.stream("GET", f"{base_url}/models", follow_redirects=False) as response:
                if response.status_code != 200:
                    return ()
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > _MAX_BODY_BYTES:
                        return ()
        except httpx2.TransportError:
            return ()
    return () if scope.cancelled_caught else _names(bytes(body))


def _names(body: bytes) -> tuple[str, ...]:
    """Names in a `/v1/models` answer; () for anything else that happens to listen on the port."""
    try:
        content: object = orjson.loads(body)
    except ValueError:
        return ()
    rows: object = cast("dict[str, Any]", content).get("data") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        return ()
    names = [cast("dict[str, Any]", row).get("id") for row in cast("list[object]", rows) if isinstance(row, dict)]
    usable = [name for name in names if isinstance(name, str) and 0 < len(name) <= 200 and name.isprintable()]
    return tuple(dict.fromkeys(usable))[:_MAX_MODELS]


def _deployment(provider: str, base_url: str, name: str, environ: Mapping[str, str]) -> Deployment:
    zone = environ.get("WATTPROOF_ZONE", "").strip().upper() or None
    return Deployment(
        provider=provider,
        model=_canonical(name),
        native_model=name,
        base_url=base_url,
        protocol="openai-chat",
        key_env=(),
        zone=zone,
        location_evidence="unknown" if zone is None else "caller",
        location_source="this machine; no zone was stated" if zone is None else "stated by the caller",
        checked_at="",
        price=Price(0, 0, 0, "USD", "runs on this machine, no fee", ""),
        local=True,
        origin="probed",
    )


def _canonical(name: str) -> str:
    try:
        return find_model(_OLLAMA_TAGS.get(name.removesuffix(":latest"), name)).id
    except UnknownModel:
        return name
