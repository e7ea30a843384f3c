"""From a deployment's protocol to the code that speaks it: a table, not a ladder."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wattproof.methodology.errors import Unavailable
from wattproof.resources.providers.records import ChatDelta, ChatEnd, ChatRequest, Deployment, WireProtocol

if TYPE_CHECKING:
    import httpx2

    from wattproof.resources.providers.embedded import EmbeddedServer

__all__ = ["ADAPTERS", "Adapter", "Connection", "stream"]


@dataclass(frozen=True, slots=True)
class Connection:
    """What an adapter may use: the client, the key, the time, and a way to the embedded model.

    `embedded` returns the running server, starting it if need be; None where there is none.
    """

    client: httpx2.AsyncClient
    api_key: str | None
    timeout_s: float
    embedded: Callable[[], Awaitable[EmbeddedServer]] | None = None


Adapter = Callable[[Deployment, ChatRequest, Connection], AsyncGenerator[ChatDelta | ChatEnd, None]]


def stream(
    deployment: Deployment, request: ChatRequest, connection: Connection
) -> AsyncGenerator[ChatDelta | ChatEnd, None]:
    """Send `request` to `deployment`: the answer's pieces, then exactly one `ChatEnd`.

    Iterate inside `contextlib.aclosing`, so that leaving early closes the connection at once.

    Raises:
        UpstreamError: while iterating; see `stream_chat`.
        Unavailable: no adapter speaks this protocol, or the embedded model cannot start.
    """
    adapter = ADAPTERS.get(deployment.protocol)
    if adapter is None:
        raise Unavailable(
            f"{deployment.id} speaks {deployment.protocol}, which is not supported yet; "
            f"choose a deployment that speaks {' or '.join(sorted(ADAPTERS))}."
        )
    return adapter(deployment, request, connection)


async def _openai_chat(
    deployment: Deployment, request: ChatRequest, connection: Connection
) -> AsyncGenerator[ChatDelta | ChatEnd, None]:
    from contextlib import aclosing

    from wattproof.resources.providers.openai_chat import stream_chat

    events = stream_chat(
        connection.client, deployment, request, api_key=connection.api_key, timeout_s=connection.timeout_s
    )
    async with aclosing(events):
        async for event in events:
            yield event


async def _embedded(
    deployment: Deployment, request: ChatRequest, connection: Connection
) -> AsyncGenerator[ChatDelta | ChatEnd, None]:
    from contextlib import aclosing

    from wattproof.resources.providers.embedded import stream_embedded

    if connection.embedded is None:
        raise Unavailable("The embedded model is not set up here; run: wattproof embedded install.")
    server = await connection.embedded()
    events = stream_embedded(server, connection.client, deployment, request, timeout_s=connection.timeout_s)
    async with aclosing(events):
        async for event in events:
            yield event


ADAPTERS: Mapping[WireProtocol, Adapter] = {"openai-chat": _openai_chat, "embedded": _embedded}
