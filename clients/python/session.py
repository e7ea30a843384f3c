"""The part that every client of this folder shares: orders as JSON lines in, what the model would read out.

A client's file makes a `Session` out of a target and hands it to `serve`. Standard library only: this runs in the
client's own environment.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import Any, Protocol, TypedDict


class Target(TypedDict, total=False):
    """Where the server is: a command for stdio, or an address with a token; `variant` is one way to use the client."""

    command: str
    args: list[str]
    env: dict[str, str]
    url: str
    headers: dict[str, str]
    variant: str


class Session(Protocol):
    """A connected client."""

    async def tools(self) -> dict[str, Any]:
        """Each tool's name with the parameter schema that the model is given."""
        ...

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        """Call a tool as the framework would for its model; returns the text that the model reads."""
        ...


Connect = Callable[[Target], AbstractAsyncContextManager[Session]]


def serve(connect: Connect, *packages: str) -> None:
    """Connect to the target of the first argument and carry out orders until stdin ends."""
    # What a framework prints would spoil the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asyncio.run(_serve(connect, json.loads(sys.argv[1]), packages, answers))


async def _serve(connect: Connect, target: Target, packages: tuple[str, ...], answers: Any) -> None:
    def answer(content: dict[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    async with connect(target) as session:
        answer({"connected": True, "versions": {name: version(name) for name in packages}})
        while line := await asyncio.to_thread(sys.stdin.readline):
            order = json.loads(line)
            try:
                answer(await _carry_out(session, order))
            except Exception as error:  # noqa: BLE001  what reaches the application instead of the model is a finding
                answer({"raised": f"{type(error).__name__}: {error}"})


async def _carry_out(session: Session, order: dict[str, Any]) -> dict[str, Any]:
    match order["do"]:
        case "tools":
            return {"tools": await session.tools()}
        case "call":
            return {"model_reads": await session.call(order["name"], order["arguments"])}
        case "abandon":
            try:
                await asyncio.wait_for(session.call(order["name"], order["arguments"]), order["after_s"])
            except TimeoutError:
                return {"abandoned": True}
            return {"abandoned": False}
        case other:
            raise ValueError(other)
