"""`kill -9` in the middle of runs: whatever was acknowledged is there, and every try is settled or explained, once."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from wattproof.resources.ledger import Ledger, SummaryQuery, open_ledger

if TYPE_CHECKING:
    from tests.fakes.provider import FakeProvider

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks, and kills with SIGKILL")

FRESH = 6
# Each process runs on a clock so far ahead that the leases of the one before have ended.
SKEW_S = 200.0
LONGEST_DELAY_S = 0.01


class Processes:
    """Forks processes of runs, see child_runs.py."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        self.acknowledged: dict[str, str] = {}

    def start(self, first: int, count: int, skew_s: float) -> None:
        self._say(f"{first} {count} {skew_s}")

    def kill(self) -> None:
        self._say("kill")
        self.read()

    def wait(self) -> None:
        self._say("wait")
        self.read()

    def read(self, most: int | None = None) -> None:
        """Read what the process acknowledges: `most` runs (None: until it is gone)."""
        taken = 0
        while taken != most and (line := self._line()) != "ended":
            request_id, receipt_id = line.split()
            assert self.acknowledged.setdefault(request_id, receipt_id) == receipt_id, "one request, one receipt"
            taken += 1

    def _say(self, line: str) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(line + "\n")
        self._child.stdin.flush()

    def _line(self) -> str:
        assert self._child.stdout is not None
        return self._child.stdout.readline().strip()


@contextmanager
def processes(home: Path, base_url: str) -> Generator[Processes]:
    script = Path(__file__).with_name("child_runs.py")
    environ = {**os.environ, "PYTHONPATH": str(script.parent.parent.parent)}
    with subprocess.Popen(
        [sys.executable, str(script), str(home), base_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environ,
    ) as child:
        try:
            yield Processes(child)
        finally:
            child.kill()


def open_later(home: Path, rounds: int) -> Ledger:
    """The ledger on a clock by which every lease has ended."""
    return open_ledger(home, clock=lambda: time.time() + SKEW_S * (rounds + 1), random_bytes=lambda n: bytes(n))


async def require_each_settled_once(ledger: Ledger, acknowledged: dict[str, str], ids: list[str]) -> int:
    """Checks every request; returns how many have no entry."""
    unsettled = 0
    for request_id in ids:
        tries = await ledger.attempts("local", request_id)
        entry = await ledger.get("local", request_id=request_id)
        states = Counter(tried.state for tried in tries)
        if entry is None:
            assert request_id not in acknowledged
            assert set(states) <= {"open", "abandoned"}
            unsettled += bool(tries)
            continue
        assert states["settled"] == 1, (request_id, states)
        assert set(states) <= {"settled", "abandoned"}
        assert tries[-1].state == "settled"
        assert entry.draft.attempts == len(tries)
        assert acknowledged.get(request_id, entry.receipt_id) == entry.receipt_id
    return unsettled


@pytest.mark.parametrize("rounds", [20, pytest.param(100, marks=pytest.mark.slow)])
async def test_kills_at_random_leave_every_try_settled_or_abandoned_once(
    tmp_path: Path, fake_provider: FakeProvider, rounds: int
) -> None:
    home, chance = tmp_path / "home", random.Random(20261105)
    with processes(home, fake_provider.base_url) as forked:
        for number in range(rounds):
            # The requests of the round before come again: replayed where they were settled, else tried again.
            first = max(0, (number - 1) * FRESH)
            forked.start(first, 2 * FRESH, number * SKEW_S)
            forked.read(chance.randrange(2 * FRESH))
            time.sleep(chance.uniform(0.0, LONGEST_DELAY_S))
            forked.kill()
        killed = dict(forked.acknowledged)
        ids = [f"r{number}" for number in range((rounds + 1) * FRESH)]
        async with open_later(home, rounds) as ledger:
            report = await ledger.fsck()
            assert report.findings == ()
            unsettled = await require_each_settled_once(ledger, killed, ids)
            assert (await ledger.summary(SummaryQuery("local"))).unsettled_count == unsettled
            assert unsettled > 0, "no process was killed in the middle of anything"
        # Whoever asks again later gets every one of them settled.
        forked.start(0, len(ids), (rounds + 1) * SKEW_S)
        forked.wait()
    assert len(forked.acknowledged) == len(ids)
    async with open_later(home, rounds + 1) as ledger:
        assert await require_each_settled_once(ledger, forked.acknowledged, ids) == 0
        assert (await ledger.head("local"))[0] == len(ids)
        assert (await ledger.fsck()).findings == ()
