"""Invented providers speak the real wire: the real adapters read them, faults included."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio
import httpx2
import pytest

from wattproof.methodology.errors import UpstreamError
from wattproof.server.simulate.day import STARTS_AT
from wattproof.server.simulate.fleet import Outage

if TYPE_CHECKING:
    from tests.simulate.conftest import Play, Stage

HOST = "sim-test.invalid"
BODY = {"model": "simulated/x", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 50}
KEY = {"authorization": "Bearer simulated"}


async def post(client: httpx2.AsyncClient, path: str = "/v1/chat/completions", **changes: object) -> httpx2.Response:
    return await client.post(f"https://{HOST}{path}", json={**BODY, **changes}, headers=KEY)


async def refused(stage: Stage, client: httpx2.AsyncClient, **how: object) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await stage.ask(client, **how)  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize("protocol", ["openai-chat", "anthropic-messages"])
def test_the_real_adapter_reads_the_stream_and_its_usage(play: Play, protocol: str) -> None:
    async def act(stage: Stage) -> None:
        async with stage.client(sim_test=stage.provider()) as client:
            pieces, end = await stage.ask(client, "What is this?", protocol=protocol, limit=60)
        assert len(pieces) > 1
        assert end.text.startswith("SIMULATED ANSWER")
        assert end.usage_source == "provider"
        assert 0 < end.usage.output_tokens <= 60
        assert end.usage.input_tokens > 0
        assert end.finish_reason is not None

    play(act)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_request_that_does_not_stream_gets_one_body(play: Play, path: str) -> None:
    async def act(stage: Stage) -> None:
        async with stage.client(sim_test=stage.provider()) as client:
            body = (await post(client, path)).json()
        assert "SIMULATED ANSWER" in json.dumps(body)
        assert sum(isinstance(count, int) and count > 0 for count in body["usage"].values()) >= 2

    play(act)


def test_usage_comes_at_the_end_of_a_stream_only_where_it_was_asked_for(play: Play) -> None:
    async def act(stage: Stage) -> None:
        async with stage.client(sim_test=stage.provider()) as client:
            without = (await post(client, stream=True)).text
            asked = (await post(client, stream=True, stream_options={"include_usage": True})).text
        assert "prompt_tokens" not in without
        *_, last, done, _ = asked.split("\n\n")
        chunk = json.loads(last.removeprefix("data: "))
        assert chunk["choices"] == []
        assert chunk["usage"]["prompt_tokens"] > 0
        assert done == "data: [DONE]"

    play(act)


def test_an_answer_takes_the_time_of_its_tokens(play: Play) -> None:
    async def act(stage: Stage) -> None:
        provider = stage.provider(first_token_s=1.0, tokens_per_s=10.0, jitter=0.0)
        async with stage.client(sim_test=provider) as client:
            _, end = await stage.ask(client)
        assert stage.loop.time() == pytest.approx(1.0 + end.usage.output_tokens / 10.0)

    play(act)


def test_latency_drifts_over_the_day(play: Play) -> None:
    async def act(stage: Stage) -> None:
        provider = stage.provider(first_token_s=1.0, jitter=0.0, drift_per_day=1.0, drifts_from=STARTS_AT)
        async with stage.client(sim_test=provider) as client:
            await stage.ask(client)
            early = stage.loop.time()
            await anyio.sleep(86_400 - early)
            await stage.ask(client)
        assert stage.loop.time() - 86_400 == pytest.approx(2 * early, rel=0.01)

    play(act)


def test_more_than_the_rate_is_answered_429_with_retry_after(play: Play) -> None:
    async def act(stage: Stage) -> None:
        provider = stage.provider(requests_per_minute=2, retry_after_s=9)
        async with stage.client(sim_test=provider) as client:
            for _ in range(2):
                await stage.ask(client)
            error = await refused(stage, client)
            assert (error.reason, error.retry_after_s) == ("http_429", 9.0)
            await anyio.sleep(60)
            await stage.ask(client)

    play(act)


def test_more_at_a_time_than_the_capacity_is_answered_429_and_the_place_is_given_back(play: Play) -> None:
    async def act(stage: Stage) -> None:
        provider = stage.provider(capacity=1)
        async with stage.client(sim_test=provider) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(stage.ask, client)
                await anyio.sleep(0.01)
                assert (await refused(stage, client)).reason == "http_429"
            await stage.ask(client)
        assert (provider.in_flight, provider.most_in_flight) == (0, 1)

    play(act)


def test_leaving_early_gives_the_capacity_back(play: Play) -> None:
    async def act(stage: Stage) -> None:
        provider = stage.provider(first_token_s=5.0)
        async with stage.client(sim_test=provider) as client:
            with anyio.move_on_after(1):
                await stage.ask(client)
        assert (provider.in_flight, provider.most_in_flight) == (0, 1)

    play(act)


@pytest.mark.parametrize(("kind", "reason"), [("refused", "connect"), ("503", "http_503"), ("silent", "timeout")])
def test_an_outage_ends_as_its_kind_and_with_its_time(play: Play, kind: str, reason: str) -> None:
    async def act(stage: Stage) -> None:
        outage = Outage(STARTS_AT, STARTS_AT + 600, kind)  # type: ignore[arg-type]
        async with stage.client(sim_test=stage.provider(outages=(outage,))) as client:
            assert (await refused(stage, client, timeout_s=30.0)).reason == reason
            assert stage.loop.time() <= 30.0
            await anyio.sleep(600)
            await stage.ask(client)

    play(act)


def test_errors_and_cuts_come_at_about_their_rates(play: Play) -> None:
    async def act(stage: Stage) -> None:
        provider = stage.provider(error_rate=0.3, cut_rate=0.3)
        reasons: list[str] = []
        async with stage.client(sim_test=provider) as client:
            for number in range(100):
                try:
                    await stage.ask(client, f"Question {number}")
                except UpstreamError as error:
                    reasons.append(error.reason)
        assert set(reasons) == {"http_500", "cut_stream"}
        assert 15 <= reasons.count("http_500") <= 45
        assert 10 <= reasons.count("cut_stream") <= 35

    play(act)


def test_a_disclosing_provider_sends_a_footprint_block(play: Play) -> None:
    async def act(stage: Stage) -> None:
        async with stage.client(sim_test=stage.provider(discloses="FI")) as client:
            text = (await post(client, stream=True, stream_options={"include_usage": True})).text
        assert '"environment_impact"' in text
        assert '"location": "FI"' in text

    play(act)


def test_a_request_without_key_or_without_sense_is_refused(play: Play) -> None:
    async def act(stage: Stage) -> None:
        async with stage.client(sim_test=stage.provider()) as client:
            assert (await refused(stage, client, key=None)).reason == "http_401"
            assert (await post(client, messages=None)).status_code == 400
            assert (await post(client, "/v1/messages", max_tokens=None)).status_code == 400
            assert (await post(client, "/v1/other")).status_code == 404

    play(act)


def test_a_host_outside_the_fleet_cannot_be_reached(play: Play) -> None:
    async def act(stage: Stage) -> None:
        async with stage.client() as client:
            assert (await refused(stage, client)).reason == "connect"

    play(act)


def test_the_same_prompt_gets_an_answer_of_the_same_length_everywhere(play: Play) -> None:
    async def act(stage: Stage) -> list[int]:
        lengths: list[int] = []
        for speed in (10.0, 500.0):
            async with stage.client(sim_test=stage.provider(tokens_per_s=speed)) as client:
                lengths.append((await stage.ask(client, limit=500))[1].usage.output_tokens)
        return lengths

    first, second = play(act)
    assert first == second
    assert play(act) == [first, second]
