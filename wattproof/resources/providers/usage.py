"""Providers disagree about usage; this file makes one `Usage` of what each of them sends.

Where a count may stand is data: the first path that holds a number wins. What counts as what is data too: OpenAI and
DeepSeek count cached tokens inside `prompt_tokens`, Anthropic leaves them out of `input_tokens`, Gemini leaves thoughts
out of `candidatesTokenCount`.

Source: OpenAI, DeepSeek, Anthropic, Gemini, Bedrock (Converse), Cohere, Jina and Voyage API references, each dialect's
    own comment saying what is part of what.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.quantity import Usage

__all__ = ["ANTHROPIC", "EMBEDDINGS", "OPENAI", "RERANK", "UsageDialect", "normalise_usage"]

Paths = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class UsageDialect:
    """Where one family of providers puts its counts.

    `beside_input` and `beside_output` are counts that the input and the output leave out: each is added, unless the
    total shows that it was in. No `output` at all: the workload produces no tokens.
    """

    input: Paths
    output: Paths
    cached: Paths = ()
    reasoning: Paths = ()
    total: Paths = ()
    beside_input: Paths = ()
    beside_output: Paths = ()


# Cached is a part of prompt_tokens and reasoning a part of completion_tokens. Cerebras sends no cached count at all; a
# server that keeps reasoning apart gives itself away because its total exceeds the sum of the other two.
OPENAI = UsageDialect(
    input=(("prompt_tokens",), ("input_tokens",)),
    output=(("completion_tokens",), ("output_tokens",)),
    cached=(
        ("prompt_tokens_details", "cached_tokens"),
        ("input_tokens_details", "cached_tokens"),
        ("prompt_cache_hit_tokens",),
        ("cached_tokens",),
    ),
    reasoning=(
        ("completion_tokens_details", "reasoning_tokens"),
        ("output_tokens_details", "reasoning_tokens"),
        ("reasoning_tokens",),
    ),
    total=(("total_tokens",),),
)
# input_tokens is only what was neither read from the cache nor written to it; output_tokens includes thinking.
ANTHROPIC = UsageDialect(
    input=(("input_tokens",),),
    output=(("output_tokens",),),
    cached=(("cache_read_input_tokens",),),
    reasoning=(("output_tokens_details", "thinking_tokens"),),
    beside_input=(("cache_creation_input_tokens",), ("cache_read_input_tokens",)),
)
# promptTokenCount includes cached content; thoughts and the results of tools are counted apart.
_GEMINI = UsageDialect(
    input=(("promptTokenCount",),),
    output=(("candidatesTokenCount",),),
    cached=(("cachedContentTokenCount",),),
    reasoning=(("thoughtsTokenCount",),),
    total=(("totalTokenCount",),),
    beside_input=(("toolUsePromptTokenCount",),),
    beside_output=(("thoughtsTokenCount",),),
)
# As Anthropic's, in other letters.
_BEDROCK = UsageDialect(
    input=(("inputTokens",),),
    output=(("outputTokens",),),
    cached=(("cacheReadInputTokens",),),
    total=(("totalTokens",),),
    beside_input=(("cacheWriteInputTokens",), ("cacheReadInputTokens",)),
)
EMBEDDINGS = UsageDialect(input=(("prompt_tokens",), ("input_tokens",), ("total_tokens",)), output=())
# Read from the whole response. Cohere's search units are no tokens.
RERANK = UsageDialect(
    input=(
        ("usage", "prompt_tokens"),
        ("usage", "input_tokens"),
        ("usage", "total_tokens"),
        ("meta", "tokens", "input_tokens"),
        ("meta", "billed_units", "input_tokens"),
    ),
    output=(),
)
# Names that only one family uses, for gateways that pass them on under another protocol.
_SPOKEN_BY: Mapping[str, UsageDialect] = {"promptTokenCount": _GEMINI, "inputTokens": _BEDROCK}


def normalise_usage(block: Mapping[str, Any], *, answered: bool, dialect: UsageDialect | None = None) -> Usage | None:
    """`Usage` of one usage block, or None where the block says nothing.

    `dialect` is what the wire protocol speaks (OpenAI's unless given); Gemini's and Bedrock's names are known by sight.
    A block with no input or no output tokens at all, after an answer that had text (`answered`), says nothing: it is
    what proxies send that cannot count, and unknown is not 0.

    Raises:
        InvalidInput: a count is not an integer, is negative or absurd, or a part exceeds its whole.
    """
    spoken = next((known for name, known in _SPOKEN_BY.items() if name in block), dialect or OPENAI)
    given_input = _first(block, spoken.input)
    given_output = _first(block, spoken.output) if spoken.output else 0
    if given_input is None or given_output is None:
        return None
    cached, reasoning = _first(block, spoken.cached) or 0, _first(block, spoken.reasoning) or 0
    total = _first(block, spoken.total)
    beside_input, beside_output = _sum(block, spoken.beside_input), _sum(block, spoken.beside_output)
    # Before anything is added to them, which could hide it.
    for name, count in (("input", given_input), ("output", given_output)):
        if count < 0:
            raise InvalidInput(f"{name}_tokens", f"is {count}", "give a count of 0 or more")
    apart = beside_input + beside_output
    if apart > 0 and total != given_input + given_output:
        given_input += beside_input
        given_output += beside_output
    elif reasoning > 0 and total == given_input + given_output + reasoning:
        given_output += reasoning
    if answered and (given_input == 0 or (spoken.output and given_output == 0)):
        return None
    return Usage(given_input, given_output, cached_input_tokens=cached, reasoning_tokens=reasoning)


def _sum(block: Mapping[str, Any], paths: Paths) -> int:
    counts = [_first(block, (path,)) or 0 for path in paths]
    for path, count in zip(paths, counts, strict=True):
        if count < 0:
            raise InvalidInput(".".join(path), f"is {count}", "give a count of 0 or more")
    return sum(counts)


def _first(block: Mapping[str, Any], paths: Paths) -> int | None:
    for path in paths:
        value = _at(block, path)
        if value is None:
            continue
        if type(value) is not int:
            raise InvalidInput(".".join(path), f"is {ascii(value)[:40]}", "give an integer")
        return value
    return None


def _at(block: Mapping[str, Any], path: tuple[str, ...]) -> object:
    here: object = block
    for key in path:
        if not isinstance(here, dict):
            return None
        here = cast("dict[str, object]", here).get(key)
    return here
