"""Finish what has begun, whoever cancels."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio

__all__ = ["shielded"]

T = TypeVar("T")


async def shielded(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end and return its result; a cancellation that arrives meanwhile is raised afterwards.

    An anyio cancel scope is held off by a shield. asyncio's own `Task.cancel()` passes through that, so the work is a
    task of its own, which outlives any number of them.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    try:
        await _end_of(task)
    except asyncio.CancelledError as error:
        cancelled = error
    if cancelled is None:
        return task.result()
    # Only whoever was cancelled needs the shield: a cancelled scope would cancel again and again.
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await _end_of(task)
            except asyncio.CancelledError as error:
                cancelled = error
    task.exception()
    raise cancelled


async def _end_of(task: asyncio.Task[Any]) -> None:
    """Return once the task is done. Cancelling this leaves the task alone."""
    ended = task.get_loop().create_future()
    task.add_done_callback(lambda _: ended.done() or ended.set_result(None))
    await ended
