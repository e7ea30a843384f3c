"""The recorder: steps go in from any thread, and are entries of the ledger once they are flushed."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from wattproof.methodology.errors import InvalidInput, WattproofError
from wattproof.recorder.background import BackgroundLoop

if TYPE_CHECKING:
    from wattproof.resources.operations import Step
    from wattproof.tools.deps import Deps
    from wattproof.tools.operation_result import OperationResult

__all__ = ["OpenDeps", "Recorder", "StepKind", "StepUsage"]

StepKind = Literal["llm", "embedding", "tool", "other"]
OpenDeps = Callable[[], "AbstractAsyncContextManager[Deps]"]
"""Opens what the tools may touch; called once, in the recorder's own thread."""

_log = logging.getLogger("wattproof.recorder")
_MOST_WAITING = 10_000
_AT_ONCE = 100
_NONCE_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUsage:
    """One call as the code that made it states it. Cached tokens are part of the input, reasoning tokens of the output.

    Without `step_id` the step gets a name of its own; with one it is recorded once, however often it is sent.

    Raises:
        InvalidInput: a name is not text, or a count not an integer.
    """

    model: str
    input_tokens: int
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    provider: str | None = None
    zone: str | None = None
    step_id: str | None = None
    step_kind: StepKind = "llm"
    retry_of: str | None = None
    operation_id: str | None = None

    def __post_init__(self) -> None:
        for name in ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens"):
            count: object = getattr(self, name)
            if type(count) is not int:
                raise InvalidInput(name, f"is {str(count)[:40]!r}", "give an integer")
        for name in ("model", "provider", "zone", "step_id", "retry_of", "operation_id"):
            value: object = getattr(self, name)
            if not (isinstance(value, str) or (value is None and name != "model")):
                raise InvalidInput(name, f"is {str(value)[:40]!r}", "give text")


class Recorder:
    """Records steps into an operation of the ledger in `home`.

    `operation_id` is the operation of steps that name none; without one every step must. `zone` is where calls ran that
    say nothing themselves, if you know. `home` is the folder of the ledger, by default that of the command line.

    A step that was submitted is written in the background: `submit` never waits and never raises, so that recording
    cannot break the work that is recorded. What could not be written is logged to ``wattproof.recorder`` and counted in
    `dropped`. Leaving the ``with`` block, `flush` and `close` wait until all is on disk. Threads may share a recorder.
    """

    def __init__(
        self,
        operation_id: str | None = None,
        *,
        home: Path | str | None = None,
        zone: str | None = None,
        environ: Mapping[str, str] | None = None,
        open_deps: OpenDeps | None = None,
    ) -> None:
        self.operation_id = operation_id
        self.dropped = 0
        self._zone = zone
        self._open_deps = open_deps or _opener(home, environ)
        self._background = BackgroundLoop("wattproof-recorder")
        self._stack = AsyncExitStack()
        self._deps: Deps | None = None
        self._opening: asyncio.Lock | None = None
        self._gate = Lock()
        self._waiting: deque[tuple[str, StepUsage]] = deque()
        self._writing: Future[None] | None = None
        self._numbered = 0
        self._prefix: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, step: StepUsage | None = None, /, **usage: Any) -> None:
        """Record a step in the background: a `StepUsage`, or its fields by name. Never waits, never raises."""
        try:
            made = step or StepUsage(**usage)
            operation_id = self._operation_of(made)
            with self._gate:
                if len(self._waiting) >= _MOST_WAITING:
                    raise InvalidInput("steps", f"wait for the disk ({_MOST_WAITING})", "submit less, or flush")
                if self._writing is None:
                    # It begins with the gate, which is ours until the step waits.
                    self._writing = self._background.start(self._write_waiting())
                self._waiting.append((operation_id, made))
        except (WattproofError, TypeError) as error:
            self._drop(1, error)

    def record(self, step: StepUsage | None = None, /, **usage: Any) -> OperationResult:
        """Record a step and wait until it is on disk; the operation with it.

        Raises:
            InvalidInput: the step is malformed.
            OperationClosed: the operation has ended.
            LedgerError: the ledger cannot be written.
        """
        made = step or StepUsage(**usage)
        return self._background.run(self._record_and_look(self._operation_of(made), made))

    def status(self, operation_id: str | None = None) -> OperationResult:
        """What the operation came to so far, with everything that was submitted before.

        Raises:
            InvalidInput: it has no steps and was never begun.
        """
        self.flush()
        return self._background.run(self._track("status", self._named(operation_id)))

    def end(self, operation_id: str | None = None) -> OperationResult:
        """Close the operation, with one receipt over its steps."""
        self.flush()
        return self._background.run(self._track("end", self._named(operation_id)))

    def flush(self) -> None:
        """Wait until everything that was submitted is on disk, or was dropped."""
        while True:
            with self._gate:
                writing = self._writing
            if writing is None:
                return
            writing.result()

    def close(self) -> None:
        """Flush, and close the ledger. Closing twice is harmless; nothing can be recorded afterwards."""
        try:
            self.flush()
            if self._deps is not None:
                self._background.run(self._stack.aclose())
        except WattproofError as error:
            _log.warning("The recorder could not be closed in order: %s", error)
        finally:
            self._deps = None
            self._background.close()

    def _operation_of(self, step: StepUsage) -> str:
        return self._named(step.operation_id)

    def _named(self, operation_id: str | None) -> str:
        found = operation_id or self.operation_id
        if found is None:
            raise InvalidInput("operation_id", "is missing", "give it to the recorder, or to each step")
        return found

    def _drop(self, count: int, error: Exception) -> None:
        self.dropped += count
        _log.warning("%d step(s) could not be recorded: %s", count, error)

    async def _write_waiting(self) -> None:
        """Write what waits, a run of steps of one operation at a time, until nothing does."""
        while True:
            with self._gate:
                taken = self._taken()
                if not taken:
                    self._writing = None
                    return
            operation_id, steps = taken[0][0], [step for _, step in taken]
            try:
                await self._record(operation_id, steps)
            except (WattproofError, ValueError, OSError) as error:
                await self._write_singly(operation_id, steps, error)

    async def _write_singly(self, operation_id: str, steps: list[StepUsage], error: Exception) -> None:
        """One bad step must not take its neighbours along."""
        if len(steps) == 1:
            self._drop(1, error)
            return
        for step in steps:
            try:
                await self._record(operation_id, [step])
            except (WattproofError, ValueError, OSError) as alone:
                self._drop(1, alone)

    def _taken(self) -> list[tuple[str, StepUsage]]:
        taken: list[tuple[str, StepUsage]] = []
        while self._waiting and len(taken) < _AT_ONCE and (not taken or self._waiting[0][0] == taken[0][0]):
            taken.append(self._waiting.popleft())
        return taken

    async def _record(self, operation_id: str, steps: list[StepUsage]) -> None:
        from wattproof.resources.operations import stated_step

        deps = await self._opened()
        ledger, deployments, now_s = await deps.ledger(), await deps.deployments(), deps.clock()
        drafts = [
            stated_step(
                self._step(step, deps),
                log_id=deps.log_id,
                operation_id=operation_id,
                deployments=deployments,
                now_s=now_s,
                nonce=deps.random_bytes(_NONCE_BYTES),
            )
            for step in steps
        ]
        await ledger.operations.record(deps.log_id, operation_id, drafts)

    async def _record_and_look(self, operation_id: str, step: StepUsage) -> OperationResult:
        await self._record(operation_id, [step])
        return await self._track("status", operation_id)

    async def _track(self, action: Literal["status", "end"], operation_id: str) -> OperationResult:
        from wattproof.tools.track_operation import OperationArgs, track_operation

        return await track_operation(OperationArgs(action=action, operation_id=operation_id), await self._opened())

    def _step(self, step: StepUsage, deps: Deps) -> Step:
        """The step as the ledger takes it, by the names of our editions and catalogue.

        Raises:
            InvalidInput: a count or a name is malformed.
        """
        from wattproof.methodology.quantity import Usage
        from wattproof.resources.imports.spelling import known_model
        from wattproof.resources.imports.values import name, optional_name, provider_name
        from wattproof.resources.operations import Step

        known = known_model(step.model)
        provider = provider_name(optional_name(step.provider))
        return Step(
            step_id=name(step.step_id, self._next_id(deps)),
            step_kind=step.step_kind,
            model=name(step.model) if known is None else known.id,
            usage=Usage(step.input_tokens, step.output_tokens, step.cached_input_tokens, step.reasoning_tokens),
            provider=None if provider == "unstated" else provider,
            zone=step.zone or self._zone,
            retry_of=optional_name(step.retry_of),
        )

    def _next_id(self, deps: Deps) -> str:
        """A name that no other recorder gives: a random part of this one's, and a number."""
        if self._prefix is None:
            self._prefix = deps.random_bytes(8).hex()
        self._numbered += 1
        return f"{self._prefix}-{self._numbered}"

    async def _opened(self) -> Deps:
        if self._deps is None:
            if self._opening is None:
                self._opening = asyncio.Lock()
            async with self._opening:
                if self._deps is None:
                    self._deps = await self._stack.enter_async_context(self._open_deps())
        return self._deps


def _opener(home: Path | str | None, environ: Mapping[str, str] | None) -> OpenDeps:
    """Opens the ledger as the command line does, in `home` where that is given."""

    def opened() -> AbstractAsyncContextManager[Deps]:
        from wattproof.server.open import open_deps
        from wattproof.server.settings import load_settings

        variables = dict(os.environ if environ is None else environ)
        if home is not None:
            variables["WATTPROOF_HOME"] = str(Path(home).absolute())
        return open_deps(load_settings(variables), local_servers=())

    return opened
