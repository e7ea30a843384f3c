"""Model calls of the real langchain-core, with models that answer from memory."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from wattproof.recorder import Recorder
from wattproof.recorder.langchain import WattproofCallback
from wattproof.testing import Frozen

USAGE: dict[str, Any] = {
    "input_tokens": 1200,
    "output_tokens": 300,
    "total_tokens": 1500,
    "input_token_details": {"cache_read": 1000},
    "output_token_details": {"reasoning": 120},
}


@pytest.fixture
def recorder(inputs: Frozen) -> Recorder:
    return inputs.recorder("op_1")


def answer(usage: dict[str, Any] | None = None, **about: Any) -> AIMessage:
    metadata: Any = USAGE if usage is None else usage
    return AIMessage("hello", usage_metadata=metadata or None, response_metadata=about)


def model(*answers: AIMessage) -> GenericFakeChatModel:
    return GenericFakeChatModel(messages=iter(answers))


def test_every_call_of_a_model_is_a_step(recorder: Recorder) -> None:
    chat = model(answer(model_name="gpt-5-mini"), answer(model_name="gpt-5-mini"))
    config: Any = {"callbacks": [WattproofCallback(recorder)]}
    chat.invoke("one", config=config)
    chat.invoke("two", config=config)
    found = recorder.status()
    assert (found.step_count, found.token_count) == (2, 3000)
    assert found.energy_wh is not None


async def test_asynchronous_calls_are_steps_too(recorder: Recorder) -> None:
    await model(answer(model_name="gpt-5-mini")).ainvoke("one", config={"callbacks": [WattproofCallback(recorder)]})
    assert recorder.status().step_count == 1


def test_the_request_says_which_model_where_the_answer_does_not(recorder: Recorder) -> None:
    callback, run_id = WattproofCallback(recorder), uuid4()
    asked = {"ls_provider": "anthropic", "ls_model_name": "claude-sonnet-4-6"}
    callback.on_chat_model_start({}, [], run_id=run_id, metadata=asked)
    callback.on_llm_end(LLMResult(generations=[[ChatGeneration(message=answer())]]), run_id=run_id)
    found = recorder.status()
    assert found.provenance.region_scope == "unknown:anthropic"
    assert found.energy_wh is not None


def test_an_answer_without_usage_is_no_step(recorder: Recorder) -> None:
    callback = WattproofCallback(recorder)
    model(answer({})).invoke("one", config={"callbacks": [callback]})
    recorder.submit(model="gpt-5-mini", input_tokens=1)
    assert recorder.status().step_count == 1


def test_usage_beside_the_answer_is_read_in_openai_s_words(recorder: Recorder) -> None:
    output = {
        "model_name": "gpt-5-mini",
        "token_usage": {
            "prompt_tokens": 90,
            "completion_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": 50},
            "completion_tokens_details": {"reasoning_tokens": 4},
        },
    }
    result = LLMResult(generations=[[Generation(text="x")]], llm_output=output)
    WattproofCallback(recorder).on_llm_end(result, run_id=uuid4())
    assert recorder.status().token_count == 100


@pytest.mark.parametrize(
    "usage", [{"input_tokens": -5, "output_tokens": 1}, {"input_tokens": "x"}, {"input_tokens": None}]
)
def test_malformed_usage_breaks_nothing(recorder: Recorder, usage: dict[str, Any]) -> None:
    callback = WattproofCallback(recorder)
    callback.on_llm_end(LLMResult(generations=[], llm_output={"token_usage": usage}), run_id=uuid4())
    callback.on_llm_error(RuntimeError("gone"), run_id=uuid4())
    recorder.submit(model="gpt-5-mini", input_tokens=1)
    assert recorder.status().step_count == 1
