"""The arithmetic of `bulk.py` on arrays: token counts in, amounts out. Importing this needs numpy.

Rates, loadings and multipliers come from the scalar method; here are only its terms and the Fenton-Wilkinson match.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.methods.accelerator import TERMS, AcceleratorRates
from wattproof.methodology.methods.param import ParamRates
from wattproof.methodology.propagate import Z90, LogNormal, Mix
from wattproof.methodology.quantity import MAX_TOKENS, Usage

__all__ = ["Amounts", "Counts", "evaluate", "index", "parts_of_columns", "parts_of_usages", "terms_wh"]

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.integer[Any]]

ROWS_PER_PART = 16_384
"""Arrays of this length stay in the processor's cache; what one part needs at once is some 3 MB."""

_INTEGER = "give an integer from 0 to 1e12; rows count from 0"


class Amounts(NamedTuple):
    """One indicator of every request: median and 90 % interval."""

    median: Floats
    low: Floats
    high: Floats


class Counts(NamedTuple):
    """Token counts of consecutive requests, each column one array."""

    input_tokens: Floats
    cached_input_tokens: Floats
    output_tokens: Floats


class _Match(NamedTuple):
    """Matched sums: their medians and the variances of their logarithms."""

    median: Floats
    variance_ln: Floats


def evaluate(
    rates: ParamRates,
    factors: Mapping[str, Sequence[LogNormal]],
    group_of: NDArray[np.intp],
    groups: int,
    parts: Iterable[Counts],
) -> tuple[dict[str, Amounts], tuple[tuple[float, ...], ...]]:
    """Amounts of every request by indicator, and by group the sum of each term of accelerator energy [Wh].

    Request r belongs to group `group_of[r]`: its indicator `name` is accelerator energy times
    `factors[name][group_of[r]]`.
    """
    amounts = {name: Amounts(*(np.empty(len(group_of)) for _ in Amounts._fields)) for name in factors}
    sums_wh = np.zeros((groups, len(TERMS)))
    start = 0
    for counts in parts:
        rows = slice(start, start + len(counts.input_tokens))
        group = None if groups == 1 else group_of[rows]
        terms = terms_wh(rates.accelerator, counts)
        matched = _match(rates.mixes[len(terms)], terms)
        for name, (median, low, high) in amounts.items():
            _products(matched, factors[name], group, (median[rows], low[rows], high[rows]))
        for k, term in enumerate(terms):
            sums_wh[:, k] += term.sum() if group is None else np.bincount(group, weights=term, minlength=groups)
        start = rows.stop
    return amounts, tuple(map(tuple, sums_wh.tolist()))


def index(places: Sequence[int] | None, requests: int) -> NDArray[np.intp]:
    """The group of each request; without `places` all are in group 0, which takes no memory."""
    return np.broadcast_to(np.intp(0), requests) if places is None else np.array(places, dtype=np.intp)


def parts_of_columns(columns: Mapping[str, object]) -> Iterator[Counts]:
    """Columns of token counts in parts, each checked as `Usage` checks one request; a column of None is all 0.

    Raises:
        InvalidInput: a column is no column of integers, columns differ in length, a count is negative or above 1e12, or
            a part exceeds its whole; names the column and the row.
    """
    arrays = {name: _column(name, values) for name, values in columns.items() if values is not None}
    rows = len(arrays["input_tokens"])
    for name in columns:
        counts = arrays.setdefault(name, np.broadcast_to(np.int64(0), rows))
        if len(counts) != rows:
            raise InvalidInput(name, f"has {len(counts)} rows, input_tokens {rows}", "give one count for each request")
    for start in range(0, rows, ROWS_PER_PART):
        part = {name: counts[start : start + ROWS_PER_PART] for name, counts in arrays.items()}
        _require_counts(part, start)
        _require_part(part, "cached_input_tokens", "input_tokens", start)
        _require_part(part, "reasoning_tokens", "output_tokens", start)
        yield Counts(*(part[name].astype(np.float64) for name in Counts._fields))


def _require_counts(columns: Mapping[str, Integers], start: int) -> None:
    for name, counts in columns.items():
        if counts.min() < 0 or counts.max() > MAX_TOKENS:
            row = int(np.argmax((counts < 0) | (counts > MAX_TOKENS)))
            raise InvalidInput(name, f"is {counts[row]} in row {start + row}", _INTEGER)


def _require_part(columns: Mapping[str, Integers], part: str, whole: str, start: int) -> None:
    exceeds = columns[part] > columns[whole]
    if exceeds.any():
        row = int(np.argmax(exceeds))
        problem = f"is {columns[part][row]} in row {start + row}, more than {whole} ({columns[whole][row]})"
        raise InvalidInput(part, problem, f"it counts a part of {whole}; rows count from 0")


def parts_of_usages(usages: Sequence[Usage]) -> Iterator[Counts]:
    """The token counts of checked records in parts.

    Raises:
        InvalidInput: a row holds something else; names the row.
    """
    for start in range(0, len(usages), ROWS_PER_PART):
        part = usages[start : start + ROWS_PER_PART]
        for row, usage in enumerate(part, start):
            if not isinstance(usage, Usage):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise InvalidInput("usages", f"holds {usage!r} in row {row}", "give Usage; rows count from 0")
        yield Counts(
            np.array([usage.input_tokens for usage in part], dtype=np.float64),
            np.array([usage.cached_input_tokens for usage in part], dtype=np.float64),
            np.array([usage.output_tokens for usage in part], dtype=np.float64),
        )


def _column(name: str, values: object) -> Integers:
    """The counts of one column as an array of integers; an array of integers is not copied."""
    if isinstance(values, list | tuple):
        return _from_list(name, cast("Sequence[object]", values))
    array: NDArray[Any] = np.asarray(values)
    if array.ndim != 1:
        raise InvalidInput(name, f"has {array.ndim} dimensions", "give one count for each request")
    return array if array.dtype.kind in "iu" else _from_list(name, array.tolist())


def _from_list(name: str, values: Sequence[object]) -> Integers:
    """As `Usage`, this takes no number that only equals an integer: 3.0 or True is a mistake upstream."""
    for row, count in enumerate(values):
        if type(count) is not int:
            raise InvalidInput(name, f"is {count!r} in row {row}", _INTEGER)
        if not 0 <= count <= MAX_TOKENS:
            raise InvalidInput(name, f"is {count} in row {row}", _INTEGER)
    return np.array(values, dtype=np.int64)


def terms_wh(rates: AcceleratorRates, counts: Counts) -> tuple[Floats, ...]:
    """What `AcceleratorRates.terms_wh` gives for each request [Wh]; terms that are 0 in every request are left out."""
    tokens, cached, output = counts
    terms = [rates.decode * output, rates.prefill * (tokens - cached)]
    has_cached, is_long = cached.any(), (tokens > rates.attention_free_tokens).any()
    if has_cached or is_long:
        terms.append(rates.cached * cached)
    if is_long:
        terms.append(rates.attention * (_reach(rates, tokens) - _reach(rates, cached)))
    return tuple(terms)


def _reach(rates: AcceleratorRates, tokens: Floats) -> Floats:
    """As `AcceleratorRates` counts the pairs of tokens that attend to each other [token^2]."""
    prompts = np.maximum(1.0, tokens / rates.longest_prompt_tokens)
    beyond = np.maximum(0.0, np.minimum(tokens, rates.longest_prompt_tokens) - rates.attention_free_tokens)
    return prompts * beyond * beyond


def _match(mixed: Mix, terms: Sequence[Floats]) -> _Match:
    """What `Mix.match` gives for each request."""
    means = [median * ratio for median, ratio in zip(terms, mixed.means_per_median, strict=True)]
    mean = sum(means[1:], start=means[0])
    variance = np.zeros_like(mean)
    for k, i, covariance in mixed.covariances:
        variance += means[k] * means[i] * covariance
    # Where the mean is 0 so is the variance, and the ratio stays as it is: 0.
    np.divide(variance, mean * mean, out=variance, where=mean > 0)
    variance_ln = np.log1p(variance, out=variance)
    return _Match(mean * np.exp(-0.5 * variance_ln), variance_ln)


def _products(
    matched: _Match,
    factors: Sequence[LogNormal],
    factor_of: NDArray[np.intp] | None,
    out: tuple[Floats, Floats, Floats],
) -> None:
    """What `LogNormal.products` gives for each request, as median, low and high, written to `out`.

    Request r is multiplied by `factors[factor_of[r]]`; without `factor_of` by the only factor.
    """
    if factor_of is None:
        ((ratio, sigma_ln),) = factors
        variance_ln = sigma_ln * sigma_ln
    else:
        ratio = np.array([factor.median for factor in factors])[factor_of]
        variance_ln = np.array([factor.sigma_ln * factor.sigma_ln for factor in factors])[factor_of]
    median, low, high = out
    spread = matched.variance_ln + variance_ln
    np.sqrt(spread, out=spread)
    spread *= Z90
    np.exp(spread, out=spread)
    np.multiply(matched.median, ratio, out=median)
    np.divide(median, spread, out=low)
    np.multiply(median, spread, out=high)
