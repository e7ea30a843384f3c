"""LangChain's model calls become steps: pass `WattproofCallback` among the callbacks of a model, chain or graph.

    from wattproof.recorder import Recorder
    from wattproof.recorder.langchain import WattproofCallback

    with Recorder("op_nightly") as recorder:
        chain.invoke(question, config={"callbacks": [WattproofCallback(recorder)]})

Needs langchain-core, which your project has if it uses LangChain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from wattproof.methodology.errors import Unavailable
from wattproof.recorder.recorder import Recorder, StepUsage
from wattproof.resources.imports.records import Skip
from wattproof.resources.imports.values import count, mapping, optional_name, usage_of

try:
    from langchain_core.callbacks import BaseCallbackHandler
except ModuleNotFoundError as missing:
    raise Unavailable("The callback needs LangChain; run: pip install langchain-core.") from missing

if TYPE_CHECKING:
    from uuid import UUID

    from langchain_core.outputs import LLMResult

__all__ = ["WattproofCallback"]

_MOST_OPEN = 10_000


class WattproofCallback(BaseCallbackHandler):
    """Submits the usage of every model call that LangChain reports to `recorder`; a run's id is the step's."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder
        self._begun: dict[UUID, Mapping[str, Any]] = {}

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[Any], *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Remember which model at which provider is asked; the answer may not say."""
        self._begin(run_id, kwargs.get("metadata"))

    def on_llm_start(self, serialized: dict[str, Any], prompts: list[str], *, run_id: UUID, **kwargs: Any) -> None:
        """The same for models that take text."""
        self._begin(run_id, kwargs.get("metadata"))

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **kwargs: Any) -> None:
        """Submit what the answer states."""
        begun = self._begun.pop(run_id, {})
        stated = _stated(response)
        if stated is None:
            return
        usage, model = stated
        model = model or optional_name(begun.get("ls_model_name")) or "unstated"
        try:
            whole, cached, output, reasoning = _counts(usage)
        except Skip:
            return
        self._recorder.submit(
            StepUsage(
                model=model,
                provider=optional_name(begun.get("ls_provider")),
                input_tokens=whole,
                output_tokens=output,
                cached_input_tokens=cached,
                reasoning_tokens=reasoning,
                step_id=str(run_id),
            )
        )

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Forget the call: what it used is not known."""
        self._begun.pop(run_id, None)

    def _begin(self, run_id: UUID, metadata: object) -> None:
        if len(self._begun) >= _MOST_OPEN:
            self._begun.pop(next(iter(self._begun)))
        self._begun[run_id] = mapping(metadata)


def _stated(response: LLMResult) -> tuple[Mapping[str, Any], str | None] | None:
    """Usage and model of an answer; None where it states no usage."""
    for generation in (each for several in response.generations for each in several):
        message: Any = getattr(generation, "message", None)
        usage = mapping(getattr(message, "usage_metadata", None))
        if usage:
            about = mapping(getattr(message, "response_metadata", None))
            return usage, optional_name(about.get("model_name")) or optional_name(about.get("model"))
    whole = mapping(response.llm_output)
    usage = mapping(whole.get("token_usage")) or mapping(whole.get("usage"))
    return (usage, optional_name(whole.get("model_name"))) if usage else None


def _counts(usage: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Input, cached, output and reasoning tokens, in LangChain's words or in OpenAI's.

    Raises:
        Skip: a count is malformed, or there is no token.
    """
    details = mapping(usage.get("input_token_details")) or mapping(usage.get("prompt_tokens_details"))
    written = mapping(usage.get("output_token_details")) or mapping(usage.get("completion_tokens_details"))
    return usage_of(
        count(cast("object", usage.get("input_tokens", usage.get("prompt_tokens")))),
        count(details.get("cache_read", details.get("cached_tokens"))),
        count(usage.get("output_tokens", usage.get("completion_tokens"))),
        count(written.get("reasoning", written.get("reasoning_tokens"))),
    )
