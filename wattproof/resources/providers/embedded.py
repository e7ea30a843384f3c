"""The embedded model: SmolLM2-135M under llama.cpp's own HTTP server, in a child process on this machine.

Real inference with no key and no network, spoken to over HTTP like any other OpenAI-compatible provider.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from wattproof.methodology.errors import Unavailable, UpstreamError
from wattproof.resources.providers.embedded_parts import (
    CONTEXT_TOKENS,
    MODEL,
    PROVIDER,
    REQUIREMENTS,
    EmbeddedStatus,
    embedded_status,
    find_model_file,
    libgomp_fix,
)
from wattproof.resources.providers.embedded_server import EmbeddedServer
from wattproof.resources.providers.records import ChatDelta, ChatEnd, ChatRequest, Deployment, Price

if TYPE_CHECKING:
    import httpx2

__all__ = [
    "MODEL",
    "PROVIDER",
    "REQUIREMENTS",
    "EmbeddedServer",
    "EmbeddedStatus",
    "deployment",
    "embedded_status",
    "find_model_file",
    "libgomp_fix",
    "stream_embedded",
]


def deployment(zone: str | None) -> Deployment:
    """The embedded model as a candidate; `zone` is where the caller says that this machine is (WATTPROOF_ZONE)."""
    return Deployment(
        provider=PROVIDER,
        model=MODEL,
        native_model=MODEL,
        base_url="embedded:",
        protocol="embedded",
        key_env=(),
        zone=zone,
        location_evidence="unknown" if zone is None else "caller",
        location_source="this machine; no zone was stated" if zone is None else "stated by the caller",
        checked_at="2026-11",
        price=Price(0, 0, 0, "USD", "runs on this machine, no fee", "2026-11"),
        pue=1.0,
        pue_source="no data centre around it: PUE 1 by convention",
        hardware="CPU of this machine",
        context_tokens=CONTEXT_TOKENS,
        local=True,
    )


async def stream_embedded(
    server: EmbeddedServer,
    client: httpx2.AsyncClient,
    row: Deployment,
    request: ChatRequest,
    *,
    timeout_s: float,
) -> AsyncGenerator[ChatDelta | ChatEnd, None]:
    """Send `request` to the embedded model; `ChatEnd.cpu_seconds` is what its process used for this answer.

    One answer at a time, so that CPU time has one owner; waiting for the turn counts towards `timeout_s`. After an
    answer that was cut short, the child may compute up to one more token on the next answer's account.
    `cpu_seconds` is None where the child died before it could be asked.

    Raises:
        UpstreamError: see `stream_chat`; also `timeout` while waiting for the turn, `unavailable` where the server
            cannot start.
    """
    from wattproof.resources.providers.openai_chat import stream_chat

    deadline = anyio.current_time() + timeout_s
    before_s = await _turn(server, deadline)
    try:
        here = replace(row, base_url=server.base_url)
        left_s = deadline - anyio.current_time()
        events = stream_chat(client, here, request, api_key=server.api_key, timeout_s=left_s)
        async with aclosing(events):
            async for event in events:
                yield replace(event, cpu_seconds=await _used(server, before_s)) if isinstance(event, ChatEnd) else event
    finally:
        server.turn.release()


async def _turn(server: EmbeddedServer, deadline: float) -> float:
    """Wait for the server's only slot; returns its CPU time at that moment [s]."""
    try:
        with anyio.fail_after(deadline - anyio.current_time()):
            await server.turn.acquire()
    except TimeoutError as error:
        raise UpstreamError("timeout", "The embedded model was busy until the deadline.", retryable=True) from error
    try:
        with anyio.fail_after(deadline - anyio.current_time()):
            await server.started()
        return await server.cpu_seconds()
    except TimeoutError as error:
        server.turn.release()
        raise UpstreamError("timeout", "The embedded model did not start in time.", retryable=True) from error
    except Unavailable as error:
        server.turn.release()
        raise UpstreamError("unavailable", str(error), retryable=False) from error
    except BaseException:
        server.turn.release()
        raise


async def _used(server: EmbeddedServer, before_s: float) -> float | None:
    try:
        return await server.cpu_seconds() - before_s
    except Unavailable:
        return None
