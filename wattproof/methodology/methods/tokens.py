"""Token counts of a request, read back from the numbers of its operands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from wattproof.methodology.errors import InvalidInput

__all__ = ["TokenCounts"]


class TokenCounts(NamedTuple):
    """The three parts of a request that methods charge differently."""

    fresh_input: float
    cached_input: float
    output: float

    @classmethod
    def of(cls, numbers: Mapping[str, float]) -> TokenCounts:
        """The counts among the numbers of a method's operands.

        Raises:
            InvalidInput: a count is negative, or more input was cached than there is.
        """
        cached = numbers["cached_input_tokens"]
        counts = cls(numbers["input_tokens"] - cached, cached, numbers["output_tokens"])
        if min(counts) < 0:
            raise InvalidInput("input_tokens", "gives a negative count", "cached input is a part of input")
        return counts

    @property
    def input(self) -> float:
        return self.fresh_input + self.cached_input

    @property
    def total(self) -> float:
        return self.fresh_input + self.cached_input + self.output
