"""Processes of runs, to be killed at any moment: `child_runs.py HOME BASE_URL`.

Everything is imported once. A line of stdin, `FIRST COUNT SKEW_S`, forks a process that runs the requests rFIRST … in
tasks of their own, on a clock that is ahead by SKEW_S; the line after it, `kill` or `wait`, says how it ends. To stdout
go the request id and the receipt id of each run once it has settled, or its error; `ended` when the process is gone.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
from contextlib import aclosing
from pathlib import Path

import anyio

from wattproof.methodology.errors import WattproofError
from wattproof.resources.ledger import open_ledger
from wattproof.resources.providers import ChatRequest, Deployment
from wattproof.resources.providers.transport import open_client
from wattproof.resources.routing import Policy
from wattproof.resources.runs import Retry, RunDeps, RunRequest, RunSettled, execute

MODEL = "gpt-oss-120b"
AT_ONCE = 4


def say(*words: object) -> None:
    # One write of a short line is whole or not there, whenever the process dies.
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def run_all(home: str, base_url: str, first: int, count: int, skew_s: float) -> None:
    row = Deployment("fake", MODEL, MODEL, base_url, "openai-chat", (), "FR", "declared", "test", "2026-11")
    chat = ChatRequest(({"role": "user", "content": "hi"},), 10)

    def clock() -> float:
        return time.time() + skew_s

    async with (
        open_ledger(Path(home), clock=clock, random_bytes=secrets.token_bytes) as ledger,
        open_client() as client,
    ):
        deps = RunDeps(
            ledger=ledger,
            client=client,
            catalogue=(row,),
            log_id="local",
            environ={},
            clock=clock,
            monotonic=time.monotonic,
            random_bytes=secrets.token_bytes,
            retry=Retry(pause_s=0.001),
        )
        numbers = iter(range(first, first + count))

        async def work() -> None:
            for number in numbers:
                request = RunRequest(model=MODEL, chat=chat, request_id=f"r{number}", deadline_s=5)
                try:
                    async with aclosing(execute(request, Policy(max_cost_usd=None), deps)) as events:
                        async for event in events:
                            if isinstance(event, RunSettled):
                                say(event.settled.draft.request_id, event.settled.receipt_id)
                except WattproofError as error:
                    say("error", type(error).__name__, error)

        async with anyio.create_task_group() as tasks:
            for _ in range(AT_ONCE):
                tasks.start_soon(work)


def main(home: str, base_url: str) -> None:
    while line := sys.stdin.readline():
        first, count, skew_s = line.split()
        pid = os.fork()
        if pid == 0:
            try:
                anyio.run(run_all, home, base_url, int(first), int(count), float(skew_s))
            finally:
                os._exit(0)
        if sys.stdin.readline().strip() == "kill":
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        say("ended")


if __name__ == "__main__":
    main(*sys.argv[1:3])
