"""What every answer carries, how bodies are bounded, and what the health checks say."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from wattproof import __version__
from wattproof.methodology.errors import LedgerUnusable
from wattproof.server.serving.drain import Drain
from wattproof.server.serving.exchange import BodyLimits, Exchange
from wattproof.server.serving.health import Health, Remembered
from wattproof.server.serving.limits import Limits, Rate

if TYPE_CHECKING:
    from starlette.types import Message

    from tests.fakes.installation import Installation
    from tests.serving.conftest import OpenHouse

ESTIMATE: dict[str, Any] = {"model": "gpt-oss-120b", "input_tokens": 1000, "output_tokens": 400, "zone": "FR"}
SAFE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
}


async def test_every_answer_carries_the_safe_headers_and_none_invites_other_origins(open_house: OpenHouse) -> None:
    async with open_house() as opened:
        answers = [
            await opened.http.get("/healthz"),
            await opened.http.get("/readyz"),
            await opened.http.get("/metrics"),
            await opened.http.get("/nowhere"),
            await opened.http.get("/mcp"),
            await opened.http.get("/metrics", headers={"Authorization": ""}),
            await opened.call("estimate_request", ESTIMATE),
            await opened.http.options("/mcp", headers={"Origin": "http://evil.example"}),
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 404, 405, 401, 200, 405]
    for answer in answers:
        assert SAFE.items() <= answer.headers.items()
        assert "no-store" in answer.headers["cache-control"]
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
        assert not any(name.startswith("access-control") or name == "server" for name in answer.headers)


async def test_the_request_id_is_the_trace_that_the_caller_is_in(open_house: OpenHouse) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    async with open_house() as opened:
        given = await opened.http.get("/healthz", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
        assert given.headers["x-request-id"] == trace
        for wrong in (f"00-{'0' * 32}-00f067aa0ba902b7-01", "00-x-y-01", f"00-{trace}-00f067aa0ba902b7-01\u00e9"):
            answer = await opened.http.get("/healthz", headers=[(b"traceparent", wrong.encode("latin-1"))])
            assert answer.headers["x-request-id"] != trace


async def test_too_many_or_too_large_headers_are_refused(open_house: OpenHouse) -> None:
    async with open_house() as opened:
        many = await opened.http.get("/healthz", headers={f"x-{number}": "v" for number in range(120)})
        large = await opened.http.get("/healthz", headers={"x-large": "v" * 40_000})
    for answer in (many, large):
        assert (answer.status_code, answer.headers["connection"]) == (431, "close")


async def test_health_is_the_version_alone_and_needs_nothing(open_house: OpenHouse, at_fake: Installation) -> None:
    async with open_house() as opened:
        answer = await opened.http.get("/healthz", headers={"Authorization": ""})
        assert answer.json() == {"status": "ok", "version": __version__}
        assert (await opened.http.head("/healthz")).status_code == 200
        assert (await opened.http.post("/healthz")).status_code == 405
        opened.house.drain.begin()
        assert (await opened.http.get("/healthz")).status_code == 200
    assert not at_fake.home.exists()


async def test_ready_once_every_part_works_and_no_more_once_it_stops(open_house: OpenHouse) -> None:
    async with open_house() as opened:
        ready = await opened.http.get("/readyz", headers={"Authorization": ""})
        assert (ready.status_code, ready.json()["ready"]) == (200, True)
        assert set(ready.json()["parts"]) == {"catalogue", "ledger", "signing_key", "serving"}
        opened.house.drain.begin()
        stopping = await opened.http.get("/readyz")
        assert (stopping.status_code, stopping.json()["parts"]["serving"]) == (503, "failed")


async def test_not_ready_names_the_part_and_keeps_the_reason_to_the_log(
    open_house: OpenHouse, at_fake: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    at_fake.home.parent.mkdir(parents=True, exist_ok=True)
    at_fake.home.write_text("a file where the home should be")
    async with open_house() as opened:
        answer = await opened.http.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"] == {
        "catalogue": "ok",
        "ledger": "failed",
        "signing_key": "failed",
        "serving": "ok",
    }
    assert str(at_fake.home) not in answer.text
    told: list[Any] = [getattr(record, "fields", None) for record in caplog.records]
    assert any("is a file, not a folder" in fields["why"] for fields in told if fields)


class Looks:
    """Deps of which only what readiness looks at is there, and which count the looks."""

    log_id = "local"
    shared_ledger = True

    def __init__(self) -> None:
        self.looked = 0
        self.hangs = False

    async def deployments(self) -> tuple[()]:
        self.looked += 1
        if self.hangs:
            await anyio.sleep_forever()
        return ()

    async def ledger(self) -> Any:
        raise LedgerUnusable("no")


async def test_readiness_is_looked_into_once_a_second_however_often_it_is_asked() -> None:
    looks, clock, opened = Looks(), Turned(), Remembered(None)  # type: ignore[arg-type]
    health = Health(opened, Drain(), clock)
    assert await health.parts() == {"started": "failed", "serving": "ok"}
    clock.now_s += 1.0
    opened.deps = looks  # type: ignore[assignment]
    found = await asyncio.gather(*(health.parts() for _ in range(20)))
    assert looks.looked == 1
    assert found[0]["ledger"] == "failed"
    clock.now_s += 0.9
    await health.parts()
    assert looks.looked == 1
    clock.now_s += 0.1
    await health.parts()
    assert looks.looked == 2


async def test_a_part_that_does_not_answer_is_not_ready() -> None:
    looks, opened = Looks(), Remembered(None)  # type: ignore[arg-type]
    looks.hangs, opened.deps = True, looks  # type: ignore[assignment]
    assert (await Health(opened, Drain(), Turned(), patience_s=0.01).parts())["catalogue"] == "failed"


class Turned:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


# -- bodies ------------------------------------------------------------------------------------------------------------


async def test_a_body_beyond_the_limit_is_refused_before_it_is_read(open_house: OpenHouse) -> None:
    async with open_house() as opened:
        answer = await opened.http.post("/mcp", content=b" " * (4 * 1024 * 1024 + 1))
        assert answer.status_code == 413
        assert answer.json()["error"]["data"] == {"limit": "body_bytes"}
        assert (await opened.http.get("/metrics")).text.count('wattproof_refused_total{limit="body_bytes"} 1.0') == 1


class Sent:
    """A client that sends these pieces and then nothing; None is a client that goes away."""

    def __init__(self, *pieces: bytes | None, length: bytes | None = None) -> None:
        self.pieces = list(pieces)
        self.answer: list[Message] = []
        headers = [] if length is None else [(b"content-length", length)]
        self.told: list[int] = []
        self.refused: list[str] = []
        self.exchange = Exchange(
            {"type": "http", "headers": headers},
            self._receive,
            self._send,
            request_id="0" * 32,
            limits=BodyLimits(most_bytes=10, within_s=0.02),
            responded=self.told.append,
            refused=self.refused.append,
        )

    async def _receive(self) -> Message:
        if not self.pieces:
            await anyio.sleep_forever()
        piece = self.pieces.pop(0)
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": piece != b""}

    async def _send(self, message: Message) -> None:
        self.answer.append(message)

    async def all(self) -> list[str]:
        """What the application receives, until the body is complete or the client gone."""
        seen: list[str] = []
        while True:
            message = await self.exchange.receive()
            seen.append(message["type"])
            if message["type"] == "http.disconnect" or not message["more_body"]:
                return seen


async def test_pieces_count_together_whatever_length_was_declared() -> None:
    sent = Sent(b"12345", b"12345", b"1", length=b"3")
    assert (await sent.all())[-1] == "http.disconnect"
    assert sent.answer[0]["status"] == 413
    assert (sent.told, sent.refused) == ([413], ["body_bytes"])
    assert await sent.exchange.receive() == {"type": "http.disconnect"}


async def test_a_declared_length_beyond_the_limit_is_refused_at_once() -> None:
    sent = Sent(b"", length=b"9" * 50)
    assert await sent.all() == ["http.disconnect"]
    assert len(sent.pieces) == 1
    assert (b"connection", b"close") in sent.answer[0]["headers"]


async def test_a_body_that_drips_is_given_up() -> None:
    sent = Sent(b"1", b"2", b"3")
    with anyio.fail_after(5):
        assert (await sent.all())[-1] == "http.disconnect"
    assert sent.answer[0]["status"] == 408
    assert json.loads(sent.answer[1]["body"])["error"]["data"] == {"limit": "body_s"}


async def test_a_client_that_goes_away_is_not_answered() -> None:
    sent = Sent(b"1", None)
    assert await sent.all() == ["http.request", "http.disconnect"]
    assert sent.answer == []


async def test_after_a_refusal_the_application_can_say_nothing_more() -> None:
    sent = Sent(b"1" * 20)
    await sent.all()
    length = len(sent.answer)
    await sent.exchange.send({"type": "http.response.start", "status": 200, "headers": []})
    assert len(sent.answer) == length


async def test_once_the_body_is_complete_nothing_is_hurried() -> None:
    sent = Sent(b"1", b"")
    await sent.all()
    with anyio.move_on_after(0.1) as waiting:
        await sent.exchange.receive()
    assert waiting.cancelled_caught
    assert sent.answer == []


# -- what clients show -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_a_client_shows_which_limit_refused_its_call(open_house: OpenHouse, era: Any) -> None:
    run = {"model": "gpt-oss-120b", "messages": [{"role": "user", "content": "hello"}], "max_output_tokens": 50}
    async with (
        open_house(Limits(runs=Rate(1, 1))) as opened,
        Client(streamable_http_client("http://127.0.0.1:8321/mcp", http_client=opened.http), mode=era) as client,
    ):
        assert not (await client.call_tool("run_inference", run)).is_error
        with pytest.raises(MCPError, match="1 runs a minute are allowed") as refused:
            await client.call_tool("run_inference", run)
        assert refused.value.error.data == {"limit": "runs", "retry_after_s": 60}
        assert not (await client.call_tool("run_inference", {**run, "dry_run": True})).is_error


# -- metrics -----------------------------------------------------------------------------------------------------------


async def test_metrics_need_a_caller_with_the_scope_admin(open_house: OpenHouse) -> None:
    async with open_house() as opened:
        assert (await opened.http.get("/metrics", headers={"Authorization": "Bearer wrong"})).status_code == 401
        assert (await opened.http.post("/metrics")).status_code == 405
        answer = await opened.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert f'wattproof_build_info{{version="{__version__}"}} 1.0' in answer.text


async def test_where_anyone_is_let_in_a_page_by_another_name_reads_no_metrics(open_house: OpenHouse) -> None:
    async with open_house(token=None) as opened:
        assert (await opened.http.get("/metrics")).status_code == 200
        assert (await opened.http.get("/metrics", headers={"Host": "evil.example"})).status_code == 421


async def test_calls_runs_tries_and_figures_are_counted_with_bounded_labels(open_house: OpenHouse) -> None:
    run = {"model": "gpt-oss-120b", "messages": [{"role": "user", "content": "hello"}], "max_output_tokens": 50}
    async with open_house() as opened:
        await opened.call("run_inference", run)
        await opened.call("run_inference", {**run, "model": "no-such-model-\u00e9"})
        await opened.call("no_such_tool", {})
        text = (await opened.http.get("/metrics")).text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert 'wattproof_tool_calls_total{outcome="ok",tool="run_inference"} 1.0' in lines
    assert 'wattproof_tool_calls_total{outcome="refused",tool="run_inference"} 1.0' in lines
    assert 'wattproof_runs_total{model="gpt-oss-120b",provider="fake",status="completed"} 1.0' in lines
    assert 'wattproof_tries_total{model="gpt-oss-120b",outcome="completed",provider="fake"} 1.0' in lines
    assert 'wattproof_tokens_total{kind="output",model="gpt-oss-120b",provider="fake"} 8.0' in lines
    assert 'wattproof_ledger_write_seconds_count{write="settle"} 1.0' in lines
    assert "wattproof_ledger_writes_waiting 0.0" in lines
    (energy,) = [line for line in lines if line.startswith("wattproof_estimated_energy_median_wh_total{")]
    assert 'method="wattproof/param@' in energy
    assert float(energy.rpartition(" ")[2]) > 0
    assert not any("no_such" in line or "no-such" in line for line in lines)


async def test_the_grid_reading_that_a_run_used_tells_how_old_the_source_is(
    open_house: OpenHouse, live_grid: Any, at_fake: Installation
) -> None:
    run = {"model": "gpt-oss-120b", "messages": [{"role": "user", "content": "hello"}], "max_output_tokens": 50}
    async with open_house() as opened:
        await opened.call("run_inference", run)
        text = (await opened.http.get("/metrics")).text
    (line,) = [line for line in text.splitlines() if line.startswith("wattproof_grid_reading_timestamp_seconds{")]
    assert 'source="' in line
    assert 0 <= at_fake.now_s - float(line.rpartition(" ")[2]) < 7200


async def test_a_failing_provider_is_counted_by_its_reason(open_house: OpenHouse, fake_provider: Any) -> None:
    fake_provider.script("500")
    run = {"model": "gpt-oss-120b", "messages": [{"role": "user", "content": "hello"}], "max_output_tokens": 50}
    async with open_house() as opened:
        await opened.call("run_inference", run)
        text = (await opened.http.get("/metrics")).text
    assert 'wattproof_tries_total{model="gpt-oss-120b",outcome="http_500",provider="fake"} 1.0' in text
    assert "wattproof_runs_total{" not in text


async def test_without_the_extra_metrics_say_how_to_install_it(open_house: OpenHouse) -> None:
    async with open_house() as opened:
        object.__setattr__(opened.house, "metrics", None)
        answer = await opened.http.get("/metrics")
        assert (await opened.http.get("/nowhere")).status_code == 404
    assert answer.status_code == 501
    assert "wattproof[metrics]" in answer.json()["error"]
