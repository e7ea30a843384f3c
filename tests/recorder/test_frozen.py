"""Frozen inputs give the same bytes again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wattproof.methodology.errors import InvalidInput, Refused
from wattproof.models import EstimateResult, OperationResult, SummaryResult
from wattproof.testing import Frozen, frozen
from wattproof.tools.estimate_request import EstimateArgs, estimate_request
from wattproof.tools.run_inference import RunArgs, run_inference
from wattproof.tools.summarize_ledger import SummaryArgs, summarize_ledger
from wattproof.tools.verify_receipt import VerifyArgs, verify_receipt


def workflow(inputs: Frozen) -> tuple[bytes, str]:
    recorder = inputs.recorder("op_1", zone="FR")
    recorder.record(model="gpt-5-mini", provider="openai", input_tokens=1200, output_tokens=300)
    recorder.record(model="claude-sonnet-4-6", provider="anthropic", input_tokens=100, output_tokens=50)
    ended = recorder.end()
    summary = inputs.call(summarize_ledger, SummaryArgs())
    told: list[Any] = [ended.structured(), summary.structured()]
    return json.dumps(told, sort_keys=True).encode(), ended.receipt_id or ""


def test_the_same_calls_give_the_same_bytes_and_the_same_receipts() -> None:
    found: list[tuple[bytes, str]] = []
    for _ in range(2):
        with frozen() as inputs:
            found.append(workflow(inputs))
    assert found[0] == found[1]
    assert found[0][1].startswith("r_")


def test_another_seed_gives_the_same_figures_and_other_receipts() -> None:
    found: list[tuple[bytes, str]] = []
    for seed in (1, 2):
        with frozen(seed=seed) as inputs:
            found.append(workflow(inputs))
    assert found[0][1] != found[1][1]


def test_results_are_the_models_that_users_import(inputs: Frozen) -> None:
    estimated = inputs.call(estimate_request, EstimateArgs(model="gpt-5-mini", input_tokens=100, output_tokens=10))
    assert isinstance(estimated, EstimateResult)
    recorder = inputs.recorder("op_1")
    assert isinstance(recorder.record(model="gpt-5-mini", input_tokens=100), OperationResult)
    assert isinstance(inputs.call(summarize_ledger, SummaryArgs()), SummaryResult)


def test_the_clock_stands_where_it_is_put(inputs: Frozen) -> None:
    recorder = inputs.recorder("op_1")
    recorder.record(model="gpt-5-mini", input_tokens=100)
    inputs.now = "2026-01-16T08:00:00Z"
    recorder.record(model="gpt-5-mini", input_tokens=100)
    of_the_day = inputs.call(summarize_ledger, SummaryArgs(since="2026-01-16", until="2026-01-17"))
    assert of_the_day.request_count == 1


def test_receipts_of_frozen_inputs_never_verify(inputs: Frozen) -> None:
    recorder = inputs.recorder("op_1")
    recorder.record(model="gpt-5-mini", input_tokens=100)
    receipt_id = recorder.end().receipt_id
    assert receipt_id is not None
    report = inputs.call(verify_receipt, VerifyArgs(receipt=receipt_id))
    assert report.outcome == "failed"
    assert report.synthetic


def test_frozen_inputs_run_no_inference(inputs: Frozen) -> None:
    asked = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hi"}], "max_output_tokens": 5}
    args = RunArgs.model_validate(asked)
    with pytest.raises(Refused, match="run no inference"):
        inputs.call(run_inference, args)


def test_nothing_is_left_behind() -> None:
    with frozen() as inputs:
        inputs.recorder("op_1").record(model="gpt-5-mini", input_tokens=100)
        home = inputs.home
        assert home.exists()
    assert not home.exists()


@pytest.mark.parametrize("now", ["soon", "2026-01-15", "2026-01-15T12:00:00"])
def test_a_time_without_a_zone_is_refused(now: str) -> None:
    with pytest.raises(InvalidInput, match="now"), frozen(now):
        pass
