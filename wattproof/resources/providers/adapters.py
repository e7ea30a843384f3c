"""From a deployment's protocol to the code that speaks it: a table, not a ladder."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wattproof.methodology.errors import Unavailable, UpstreamError
from wattproof.resources.providers.records import (
    ChatDelta,
    ChatEnd,
    ChatRequest,
    Deployment,
    EmbeddingRequest,
    RerankRequest,
    UpstreamRequest,
    WireProtocol,
)

if TYPE_CHECKING:
    import httpx2

    from wattproof.resources.providers.embedded import EmbeddedServer

__all__ = ["ADAPTERS", "Adapter", "Connection", "Events", "serves", "stream"]

Events = AsyncGenerator[ChatDelta | ChatEnd, None]


@dataclass(frozen=True, slots=True)
class Connection:
    """What an adapter may use: the client, the key, the time, the address, and a way to the embedded model.

    `embedded` returns the running server, starting it if need be; None where there is none. `base_url` is the address
    to call in place of the row's own, where a variable of the environment names it (`catalogue.endpoint_for`).
    """

    client: httpx2.AsyncClient
    api_key: str | None
    timeout_s: float
    embedded: Callable[[], Awaitable[EmbeddedServer]] | None = None
    base_url: str | None = None


@dataclass(frozen=True, slots=True)
class Adapter:
    """The code for one wire protocol, and the kind of request that it serves."""

    serves: type[ChatRequest | EmbeddingRequest | RerankRequest]
    stream: Callable[[Deployment, Any, Connection], Events]


def serves(deployment: Deployment, request: UpstreamRequest) -> bool:
    """Whether the deployment's protocol serves this kind of request; one that no adapter speaks says so when called."""
    adapter = ADAPTERS.get(deployment.protocol)
    return adapter is None or isinstance(request, adapter.serves)


def stream(deployment: Deployment, request: UpstreamRequest, connection: Connection) -> Events:
    """Send `request` to `deployment`: the answer's pieces, then exactly one `ChatEnd`.

    Iterate inside `contextlib.aclosing`, so that leaving early closes the connection at once.

    Raises:
        UpstreamError: at once (`bad_request`) where the protocol serves another kind of request; else while iterating,
            see `upstream_failures`.
        Unavailable: no adapter speaks this protocol, or the embedded model cannot start.
    """
    adapter = ADAPTERS.get(deployment.protocol)
    if adapter is None:
        raise Unavailable(
            f"{deployment.id} speaks {deployment.protocol}, which is not supported yet; "
            f"choose a deployment that speaks {' or '.join(sorted(ADAPTERS))}."
        )
    if not isinstance(request, adapter.serves):
        others = sorted(name for name, other in ADAPTERS.items() if isinstance(request, other.serves))
        raise UpstreamError(
            "bad_request",
            f"{deployment.id} speaks {deployment.protocol}, which serves no {type(request).__name__}; "
            f"choose a deployment that speaks {' or '.join(others)}.",
            retryable=False,
        )
    if connection.base_url is not None:
        deployment = replace(deployment, base_url=connection.base_url)
    return adapter.stream(deployment, request, connection)


def _openai_chat(deployment: Deployment, request: ChatRequest, connection: Connection) -> Events:
    from wattproof.resources.providers.openai_chat import stream_chat

    key, timeout_s = connection.api_key, connection.timeout_s
    return stream_chat(connection.client, deployment, request, api_key=key, timeout_s=timeout_s)


def _anthropic_messages(deployment: Deployment, request: ChatRequest, connection: Connection) -> Events:
    from wattproof.resources.providers.anthropic_messages import stream_messages

    key, timeout_s = connection.api_key, connection.timeout_s
    return stream_messages(connection.client, deployment, request, api_key=key, timeout_s=timeout_s)


def _openai_embeddings(deployment: Deployment, request: EmbeddingRequest, connection: Connection) -> Events:
    from wattproof.resources.providers.embeddings import stream_embeddings

    key, timeout_s = connection.api_key, connection.timeout_s
    return stream_embeddings(connection.client, deployment, request, api_key=key, timeout_s=timeout_s)


def _rerank(deployment: Deployment, request: RerankRequest, connection: Connection) -> Events:
    from wattproof.resources.providers.rerank import stream_rerank

    key, timeout_s = connection.api_key, connection.timeout_s
    return stream_rerank(connection.client, deployment, request, api_key=key, timeout_s=timeout_s)


async def _embedded(deployment: Deployment, request: ChatRequest, connection: Connection) -> Events:
    from contextlib import aclosing

    from wattproof.resources.providers.embedded import stream_embedded

    if connection.embedded is None:
        raise Unavailable("The embedded model is not set up here; run: wattproof embedded install.")
    server = await connection.embedded()
    events = stream_embedded(server, connection.client, deployment, request, timeout_s=connection.timeout_s)
    async with aclosing(events):
        async for event in events:
            yield event


ADAPTERS: Mapping[WireProtocol, Adapter] = {
    "openai-chat": Adapter(ChatRequest, _openai_chat),
    "anthropic-messages": Adapter(ChatRequest, _anthropic_messages),
    "openai-embeddings": Adapter(EmbeddingRequest, _openai_embeddings),
    "rerank": Adapter(RerankRequest, _rerank),
    "embedded": Adapter(ChatRequest, _embedded),
}
