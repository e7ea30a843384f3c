"""Vectors and rankings run like answers: recorded, settled, with figures of their own and a receipt that verifies."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from wattproof.methodology.errors import InvalidInput, RequestConflict, RoutingError
from wattproof.resources.providers import ChatRequest, EmbeddingRequest, RerankRequest
from wattproof.resources.receipts import exit_code, keys_from_jwks, parse, verify_receipt
from wattproof.resources.runs import RunRequest

if TYPE_CHECKING:
    from tests.runs.conftest import Bench

MODEL = "qwen3-embedding-8b"
EMBEDDING = EmbeddingRequest(("first text", "second text"))
RERANK = RerankRequest("capital of France", ("Paris is the capital.", "Lyon is not.", "Bread."))


def offering(bench: Bench, protocol: str) -> None:
    rows = [replace(row, model=MODEL, native_model=MODEL) for row in bench.deps.catalogue]
    bench.deps = replace(
        bench.deps,
        catalogue=tuple(replace(row, protocol=protocol) for row in rows),  # pyright: ignore[reportArgumentType]
    )


@pytest.mark.parametrize(
    ("protocol", "content", "workload"),
    [("openai-embeddings", EMBEDDING, "embedding"), ("rerank", RERANK, "rerank")],
)
async def test_it_is_settled_with_figures_and_its_receipt_verifies(
    bench: Bench, protocol: str, content: EmbeddingRequest | RerankRequest, workload: str
) -> None:
    offering(bench, protocol)
    run = await bench.run(bench.request(model=MODEL, chat=content))
    draft = run.settled.draft
    assert (draft.workload, draft.status, draft.usage.output_tokens) == (workload, "completed", 0)
    assert draft.energy_nwh is not None
    assert draft.energy_nwh.median > 0
    assert run.end is not None
    if workload == "embedding":
        assert len(run.end.vectors) == 2
    else:
        assert sorted(index for index, _ in run.end.ranking) == [0, 1, 2]
    assert run.settled.jws is not None
    assert parse(run.settled.jws).payload["workload"] == workload
    report = verify_receipt(run.settled.jws, keys_from_jwks(bench.ledger.jwks), now=time.time())
    assert report.verdicts["arithmetic"].verdict == "pass"
    assert exit_code(report) == 0
    await bench.sound()


async def test_a_replay_gives_the_vectors_back_from_memory(bench: Bench) -> None:
    offering(bench, "openai-embeddings")
    request = bench.request(model=MODEL, chat=EMBEDDING)
    first, again = await bench.run(request), await bench.run(request)
    assert again.replayed
    assert first.end is not None
    assert again.end is not None
    assert again.end.vectors == first.end.vectors
    assert again.estimate.footprint.energy_wh is not None
    assert len(bench.provider.received) == 1
    written = b"".join(path.read_bytes() for path in bench.home.rglob("*") if path.is_file())
    assert b"second text" not in written


@pytest.mark.parametrize(
    ("protocol", "content", "other"),
    [
        ("openai-embeddings", EMBEDDING, EmbeddingRequest(("first text", "another text"))),
        ("openai-embeddings", EMBEDDING, replace(EMBEDDING, dimensions=8)),
        ("rerank", RERANK, replace(RERANK, query="something else")),
        ("rerank", RERANK, replace(RERANK, top_n=1)),
    ],
)
async def test_the_digest_covers_what_was_sent(
    bench: Bench,
    protocol: str,
    content: EmbeddingRequest | RerankRequest,
    other: EmbeddingRequest | RerankRequest,
) -> None:
    offering(bench, protocol)
    await bench.run(bench.request(model=MODEL, chat=content))
    with pytest.raises(RequestConflict):
        await bench.run(bench.request(model=MODEL, chat=other))


async def test_a_deployment_that_serves_another_kind_of_request_is_no_candidate(bench: Bench) -> None:
    with pytest.raises(RoutingError):
        await bench.run(bench.request(chat=EMBEDDING))
    offering(bench, "openai-embeddings")
    with pytest.raises(RoutingError):
        await bench.run(bench.request(model=MODEL))
    assert bench.provider.received == []


async def test_failures_of_vectors_fall_back_too(bench: Bench) -> None:
    offering(bench, "openai-embeddings")
    bench.provider.script("500", "500", "ok")
    run = await bench.run(bench.request(model=MODEL, chat=EMBEDDING))
    assert run.settled.draft.deployment == f"two/{MODEL}"


@pytest.mark.parametrize(
    "content",
    [EmbeddingRequest(()), RerankRequest("query", ()), ChatRequest((), 5)],
)
def test_nothing_to_work_on_is_refused_first(content: EmbeddingRequest | RerankRequest | ChatRequest) -> None:
    with pytest.raises(InvalidInput, match="is empty"):
        RunRequest(model=MODEL, chat=content)
