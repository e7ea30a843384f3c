"""The closed form against simulation, and what must hold for any terms."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.methods import Activity, get_method
from wattproof.methodology.propagate import Row, combine, match, mean, scoped, total
from wattproof.methodology.quantity import Term

FACTORS = ("batch", "fit", "grid", "overhead", "prefill", "pue", "weights")

loadings = st.dictionaries(st.sampled_from(FACTORS), st.floats(0.01, 1.2), max_size=5).map(
    lambda factors: tuple(sorted(factors.items()))
)
terms = st.lists(st.builds(Term, st.just("term"), st.floats(1e-9, 1e6), loadings), min_size=1, max_size=4)


def simulate(terms: list[Term], trials: int, seed: int) -> list[float]:
    chance = random.Random(seed)
    factors = sorted({factor for term in terms for factor, _ in term.loadings})
    sums: list[float] = []
    for _ in range(trials):
        z = {factor: chance.gauss(0, 1) for factor in factors}
        sums.append(sum(t.median * math.exp(sum(sigma * z[factor] for factor, sigma in t.loadings)) for t in terms))
    return sorted(sums)


@pytest.mark.parametrize("seed", range(12))
def test_the_interval_holds_90_percent_of_a_simulation(seed: int) -> None:
    chance = random.Random(seed)
    scenario = [
        Term(name, chance.lognormvariate(0, 1.5), tuple((factor, chance.uniform(0.05, 0.55)) for factor in FACTORS[:5]))
        for name in ("decode", "prefill", "cached")
    ]
    quantity = combine(scenario)
    assert quantity.low is not None
    assert quantity.high is not None
    sums = simulate(scenario, 8_000, seed)
    inside = sum(quantity.low <= value <= quantity.high for value in sums) / len(sums)
    assert 0.89 <= inside <= 0.93
    assert quantity.median == pytest.approx(sums[len(sums) // 2], rel=0.05)
    assert quantity.low == pytest.approx(sums[len(sums) // 20], rel=0.10)
    assert quantity.high == pytest.approx(sums[len(sums) * 19 // 20], rel=0.10)


@pytest.mark.parametrize("model", ["gpt-oss-120b", "gpt-4o", "llama-3.3-70b-instruct"])
@pytest.mark.parametrize("tokens", [(200, 2000, 0), (10_000, 200, 8_000), (100_000, 50, 0)])
def test_the_interval_of_a_real_request_holds_90_percent(
    activity: Callable[..., Activity], model: str, tokens: tuple[int, int, int]
) -> None:
    input_tokens, output_tokens, cached_input_tokens = tokens
    request = activity(input_tokens, output_tokens, cached_input_tokens=cached_input_tokens, model=model)
    footprint = get_method("param").footprint(request)
    for quantity, terms in (
        (footprint.energy_wh, footprint.energy_terms),
        (footprint.carbon_gco2e, footprint.carbon_terms),
    ):
        assert quantity is not None
        assert quantity.low is not None
        assert quantity.high is not None
        sums = simulate(list(terms), 10_000, seed=20261101)
        assert 0.89 <= sum(quantity.low <= value <= quantity.high for value in sums) / len(sums) <= 0.93


@given(st.floats(1e-9, 1e6), loadings)
def test_one_term_is_exact(median: float, loadings: tuple[tuple[str, float], ...]) -> None:
    matched = match([Term("only", median, loadings)])
    assert matched.median == pytest.approx(median)
    assert matched.sigma_ln == pytest.approx(math.sqrt(sum(sigma * sigma for _, sigma in loadings)))


@given(terms, st.floats(1e-3, 1e3))
def test_scaling_every_term_scales_the_result(terms: list[Term], factor: float) -> None:
    scaled = match([Term(t.name, t.median * factor, t.loadings) for t in terms])
    matched = match(terms)
    assert scaled.median == pytest.approx(matched.median * factor)
    assert scaled.sigma_ln == pytest.approx(matched.sigma_ln)


@given(terms)
def test_low_median_and_high_are_in_order(terms: list[Term]) -> None:
    quantity = combine(terms)
    assert quantity.low is not None
    assert quantity.high is not None
    assert 0 < quantity.low <= quantity.median <= quantity.high < math.inf


@given(terms)
def test_the_order_of_the_terms_does_not_matter(terms: list[Term]) -> None:
    forwards, backwards = match(terms), match(terms[::-1])
    assert forwards.median == pytest.approx(backwards.median)
    assert forwards.sigma_ln == pytest.approx(backwards.sigma_ln)


@given(terms)
def test_a_factor_common_to_all_terms_multiplies_the_sum(terms: list[Term]) -> None:
    matched = match(terms).times(0.5, 0.3)
    common = match([Term(t.name, t.median * 0.5, tuple(sorted((*t.loadings, ("common", 0.3))))) for t in terms])
    assert matched.median == pytest.approx(common.median)
    assert matched.sigma_ln == pytest.approx(common.sigma_ln)


def test_nothing_is_zero_without_width() -> None:
    quantity = combine([Term("decode", 0.0, (("batch", 0.5),)), Term("prefill", 0.0, (("prefill", 0.7),))])
    assert (quantity.median, quantity.low, quantity.high) == (0.0, 0.0, 0.0)
    assert total([]).high == 0.0


@given(terms)
def test_the_total_of_one_request_is_the_request(terms: list[Term]) -> None:
    one = total([([mean(t) for t in terms], [t.loadings for t in terms], 0.0)])
    quantity = combine(terms)
    assert one.median == pytest.approx(quantity.median)
    assert one.low == pytest.approx(quantity.low)
    assert one.high == pytest.approx(quantity.high)


@given(terms)
def test_a_thousand_identical_requests_have_the_relative_width_of_one(terms: list[Term]) -> None:
    one = combine(terms)
    many = total([Row([1000 * mean(t) for t in terms], [t.loadings for t in terms])])
    assert many.low is not None
    assert many.high is not None
    assert one.low is not None
    assert one.high is not None
    assert many.median == pytest.approx(1000 * one.median)
    assert many.high / many.low == pytest.approx(one.high / one.low)


@given(terms)
def test_a_total_does_not_depend_on_how_its_rows_are_cut(terms: list[Term]) -> None:
    loadings = [t.loadings for t in terms]
    whole = total([Row([7 * mean(t) for t in terms], loadings)])
    cut = total([Row([3 * mean(t) for t in terms], loadings), Row([4 * mean(t) for t in terms], loadings)])
    assert cut.median == pytest.approx(whole.median)
    assert cut.high == pytest.approx(whole.high)


def test_requests_that_share_nothing_narrow_each_other() -> None:
    one = total([Row([1.0], [(("grid:FR", 0.5),)])])
    two = total([Row([1.0], [(("grid:FR", 0.5),)]), Row([1.0], [(("grid:SE", 0.5),)])])
    assert one.low is not None
    assert one.high is not None
    assert two.low is not None
    assert two.high is not None
    assert two.high / two.low < one.high / one.low


def test_own_variance_widens_a_total_and_averages_out() -> None:
    shared = (("fit:a", 0.3),)
    certain = total([Row([1.0], [shared])])
    one = total([Row([1.0], [shared], 0.25)])
    many = total([Row([1000.0], [shared], 1000 * 0.25)])
    assert certain.high is not None
    assert one.high is not None
    assert many.high is not None
    assert one.high / one.median > many.high / many.median > certain.high / certain.median
    assert many.high / many.median == pytest.approx(certain.high / certain.median, rel=1e-2)


def test_a_factor_is_named_after_what_it_is_shared_over() -> None:
    (term,) = scoped(
        [Term("decode", 1.0, (("grid", 0.2), ("prefill", 0.5)))],
        {"grid": "zone", "prefill": "global"},
        {"zone": "FR"},
    )
    assert term.loadings == (("grid:FR", 0.2), ("prefill", 0.5))
