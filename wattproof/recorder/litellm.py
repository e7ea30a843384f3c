"""LiteLLM's calls become steps, in the SDK and in the proxy: add `WattproofLogger` to its callbacks.

    import litellm
    from wattproof.recorder import Recorder
    from wattproof.recorder.litellm import WattproofLogger

    litellm.callbacks = [WattproofLogger(Recorder("op_nightly"))]

Reads the payload that LiteLLM documents for its callbacks (``standard_logging_object``); of older versions, the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from wattproof.recorder.recorder import Recorder, StepUsage
from wattproof.resources.imports.litellm import record_of_row
from wattproof.resources.imports.records import Skip
from wattproof.resources.imports.values import instant_of_seconds, mapping, optional_name

if TYPE_CHECKING:

    class CustomLogger:
        """What LiteLLM calls."""

else:
    try:
        from litellm.integrations.custom_logger import CustomLogger
    except ModuleNotFoundError:
        CustomLogger = object

__all__ = ["WattproofLogger"]


class WattproofLogger(CustomLogger):
    """Submits the usage of every call to `recorder`. Answers from LiteLLM's own cache ran no model, and do not count.

    Without an operation of its recorder, every session of LiteLLM is one (``litellm:<trace id>``).
    """

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def log_success_event(self, kwargs: Mapping[str, Any], response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Submit what the call used. Never raises."""
        self._submit(kwargs, response_obj, start_time)

    async def async_log_success_event(
        self, kwargs: Mapping[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """The same, called by LiteLLM's asynchronous functions and its proxy."""
        self._submit(kwargs, response_obj, start_time)

    def log_failure_event(self, kwargs: Mapping[str, Any], response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Submit what a failed call used, where that is known."""
        self._submit(kwargs, response_obj, start_time)

    async def async_log_failure_event(
        self, kwargs: Mapping[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        """The same, asynchronously."""
        self._submit(kwargs, response_obj, start_time)

    def _submit(self, kwargs: Mapping[str, Any], response_obj: Any, start_time: Any) -> None:
        row = _row(mapping(kwargs), response_obj, start_time)
        try:
            usage = record_of_row(row)
        except Skip:
            return
        self._recorder.submit(
            StepUsage(
                model=usage.model,
                provider=usage.provider,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cached_input_tokens=usage.cached_input_tokens,
                reasoning_tokens=usage.reasoning_tokens,
                step_id=usage.external_id,
                step_kind="embedding" if usage.workload == "embedding" else "llm",
                operation_id=self._recorder.operation_id or usage.operation_id,
            )
        )


def _row(kwargs: Mapping[str, Any], response_obj: Any, start_time: Any) -> dict[str, Any]:
    """The call as a row of a spend log, which is what `imports.litellm` reads."""
    standard = mapping(kwargs.get("standard_logging_object"))
    stated = _plain(response_obj)
    usage = _plain(stated.get("usage"))
    detail = mapping(mapping(standard.get("metadata")).get("usage_object")) or usage
    return {
        "request_id": standard.get("id") or stated.get("id") or kwargs.get("litellm_call_id"),
        "call_type": standard.get("call_type") or kwargs.get("call_type"),
        "prompt_tokens": standard.get("prompt_tokens", usage.get("prompt_tokens")),
        "completion_tokens": standard.get("completion_tokens", usage.get("completion_tokens")),
        "startTime": _instant(standard.get("startTime"), start_time),
        "model": standard.get("model") or kwargs.get("model"),
        "custom_llm_provider": standard.get("custom_llm_provider") or kwargs.get("custom_llm_provider"),
        "cache_hit": standard.get("cache_hit") or kwargs.get("cache_hit"),
        "session_id": optional_name(standard.get("trace_id")),
        "metadata": {"usage_object": {name: _plain(value) or value for name, value in detail.items()}},
    }


def _plain(value: object) -> Mapping[str, Any]:
    """A model of LiteLLM as its fields; a mapping as it is; anything else as nothing."""
    dump = getattr(value, "model_dump", None)
    return mapping(dump() if callable(dump) else value)


def _instant(seconds: object, start_time: Any) -> str:
    """When the call began; a callback is called at once, so that a missing time is no reason to lose the step."""
    for given in (seconds, getattr(start_time, "timestamp", float)()):
        try:
            return instant_of_seconds(given)
        except Skip:
            continue
    return "1970-01-01T00:00:00Z"
