"""A budget that refuses, over every transport and in both eras, with and without a user who can be asked."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ElicitRequestParams, ElicitResult, TextContent

from wattproof.resources.ledger.budget_book import BudgetDraft
from wattproof.resources.ledger.budget_records import BudgetKey
from wattproof.server.app import build_server
from wattproof.server.http import build_http_app

if TYPE_CHECKING:
    from mcp.types import CallToolResult

    from tests.fakes.installation import Installation
    from tests.fakes.provider import FakeProvider

ROOT = Path(__file__).parents[2]
TOKEN = "a-long-random-word-for-tests"
RUN: dict[str, Any] = {
    "model": "gpt-oss-120b",
    "messages": [{"role": "user", "content": "hello"}],
    "max_output_tokens": 50,
}
KEY = BudgetKey("local", "tenant", "", "total", "tokens")


class User:
    """Whoever is asked: gives the answers in turn and remembers the questions."""

    def __init__(self, *answers: ElicitResult) -> None:
        self._answers = list(answers)
        self.questions: list[str] = []

    async def __call__(self, context: Any, params: ElicitRequestParams) -> ElicitResult:
        assert context is not None
        self.questions.append(params.message)
        return self._answers.pop(0)


YES = ElicitResult(action="accept", content={"approve": True})
ANSWERS = {
    "accept, but not approved": ElicitResult(action="accept", content={"approve": False}),
    "decline": ElicitResult(action="decline"),
    "cancel": ElicitResult(action="cancel"),
}

Connect = Callable[[User | None], AbstractAsyncContextManager[Client]]


@pytest.fixture(params=["memory", "stdio", "http"])
def transport(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def connect(transport: str, era: Any, at_fake: Installation, fake_provider: FakeProvider, tmp_path: Path) -> Connect:
    """A client of this transport and era, whose user is there or not."""

    @asynccontextmanager
    async def connected(user: User | None) -> AsyncGenerator[Client]:
        asking: dict[str, Any] = {"mode": era, "elicitation_callback": user}
        if transport == "memory":
            async with Client(build_server(at_fake.open), **asking) as client:
                yield client
        elif transport == "stdio":
            script = str(Path(__file__).with_name("fake_stdio_server.py"))
            kept = {name: value for name, value in os.environ.items() if not name.startswith("WATTPROOF_")}
            parameters = StdioServerParameters(
                command=sys.executable,
                args=[script, str(at_fake.home), fake_provider.base_url],
                env={**kept, "WATTPROOF_HOME": str(at_fake.home), "PYTHONPATH": str(ROOT)},
            )
            async with Client(parameters, **asking) as client:
                yield client
        else:
            app = build_http_app(
                build_server(at_fake.open), token=TOKEN, host="127.0.0.1", port=8321, allow_keyed_runs=True
            )
            async with (
                app.router.lifespan_context(app),
                httpx2.AsyncClient(
                    transport=httpx2.ASGITransport(app), headers={"Authorization": f"Bearer {TOKEN}"}
                ) as http,
                Client(streamable_http_client("http://127.0.0.1:8321/mcp", http_client=http), **asking) as client,
            ):
                yield client

    return connected


async def limit(installation: Installation, amount: int, **more: Any) -> None:
    async with installation.open() as deps:
        await (await deps.ledger()).budgets.set(BudgetDraft(KEY, amount, **more), by="owner")


async def decisions(installation: Installation) -> list[tuple[str, str, int]]:
    async with installation.open() as deps:
        found = await (await deps.ledger()).budgets.decisions("local")
    return [(decision.decision, decision.decided_by, decision.amount) for decision in found]


def told(result: CallToolResult) -> str:
    block = result.content[0]
    assert isinstance(block, TextContent)
    return block.text


async def test_a_run_over_its_budget_starts_where_the_user_allows_it(
    connect: Connect, at_fake: Installation, transport: str, era: str, fake_provider: FakeProvider
) -> None:
    await limit(at_fake, 20)
    user = User(YES)
    async with connect(user) as client:
        result = await client.call_tool("run_inference", RUN)
    if (transport, era) == ("http", "legacy"):
        # Stateless HTTP of that era has no way back to the client.
        assert result.is_error
        assert "Exceeding it counts as declined" in told(result)
        assert user.questions == []
        return
    assert not result.is_error, told(result)
    (question,) = user.questions
    assert question.startswith("The budget of this ledger has 20 tokens of 20 tokens left; this run may take ")
    assert question.endswith(" more in this budget? It is recorded in the ledger.")
    assert "Its owner" not in question
    assert len(fake_provider.received) == 1
    (override, first) = await decisions(at_fake)
    assert first == ("set", "owner", 20)
    assert (override[0], override[1].startswith("user of ")) == ("override", True)
    assert result.structured_content is not None
    assert result.structured_content["budget"]["limit"] == 20 + override[2]


@pytest.mark.parametrize("answer", list(ANSWERS))
async def test_a_user_who_does_not_allow_it_is_obeyed(
    at_fake: Installation, era: Any, fake_provider: FakeProvider, answer: str
) -> None:
    await limit(at_fake, 20)
    user = User(ANSWERS[answer])
    async with Client(build_server(at_fake.open), mode=era, elicitation_callback=user) as client:
        result = await client.call_tool("run_inference", RUN)
    assert result.is_error
    assert told(result).endswith("The user was asked and declined to exceed it.")
    assert "wattproof budget raise --tenant --unit tokens --limit" in told(result)
    assert len(user.questions) == 1
    assert fake_provider.received == []
    assert await decisions(at_fake) == [("set", "owner", 20)]


async def test_where_nobody_can_be_asked_it_counts_as_declined_and_the_text_says_what_would_work(
    connect: Connect, at_fake: Installation, fake_provider: FakeProvider
) -> None:
    await limit(at_fake, 20)
    async with connect(None) as client:
        result = await client.call_tool("run_inference", RUN)
        assert result.is_error
        assert "What could fit: a smaller max_output_tokens or a shorter prompt." in told(result)
        assert "max_output_tokens " in told(result)
        assert "Exceeding it counts as declined: this client offers no way to ask its user." in told(result)
        fits = await client.call_tool("run_inference", {**RUN, "max_output_tokens": 1})
    assert not fits.is_error, told(fits)
    assert len(fake_provider.received) == 1
    assert await decisions(at_fake) == [("set", "owner", 20)]


async def test_no_argument_of_the_model_exceeds_a_budget(connect: Connect, at_fake: Installation) -> None:
    await limit(at_fake, 20)
    async with connect(None) as client:
        for argument in ("approve", "override", "budget", "ignore_budget"):
            refused = await client.call_tool("run_inference", {**RUN, argument: True})
            assert refused.is_error
            assert f"{argument} is not a parameter" in told(refused)


async def test_an_owner_may_forbid_that_anybody_is_asked(
    at_fake: Installation, era: Any, fake_provider: FakeProvider
) -> None:
    await limit(at_fake, 20, may_ask=False)
    user = User(YES)
    async with Client(build_server(at_fake.open), mode=era, elicitation_callback=user) as client:
        result = await client.call_tool("run_inference", RUN)
    assert result.is_error
    assert told(result).endswith("Its owner allows no exceptions by a client.")
    assert user.questions == []
    assert fake_provider.received == []


async def test_each_budget_that_refuses_is_asked_about(at_fake: Installation, era: Any) -> None:
    await limit(at_fake, 20)
    async with at_fake.open() as deps:
        key = BudgetKey("local", "tag", "t", "total", "cost_usd")
        await (await deps.ledger()).budgets.set(BudgetDraft(key, 1), by="owner")
    user = User(YES, YES)
    async with Client(build_server(at_fake.open), mode=era, elicitation_callback=user) as client:
        result = await client.call_tool("run_inference", {**RUN, "tags": ["t"]})
    assert not result.is_error, told(result)
    assert len(user.questions) == 2
    assert [decision for decision, _, _ in await decisions(at_fake)] == ["override", "override", "set", "set"]


async def test_an_answer_counts_for_the_question_that_was_asked_only(at_fake: Installation) -> None:
    """What is left changes while the user thinks: the old answer allows nothing, the new figures are asked about."""
    await limit(at_fake, 20)

    class Slow(User):
        async def __call__(self, context: Any, params: ElicitRequestParams) -> ElicitResult:
            if not self.questions:
                await limit(at_fake, 10)
            return await super().__call__(context, params)

    user = Slow(YES, YES)
    async with Client(build_server(at_fake.open), mode="auto", elicitation_callback=user) as client:
        result = await client.call_tool("run_inference", RUN)
    assert not result.is_error, told(result)
    assert [question.partition(" left")[0] for question in user.questions] == [
        "The budget of this ledger has 20 tokens of 20 tokens",
        "The budget of this ledger has 10 tokens of 10 tokens",
    ]
    assert [decision for decision, _, _ in await decisions(at_fake)] == ["override", "set", "set"]


async def test_an_operation_over_mcp_in_both_eras(at_fake: Installation, era: Any) -> None:
    async with Client(build_server(at_fake.open), mode=era) as client:
        steps = [{"step_id": "s1", "model": "gpt-5.1", "usage": {"input_tokens": 3000, "output_tokens": 800}}]
        begun: dict[str, Any] = {"action": "begin", "operation_id": "op_1", "budget": {"unit": "tokens", "limit": 4000}}
        assert not (await client.call_tool("track_operation", begun)).is_error
        recorded = await client.call_tool(
            "track_operation", {"action": "record", "operation_id": "op_1", "steps": steps}
        )
        assert recorded.structured_content is not None
        assert recorded.structured_content["budget"]["remaining"] == 200
        refused = await client.call_tool("run_inference", {**RUN, "max_output_tokens": 500, "operation_id": "op_1"})
        assert refused.is_error
        assert "operation 'op_1' has 200 tokens of 4,000 tokens left" in told(refused)
        ended = await client.call_tool("track_operation", {"action": "end", "operation_id": "op_1"})
        assert ended.structured_content is not None
        receipt = ended.structured_content["receipt_id"]
        assert receipt in told(ended)
        late = await client.call_tool("run_inference", {**RUN, "operation_id": "op_1"})
        assert late.is_error
        assert f"with receipt {receipt}" in told(late)


async def test_what_is_wrong_inside_a_step_is_named(client: Client) -> None:
    step = {"step_id": "s1", "model": "gpt-5.1", "usage": {"input_tokens": 1, "tokens": 2}, "colour": "red"}
    result = await client.call_tool("track_operation", {"action": "record", "operation_id": "o", "steps": [step]})
    assert result.is_error
    assert "is not known there; give any of " in told(result)
