"""`kill -9` in the middle of runs: whatever was acknowledged is there, whatever is not settled is explained."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wattproof.resources.ledger import SummaryQuery, open_ledger

if TYPE_CHECKING:
    from tests.fakes.provider import FakeProvider

# 50 runs, 5 at a time; the receipt id goes to stdout only after the run has settled.
_CHILD = """
import secrets, sys, time
from pathlib import Path
import anyio
from wattproof.resources.ledger import open_ledger
from wattproof.resources.providers import ChatRequest, Deployment
from wattproof.resources.providers.transport import open_client
from wattproof.resources.routing import Policy
from wattproof.resources.runs import RunDeps, RunRequest, RunSettled, execute

home, base_url = sys.argv[1:]
model = "gpt-oss-120b"
row = Deployment("fake", model, model, base_url, "openai-chat", (), "FR", "declared", "test", "2026-11")
chat = ChatRequest(({"role": "user", "content": "hi"},), 10)

async def main():
    ledger = open_ledger(Path(home), clock=time.time, random_bytes=secrets.token_bytes)
    client = open_client()
    deps = RunDeps(ledger=ledger, client=client, catalogue=(row,), log_id="local", environ={}, clock=time.time,
        monotonic=time.monotonic, random_bytes=secrets.token_bytes)
    numbers = iter(range(50))
    async def work():
        for number in numbers:
            request = RunRequest(model=model, chat=chat, request_id=f"r{number}", deadline_s=5)
            async for event in execute(request, Policy(max_cost_usd=None), deps):
                if isinstance(event, RunSettled):
                    print(event.settled.receipt_id, flush=True)
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(work)

anyio.run(main)
"""


@pytest.mark.parametrize("acknowledged", [1, 23])
async def test_kill_9_loses_no_acknowledged_run_and_leaves_no_try_unexplained(
    tmp_path: Path, fake_provider: FakeProvider, acknowledged: int
) -> None:
    home = tmp_path / "home"
    arguments = [sys.executable, "-c", _CHILD, str(home), fake_provider.base_url]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        receipts = [child.stdout.readline().strip() for _ in range(acknowledged)]
        child.kill()
        receipts += [line.strip() for line in child.stdout if line.endswith("\n")]
    assert all(receipts)

    # Two minutes later, when every lease has run out.
    clock = time.time() + 120
    async with open_ledger(home, clock=lambda: clock, random_bytes=lambda n: bytes(n)) as ledger:
        for receipt_id in receipts:
            assert await ledger.get("local", receipt_id=receipt_id) is not None
        report = await ledger.fsck()
        assert report.findings == ()
        unsettled = 0
        for number in range(50):
            tries = await ledger.attempts("local", f"r{number}")
            entry = await ledger.get("local", request_id=f"r{number}")
            assert {tried.state for tried in tries} == (
                set() if not tries else {"open"} if entry is None else {"settled"}
            )
            unsettled += bool(tries) and entry is None
        assert unsettled <= 5
        assert (await ledger.summary(SummaryQuery("local"))).unsettled_count == unsettled
        assert len(report.notes) >= (1 if unsettled else 0)
