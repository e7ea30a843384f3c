"""The life of a run: recorded before it is spent, tried within a deadline, settled whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from wattproof.methodology.errors import BudgetExceeded, RequestInFlight, Unavailable, UpstreamError, WattproofError
from wattproof.resources.providers import ChatDelta, ChatEnd, endpoint_for, key_for
from wattproof.resources.providers.adapters import Connection, stream
from wattproof.resources.routing import Candidate, Policy, require_allowed
from wattproof.resources.runs.ask import Ask
from wattproof.resources.runs.attempt import failure_code
from wattproof.resources.runs.plan import plan
from wattproof.resources.runs.records import AttemptFailed, RunDeps, RunEvent, RunRequest, RunSettled
from wattproof.resources.runs.replay import find_replay, replayed
from wattproof.resources.runs.run import Run
from wattproof.resources.runs.turns import running_elsewhere, still_running

__all__ = ["execute"]

_LEAST_TIMEOUT_S = 0.05
# How often to look whether another process is done with the same request.
_FIRST_LOOK_S = 0.05
_LONGEST_LOOK_S = 0.5

Events = AsyncGenerator[ChatDelta | ChatEnd, None]


async def execute(request: RunRequest, policy: Policy, deps: RunDeps) -> AsyncGenerator[RunEvent, None]:
    """Run one inference: the pieces of the answer, a note for each try that failed, then exactly one `RunSettled`.

    The try is in the ledger before the call is made, and the entry with its receipt before `RunSettled` is yielded.
    A failed try is followed by another, on the same deployment or the next that the policy allows, within
    `request.deadline_s` and within what the policy lets all tries together spend. A request_id runs once at a time: a
    second caller waits for the first and gets its replay; where the first leaves no entry, the second runs. Leaving
    early is a cancellation: iterate inside `contextlib.aclosing`, so that it is settled, with the usage known so far
    and the status `cancelled`, before the caller goes on.

    Raises:
        UnknownModel: no edition lists the model.
        RoutingError: no candidate satisfies the policy; nothing was spent or written.
        UpstreamError, Unavailable: every try failed; the reason of the last one.
        BudgetExceeded: a budget allows no try; nothing was spent.
        OperationClosed: its operation takes no more steps.
        RequestConflict: the request_id was used with another body.
        RequestInFlight: another caller still runs the same request_id at the deadline.
        LedgerError: the ledger cannot be written; raised before anything is spent, unless it broke during the run.
    """
    ask = Ask.of(request, policy, deps)
    turn = await deps.turns.take(deps.log_id, ask.request_id, ask.digest, ask.left_s)
    with turn:
        async with aclosing(_until_settled(ask)) as events:
            async for event in events:
                if isinstance(event, RunSettled):
                    # Whoever waits need not wait for what our caller does with it.
                    turn.give_back()
                yield event


async def _until_settled(ask: Ask) -> AsyncGenerator[RunEvent, None]:
    """Run, or wait for the other process that does."""
    while True:
        replay = None if ask.request.request_id is None else await find_replay(ask.deps, ask.request_id, ask.digest)
        if replay is not None:
            yield replay
            return
        try:
            async with aclosing(_run(ask)) as events:
                async for event in events:
                    yield event
        except RequestInFlight:
            await _wait_for_another_process(ask)
        else:
            return


async def _run(ask: Ask) -> AsyncGenerator[RunEvent, None]:
    planned = await plan(ask.request, ask.policy, ask.deps)
    require_allowed(planned.decision)
    run = Run.begin(ask, planned)
    try:
        async with aclosing(_tries(run)) as events:
            async for event in events:
                yield event
    except (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt):
        await run.settle_interrupted("cancelled", "cancelled")
        raise
    finally:
        # Only what nobody foresaw gets here with something still to settle.
        await run.settle_interrupted("failed", "error")


async def _wait_for_another_process(ask: Ask) -> None:
    """Return once no try of the request runs any more: it was settled, failed, or its process died.

    Raises:
        RequestInFlight: it still runs at the deadline.
    """
    pause_s, deps = _FIRST_LOOK_S, ask.deps
    while (left_s := ask.left_s()) > 0:
        await anyio.sleep(min(pause_s, left_s))
        tries = await deps.ledger.attempts(deps.log_id, ask.request_id)
        if running_elsewhere(tries, deps.clock()) is None:
            return
        pause_s = min(1.5 * pause_s, _LONGEST_LOOK_S)
    raise still_running(ask.request_id, "in another process")


async def _tries(run: Run) -> AsyncGenerator[RunEvent, None]:
    order = run.plan.order
    for position, ranked in enumerate(order):
        if not run.may_try(ranked.candidate):
            continue
        async with aclosing(_tries_on(run, ranked.candidate, position + 1 < len(order))) as events:
            async for event in events:
                yield event
                if isinstance(event, RunSettled):
                    return
        if run.left_s <= _LEAST_TIMEOUT_S:
            break
    raise await _ended(run)


async def _tries_on(run: Run, candidate: Candidate, others_left: bool) -> AsyncGenerator[RunEvent, None]:
    """Try one deployment until it settles, or until trying it again is not worth it."""
    pause_s: float | None = 0.0
    tried = 0
    while pause_s is not None:
        if pause_s:
            await anyio.sleep(pause_s)
        if not run.claim(candidate):
            return
        try:
            replay = await run.open_attempt(candidate)
        except BudgetExceeded:
            return
        if replay is not None:
            yield replayed(run.deps, replay.settled)
            return
        try:
            async with aclosing(_answer(run, others_left)) as events:
                async for event in events:
                    yield event
        except (UpstreamError, Unavailable) as error:
            await run.fail_attempt(error)
            tried += 1
            pause_s = _pause_s(run, error, tried, others_left)
            failed = AttemptFailed(candidate.deployment.id, failure_code(error), str(error), pause_s)
        else:
            return
        yield failed


async def _answer(run: Run, others_left: bool) -> AsyncGenerator[ChatDelta | RunSettled, None]:
    """One call: the pieces of the answer, then the settled run."""
    deps, deployment = run.deps, run.candidate.deployment
    connection = Connection(
        client=deps.client,
        api_key=key_for(deployment, deps.environ),
        timeout_s=max(run.left_s, _LEAST_TIMEOUT_S),
        embedded=deps.embedded,
        base_url=None if deployment.base_url_env is None else endpoint_for(deployment, deps.environ),
    )
    await checkpoint_if_cancelled()
    run.sent = True
    run.trace_soon()
    chat = run.ask.request.chat
    with deps.watch.a_try(deployment, chat, connection.base_url or deployment.base_url) as tried:
        async with aclosing(stream(deployment, chat, connection)) as events:
            while run.end is None:
                event = await _next(run, events, others_left)
                if isinstance(event, ChatEnd):
                    run.end = tried.end = event
                else:
                    run.parts.append(event.text)
                    yield event
    yield await run.settle_completed(run.end)


async def _next(run: Run, events: Events, others_left: bool) -> ChatDelta | ChatEnd:
    """The next event; a silence that would use up the time of the other candidates is a timeout."""
    left_s = max(run.left_s, _LEAST_TIMEOUT_S)
    patience_s = left_s * run.deps.retry.patience if others_left else left_s
    try:
        # Around every piece of an answer: a cancel scope of anyio would take five times as long.
        async with asyncio.timeout(patience_s):
            return await anext(events)
    except TimeoutError as error:
        usage = run.counted_so_far()
        raise UpstreamError(
            "timeout",
            f"{run.candidate.deployment.id} sent nothing for {patience_s:.3g} s.",
            retryable=False,
            partial_text=run.text,
            partial_usage=usage,
            partial_usage_source=None if usage is None else "local_count",
        ) from error


def _pause_s(run: Run, error: UpstreamError | Unavailable, tried: int, others_left: bool) -> float | None:
    """How long to wait before trying the same deployment again; None: do not."""
    retry = run.deps.retry
    if isinstance(error, Unavailable) or not error.retryable or tried >= retry.tries_each:
        return None
    # Silence until the deadline, or a deliberate limit, is not cured by asking again at once.
    if error.reason == "timeout" or not run.may_try(run.candidate):
        return None
    jitter = 0.5 + run.deps.random_bytes(1)[0] / 255
    pause_s = max(retry.pause_s * 2 ** (tried - 1) * jitter, error.retry_after_s or 0.0)
    if (others_left and pause_s > retry.longest_pause_s) or pause_s >= run.left_s:
        return None
    return pause_s


async def _ended(run: Run) -> WattproofError:
    """Settle a run whose every try failed, and say so: the last error, how many tries, and the receipt if any."""
    last = run.last_error
    if last is None and run.refused is not None:
        return run.refused
    if last is None:
        return UpstreamError(
            "cooling_down",
            f"{run.plan.order[0].candidate.deployment.id} failed lately, and another request is trying it now. "
            "Ask again in a few seconds, or allow more providers.",
            retryable=True,
        )
    settled = await run.settle_failed(last)
    words = [str(last)]
    if run.attempt_no > 1:
        words.append(f"It was the last of {run.attempt_no} tries.")
    words += [f"Not tried: {each}." for each in run.held_back]
    if len(run.plan.order) < len(run.plan.decision.allowed):
        words.append("Candidates in other zones were not tried; allow_fallback_region=true permits them.")
    if settled is not None:
        words.append(
            f"What was spent is recorded as {settled.settled.receipt_id}; use another request_id to run again."
        )
    text = " ".join(words)
    if isinstance(last, UpstreamError):
        return UpstreamError(last.reason, text, retryable=last.retryable, retry_after_s=last.retry_after_s)
    return Unavailable(text)
