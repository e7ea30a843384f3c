"""Batches that move the head by compare-and-swap, on connections and servers that break."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import psycopg
import pytest

from wattproof.methodology.errors import InvalidInput, LedgerLocked, LedgerUnusable
from wattproof.resources.ledger import Ledger, SummaryQuery
from wattproof.resources.ledger.append import Signed
from wattproof.resources.ledger.postgres import PostgresLedger, open_postgres_ledger
from wattproof.resources.ledger.postgres.sequencer import PostgresWriter
from wattproof.resources.receipts import Issuer

if TYPE_CHECKING:
    from tests.ledger_postgres.conftest import Server
    from tests.ledger_postgres.proxy import Proxy

HERE = Path(__file__).parent


async def test_one_bad_request_does_not_spoil_its_neighbours(ledger: Ledger, drafts: Any) -> None:
    def not_canonical(issued_at: str) -> Mapping[str, Any]:
        return {"issued_at": issued_at, "energy": 0.5}

    def broken(issued_at: str) -> Mapping[str, Any]:
        return {"issued_at": issued_at, "energy": 1 // 0}

    entry = drafts.draft("bad")
    outcomes = await asyncio.gather(
        drafts.settle(ledger, "r1"),
        ledger.settle(entry, not_canonical),
        drafts.settle(ledger, "r2"),
        ledger.settle(entry, broken),
        drafts.settle(ledger, "wrong type", latency_ms="fast"),
        drafts.settle(ledger, "no text", finish_reason="a\0b"),
        drafts.settle(ledger, "r3"),
        return_exceptions=True,
    )
    kinds = [type(outcome).__name__ for outcome in outcomes]
    refused = ["InvalidInput", "InvalidInput"]
    assert kinds == ["Settled", "InvalidInput", "Settled", "ZeroDivisionError", *refused, "Settled"]
    assert (await ledger.head("local"))[0] == 3
    assert (await ledger.fsck()).findings == ()


async def test_a_batch_takes_what_is_new_and_answers_what_is_not(ledger: Ledger, drafts: Any, clock: Any) -> None:
    first = await drafts.settle(ledger, "r0", source="litellm", external_id="e0")
    running = drafts.attempt("running", lease_expires_at=clock() + 60)
    await ledger.open_attempt(running)
    outcomes: list[Any] = await asyncio.gather(
        drafts.settle(ledger, "r1", source="litellm", external_id="e0"),
        drafts.settle(ledger, "r2", source="litellm", external_id="e2"),
        drafts.settle(ledger, "r3", source="litellm", external_id="e2"),
        drafts.settle(ledger, "r2"),
        drafts.settle(ledger, "running"),
        drafts.settle(ledger, None),
        drafts.settle(ledger, None),
        return_exceptions=True,
    )
    kinds = [type(outcome).__name__ for outcome in outcomes]
    assert kinds == ["Settled"] * 3 + ["RequestConflict", "RequestInFlight"] + ["Settled"] * 2
    assert outcomes[0] == first
    assert outcomes[1].seq == outcomes[2].seq
    assert (await ledger.head("local"))[0] == 4
    assert (await ledger.fsck()).findings == ()


async def test_tries_of_a_batch_keep_their_shares(ledger: Ledger, drafts: Any, clock: Any) -> None:
    numbers: list[int] = []
    for k in range(6):
        opened = await ledger.open_attempt(drafts.attempt(f"r{k}", lease_expires_at=clock() + 60))
        numbers.append(opened.attempt_no)  # type: ignore[union-attr]
    entries = [drafts.draft(f"r{k}", size=k + 1, status="completed" if k else "cancelled") for k in range(6)]
    await asyncio.gather(
        *(ledger.settle(entry, drafts.payload(entry), number) for entry, number in zip(entries, numbers, strict=True))
    )
    for k, entry in enumerate(entries):
        (tried,) = await ledger.attempts("local", f"r{k}")
        assert (tried.state, tried.usage) == ("settled" if k else "cancelled", entry.usage)


async def test_without_a_lock_the_compare_and_swap_alone_keeps_a_log_right(
    server: Server, open_home: Callable[..., Ledger], home: Path, drafts: Any, clock: Any
) -> None:
    async with open_home() as ledger:
        writers = [PostgresWriter(server.user, f"ledger_{home.name}", clock, lanes=1, queue=False) for _ in "abc"]
        settled = await asyncio.gather(
            *(
                writer.append(drafts.draft(f"{name}{number}"), lambda _, k=number, n=name: _signed(ledger, n, k), None)
                for number in range(40)
                for name, writer in zip("abc", writers, strict=True)
            )
        )
        for writer in writers:
            await asyncio.to_thread(writer.close)
        assert sorted(one.seq for one in settled) == list(range(120))
        report = await ledger.fsck(signatures=False)
    assert (report.entry_count, report.findings) == (120, ())


def _signed(ledger: Ledger, name: str, number: int) -> Signed:
    from wattproof.resources.receipts import sign

    return Signed(sign({"issued_at": "2026-11-22T06:00:00Z", "request_id": f"{name}{number}"}, ledger.issuer))


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def child(server: Server, home: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts processes that append to the ledger of `home`; whatever still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def start(name: str, count: int) -> subprocess.Popen[str]:
        arguments = (server.user, f"ledger_{home.name}", tmp_path / f"home-{name}", name, count)
        running.append(
            subprocess.Popen(
                [sys.executable, str(HERE / "child_append.py"), *map(str, arguments)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": str(HERE.parent.parent)},
            )
        )
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


async def test_several_processes_append_to_one_log(open_home: Callable[..., Ledger], child: Start) -> None:
    async with open_home() as ledger:
        processes = [child(name, 25) for name in "abcd"]
        for process in processes:
            _, stderr = await asyncio.to_thread(process.communicate, timeout=60)
            assert (process.returncode, stderr) == (0, "")
        report = await ledger.fsck()
        assert (report.entry_count, report.findings, report.notes) == (100, (), ())


async def test_kill_9_loses_no_acknowledged_entry(open_home: Callable[..., Ledger], child: Start, clock: Any) -> None:
    acknowledged: set[str] = set()
    async with open_home() as ledger:
        for name, lines in (("a", 1), ("b", 18), ("c", 41)):
            process = child(name, 50)
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(lines)]
            process.kill()
            said += process.communicate()[0].splitlines()
            acknowledged |= {line.split()[1] for line in said if line.startswith("settled ")}
        clock.now_s = time.time() + 120
        report = await ledger.fsck()
        kept = {entry.draft.request_id for entry in (await ledger.entries("local", limit=500)).entries}
        unsettled = (await ledger.summary(SummaryQuery("local"))).unsettled_count
    assert report.findings == ()
    assert len(acknowledged) >= 25
    assert acknowledged <= kept
    assert len(report.notes) == unsettled <= 3


async def test_a_connection_that_the_server_ended_is_replaced(server: Server, ledger: Ledger, drafts: Any) -> None:
    await drafts.settle(ledger, "r1")
    assert (await ledger.head("local"))[0] == 1
    with psycopg.connect(server.superuser) as connection:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"
        assert connection.execute(ended, (server.user_role,)).fetchall()
    await drafts.settle(ledger, "r2")
    assert (await ledger.head("local"))[0] == 2


@pytest.fixture
def way(server: Server) -> Iterator[Proxy]:
    """A proxy to the server that can be made to break."""
    spec = importlib.util.spec_from_file_location("ledger_postgres_proxy", HERE / "proxy.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = server.user.partition("host=")[2].partition("&")[0]
    with module.proxy(f"{folder}/.s.PGSQL.5432") as made:
        yield made


@pytest.fixture
async def broken(
    server: Server, way: Proxy, open_home: Callable[..., PostgresLedger], home: Path, clock: Any
) -> AsyncIterator[PostgresLedger]:
    """The ledger of `home` over that proxy."""
    await open_home().aclose()
    opened = open_postgres_ledger(
        f"postgresql://{server.user_role}@127.0.0.1:{way.port}/{server.database}?sslmode=disable&gssencmode=disable",
        home,
        clock=clock,
        random_bytes=os.urandom,
        issuer=Issuer(b"\x05" * 32),
        log_keys=(Issuer(b"\x06" * 32),),
        schema=f"ledger_{home.name}",
    )
    async with opened as ledger:
        yield ledger


@pytest.mark.parametrize(("cut", "commits"), [("before", 2), ("after", 1)])
async def test_a_commit_that_was_not_answered_is_found_out_and_done_once(
    way: Proxy, broken: PostgresLedger, drafts: Any, cut: Any, commits: int
) -> None:
    await drafts.settle(broken, None)
    way.commits = 0
    way.cut = cut
    settled = await drafts.settle(broken, None)
    assert (settled.seq, way.commits) == (1, commits)
    assert await broken.get("local", seq=1) == settled
    report = await broken.fsck()
    assert (report.entry_count, report.findings) == (2, ())


async def test_a_try_whose_commit_was_not_answered_says_so(
    way: Proxy, broken: PostgresLedger, drafts: Any, clock: Any
) -> None:
    await drafts.settle(broken, "r1")
    way.cut = "after"
    with pytest.raises(LedgerUnusable, match="Ask again with the same request_id"):
        await broken.open_attempt(drafts.attempt("r2", lease_expires_at=clock() + 60))


async def test_a_server_that_is_gone_is_named_and_served_again_when_it_is_back(
    way: Proxy, broken: PostgresLedger, drafts: Any
) -> None:
    way.refuse = True
    way.close()
    with pytest.raises(LedgerUnusable, match=r"database ledger_tests_\w+ on 127\.0\.0\.1 cannot be used"):
        await drafts.settle(broken, "r1")
    with pytest.raises(LedgerUnusable, match="WATTPROOF_LEDGER"):
        await broken.head("local")
    way.refuse = False
    assert (await drafts.settle(broken, "r1")).seq == 0


async def test_a_head_that_somebody_keeps_is_a_clear_error(
    server: Server, open_home: Callable[..., Ledger], home: Path, drafts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wattproof.resources.ledger.postgres.connection.LOCK_TIMEOUT_S", 0.2)
    async with open_home() as ledger:
        await drafts.settle(ledger, "r1")
        with psycopg.connect(server.superuser) as connection:
            connection.execute(f"SELECT * FROM ledger_{home.name}.head FOR UPDATE".encode())
            with pytest.raises(LedgerLocked, match="Another process has kept a log"):
                await drafts.settle(ledger, "r2")
            assert (await ledger.head("local"))[0] == 1
        assert (await drafts.settle(ledger, "r2")).seq == 1


async def test_a_month_that_another_process_closed_takes_no_batch(
    open_home: Callable[..., Ledger], drafts: Any
) -> None:
    async with open_home() as one, open_home() as other:
        await drafts.settle(one, "r1", occurred_at="2026-10-05T00:00:00Z")
        await other.periods.close("local", "2026-10")
        late = drafts.settle(one, "late", kind="recorded", occurred_at="2026-10-06T00:00:00Z")
        answers = cast("list[Any]", await asyncio.gather(late, drafts.settle(one, "now"), return_exceptions=True))
        assert [type(outcome).__name__ for outcome in answers] == ["PeriodClosed", "Settled"]


async def test_a_clock_that_is_a_moment_behind_does_not_put_the_log_back(
    open_home: Callable[..., Ledger], drafts: Any, clock: Any
) -> None:
    async with open_home() as one, open_home() as other:
        first = await drafts.settle(one, "r1")
        clock.now_s -= 1.5
        second = await drafts.settle(other, "r2")
        clock.now_s -= 60
        third = await drafts.settle(other, "r3")
        assert second.recorded_at == first.recorded_at == "2026-11-22T06:00:00Z"
        assert third.recorded_at == "2026-11-22T05:58:58Z"
        notes = [note.where for note in (await one.fsck()).notes]
    assert notes == ["entry 2"]


async def test_a_text_that_postgresql_cannot_hold_is_refused_by_the_ledger(ledger: Ledger, drafts: Any) -> None:
    with pytest.raises(InvalidInput, match="cannot be stored"):
        await drafts.settle(ledger, "r1", resolved_model="gpt\0oss")
    assert (await ledger.head("local"))[0] == 0
