"""LiteLLM's callbacks, called with the payloads that its documentation shows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from wattproof.recorder import Recorder
from wattproof.recorder.litellm import WattproofLogger
from wattproof.testing import Frozen

START = datetime(2026, 1, 15, 12, tzinfo=UTC)


def standard(**changed: Any) -> dict[str, Any]:
    payload = {
        "id": "chatcmpl-1",
        "trace_id": "trace-1",
        "call_type": "acompletion",
        "response_cost": 0.0004,
        "status": "success",
        "total_tokens": 1500,
        "prompt_tokens": 1200,
        "completion_tokens": 300,
        "startTime": START.timestamp(),
        "endTime": START.timestamp() + 2,
        "model": "gpt-5-mini",
        "custom_llm_provider": "openai",
        "cache_hit": False,
        "metadata": {"usage_object": {"prompt_tokens_details": {"cached_tokens": 1000}}},
        **changed,
    }
    return {"standard_logging_object": payload, "model": "gpt-5-mini", "litellm_call_id": "call-1"}


@pytest.fixture
def recorder(inputs: Frozen) -> Recorder:
    return inputs.recorder("op_1")


@pytest.fixture
def logger(recorder: Recorder) -> WattproofLogger:
    return WattproofLogger(recorder)


def test_a_call_is_a_step(logger: WattproofLogger, recorder: Recorder) -> None:
    logger.log_success_event(standard(), {"id": "chatcmpl-1"}, START, START)
    found = recorder.status()
    assert (found.step_count, found.token_count) == (1, 1500)
    assert found.provenance.region_scope == "unknown:openai"


async def test_both_callbacks_for_one_call_count_once(logger: WattproofLogger, recorder: Recorder) -> None:
    logger.log_success_event(standard(), None, START, START)
    await logger.async_log_success_event(standard(), None, START, START)
    assert recorder.status().step_count == 1


def test_an_answer_from_litellm_s_cache_ran_no_model(logger: WattproofLogger, recorder: Recorder) -> None:
    logger.log_success_event(standard(cache_hit=True), None, START, START)
    logger.log_success_event(standard(id="chatcmpl-2"), None, START, START)
    assert recorder.status().step_count == 1


async def test_a_failed_call_counts_as_far_as_its_usage_is_known(logger: WattproofLogger, recorder: Recorder) -> None:
    nothing = standard(status="failure", prompt_tokens=0, completion_tokens=0, id="a")
    await logger.async_log_failure_event(nothing, None, START, START)
    logger.log_failure_event(standard(status="failure", id="b"), None, START, START)
    assert recorder.status().step_count == 1


class Answer:
    """An answer as LiteLLM's models give their fields."""

    def model_dump(self) -> dict[str, Any]:
        return {
            "id": "chatcmpl-9",
            "usage": {"prompt_tokens": 50, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 20}},
        }


def test_without_the_standard_payload_the_answer_is_read(logger: WattproofLogger, recorder: Recorder) -> None:
    kwargs = {"model": "gpt-5-mini", "custom_llm_provider": "openai", "call_type": "completion"}
    logger.log_success_event(kwargs, Answer(), START, START)
    assert recorder.status().token_count == 55


def test_without_an_operation_every_session_is_one(inputs: Frozen) -> None:
    recorder = inputs.recorder()
    WattproofLogger(recorder).log_success_event(standard(), None, START, START)
    assert recorder.status("litellm:trace-1").step_count == 1


@pytest.mark.parametrize(
    "kwargs",
    [{}, {"standard_logging_object": None}, {"standard_logging_object": {"prompt_tokens": "x"}}, None],
    ids=str,
)
def test_a_malformed_payload_breaks_nothing(logger: WattproofLogger, recorder: Recorder, kwargs: Any) -> None:
    logger.log_success_event(kwargs, object(), None, None)
    logger.log_success_event(standard(), None, None, None)
    assert recorder.status().step_count == 1
