"""The main job on real inference: the embedded model, no key, no network."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from wattproof.resources.providers.embedded import EmbeddedServer, deployment
from wattproof.resources.receipts import exit_code, keys_from_jwks, parse, verify_receipt

if TYPE_CHECKING:
    from tests.runs.conftest import Bench


@pytest.mark.embedded
async def test_the_embedded_model_answers_and_its_receipt_rests_on_measured_cpu_seconds(bench: Bench) -> None:
    async with EmbeddedServer() as server:
        bench.deps = replace(bench.deps, catalogue=(deployment("FR"),), environ={}, embedded=server.started)
        run = await bench.run(bench.request(model="smollm2-135m-instruct"))
    assert run.answer
    assert run.settled.draft.usage_source == "provider"
    assert run.settled.draft.tier == run.estimate.footprint.tier == "modelled"
    assert run.settled.draft.method_id == "wattproof/cpu-time@1.0.0"
    assert run.settled.draft.location_evidence == "caller"
    assert run.settled.jws is not None
    payload = parse(run.settled.jws).payload
    operands = {row["name"]: row["value"] * 10.0 ** row["exp10"] for row in payload["operands"]}
    assert operands["cpu_measured"] == 1
    assert 0.01 < operands["cpu_seconds"] < 60
    assert payload["ghg_scope"] == "scope2"
    proof = await bench.ledger.inclusion("local", run.settled.seq)
    assert exit_code(verify_receipt(run.settled.jws, keys_from_jwks(bench.ledger.jwks), inclusion=proof)) == 0
    again = await bench.run(bench.request(model="smollm2-135m-instruct"))
    assert again.replayed
    assert again.estimate.footprint.tier == "modelled"
