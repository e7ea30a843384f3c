"""Embeddings and rankings: routed under the limits of a chat, recorded with a receipt that verifies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wattproof.methodology.errors import RoutingError
from wattproof.resources.providers import EmbeddingRequest, RerankRequest
from wattproof.resources.routing import Policy
from wattproof.tools.run_vectors import VectorArgs, brief, run_vectors
from wattproof.tools.verify_receipt import VerifyArgs, verify_receipt

if TYPE_CHECKING:
    from tests.fakes.installation import Installation
    from tests.fakes.provider import FakeProvider

EMBED = EmbeddingRequest(("one", "two"))


@pytest.fixture
def embedding(installation: Installation, fake_provider: FakeProvider) -> Installation:
    row = fake_provider.deployment(model="qwen3-embedding-8b", protocol="openai-embeddings")
    installation.deployments = (row,)
    return installation


async def test_texts_become_vectors_and_an_entry_whose_receipt_verifies(embedding: Installation) -> None:
    async with embedding.open() as deps:
        result = await run_vectors(VectorArgs("qwen3-embedding-8b", EMBED, Policy()), deps)
        verified = await verify_receipt(VerifyArgs(receipt=result.receipt_id), deps)
    assert result.vectors is not None
    assert len(result.vectors) == 2
    assert result.energy_wh is not None
    assert verified.outcome == "established"
    assert "2 vectors" in brief(result)
    assert "region_scope FR" in brief(result)


async def test_a_ranking_comes_best_first(installation: Installation, fake_provider: FakeProvider) -> None:
    installation.deployments = (fake_provider.deployment(model="qwen3-embedding-8b", protocol="rerank"),)
    request = RerankRequest("which?", ("a", "b", "c"))
    async with installation.open() as deps:
        result = await run_vectors(VectorArgs("qwen3-embedding-8b", request, Policy()), deps)
    assert result.ranking is not None
    scores = [score for _, score in result.ranking]
    assert scores == sorted(scores, reverse=True)
    assert "3 ranked" in brief(result)


async def test_a_ceiling_holds_for_vectors_too(embedding: Installation, fake_provider: FakeProvider) -> None:
    async with embedding.open() as deps:
        with pytest.raises(RoutingError, match="above 10"):
            await run_vectors(VectorArgs("qwen3-embedding-8b", EMBED, Policy(max_carbon_intensity=10)), deps)
    assert fake_provider.received == []


async def test_no_argument_raises_the_operators_cost_limit(embedding: Installation) -> None:
    embedding.max_cost_usd = 0.0
    async with embedding.open() as deps:
        with pytest.raises(RoutingError, match="above 0 USD"):
            await run_vectors(VectorArgs("qwen3-embedding-8b", EMBED, Policy(max_cost_usd=5)), deps)


async def test_a_repeat_spends_nothing_and_hands_the_vectors_out_again(
    embedding: Installation, fake_provider: FakeProvider
) -> None:
    args = VectorArgs("qwen3-embedding-8b", EMBED, Policy(), request_id="r1")
    async with embedding.open() as deps:
        first, second = await run_vectors(args, deps), await run_vectors(args, deps)
    assert (first.replayed, second.replayed) == (False, True)
    assert first.vectors == second.vectors
    assert len(fake_provider.received) == 1
