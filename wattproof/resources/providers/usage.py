"""Providers disagree about usage; this file makes one `Usage` of what OpenAI-compatible servers send.

Where a count may stand is data: the first path that holds a number wins. OpenAI counts cached tokens inside
`prompt_tokens` and reasoning inside `completion_tokens`; a server that keeps reasoning apart gives itself away because
its `total_tokens` then exceeds the sum of the other two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.quantity import Usage

__all__ = ["normalise_usage"]

_PATHS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "input": (("prompt_tokens",), ("input_tokens",)),
    "output": (("completion_tokens",), ("output_tokens",)),
    "cached": (
        ("prompt_tokens_details", "cached_tokens"),
        ("input_tokens_details", "cached_tokens"),
        ("prompt_cache_hit_tokens",),
        ("cached_tokens",),
    ),
    "reasoning": (
        ("completion_tokens_details", "reasoning_tokens"),
        ("output_tokens_details", "reasoning_tokens"),
        ("reasoning_tokens",),
    ),
    "total": (("total_tokens",),),
}


def normalise_usage(block: Mapping[str, Any], *, answered: bool) -> Usage | None:
    """`Usage` of one usage block, or None where the block says nothing.

    A block with no input or no output tokens at all, after an answer that had text (`answered`), says nothing: it is
    what proxies send that cannot count, and unknown is not 0.

    Raises:
        InvalidInput: a count is not an integer, is negative or absurd, or a part exceeds its whole.
    """
    counts = {name: _first(block, paths) for name, paths in _PATHS.items()}
    given_input, given_output = counts["input"], counts["output"]
    if given_input is None or given_output is None:
        return None
    if answered and (given_input == 0 or given_output == 0):
        return None
    cached, reasoning = counts["cached"] or 0, counts["reasoning"] or 0
    kept_apart = reasoning > 0 and counts["total"] == given_input + given_output + reasoning
    return Usage(
        input_tokens=given_input,
        output_tokens=given_output + reasoning if kept_apart else given_output,
        cached_input_tokens=cached,
        reasoning_tokens=reasoning,
    )


def _first(block: Mapping[str, Any], paths: tuple[tuple[str, ...], ...]) -> int | None:
    for path in paths:
        value = _at(block, path)
        if value is None:
            continue
        if type(value) is not int:
            raise InvalidInput(".".join(path), f"is {str(value)[:40]!r}", "give an integer")
        return value
    return None


def _at(block: Mapping[str, Any], path: tuple[str, ...]) -> object:
    here: object = block
    for key in path:
        if not isinstance(here, dict):
            return None
        here = cast("dict[str, object]", here).get(key)
    return here
