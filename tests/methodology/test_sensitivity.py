"""Which unknown an interval comes from, and what would shrink it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from statistics import fmean, variance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.methods import Activity, Intensity, get_method
from wattproof.methodology.quantity import Term
from wattproof.methodology.sensitivity import drivers, first_order, total_order, would_tighten

MakeActivity = Callable[..., Activity]
PARAM = get_method("wattproof/param")

sigmas = st.dictionaries(st.sampled_from("abcde"), st.floats(0.05, 1.2), min_size=1)


def term(median: float, loadings: dict[str, float]) -> Term:
    return Term("t", median, tuple(sorted(loadings.items())))


terms = st.lists(st.builds(term, st.floats(0.01, 100.0), sigmas), min_size=1, max_size=4)


@given(loadings=sigmas)
def test_one_product_has_the_closed_forms_of_the_literature(loadings: dict[str, float]) -> None:
    product = [Term("t", 3.0, tuple(sorted(loadings.items())))]
    total = sum(sigma**2 for sigma in loadings.values())
    alone, left_over = first_order(product), total_order(product)
    for factor, sigma in loadings.items():
        assert alone[factor] == pytest.approx(math.expm1(sigma**2) / math.expm1(total))
        assert left_over[factor] == pytest.approx(math.expm1(-(sigma**2)) / math.expm1(-total))
        assert dict(drivers(product))[factor] == pytest.approx(sigma**2 / total)


@given(terms=terms)
def test_first_order_shares_add_up_to_at_most_one_and_total_ones_to_at_least_one(terms: list[Term]) -> None:
    alone, left_over = first_order(terms), total_order(terms)
    assert sum(alone.values()) <= 1 + 1e-9
    assert sum(left_over.values()) >= 1 - 1e-9
    assert all(alone[factor] <= left_over[factor] + 1e-9 for factor in alone)


@given(terms=terms)
def test_the_shares_of_the_drivers_add_up_to_one_largest_first(terms: list[Term]) -> None:
    shares = [share for _, share in drivers(terms)]
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)


def test_the_shares_of_a_sum_agree_with_a_simulation() -> None:
    parts = (Term("x", 2.0, (("a", 0.5), ("b", 0.3))), Term("y", 1.0, (("a", 0.2), ("c", 0.6))))
    noise = random.Random(7)

    def total(z: dict[str, float]) -> float:
        return sum(t.median * math.exp(sum(sigma * z[name] for name, sigma in t.loadings)) for t in parts)

    draws = [[{name: noise.gauss(0, 1) for name in "abc"} for _ in range(2)] for _ in range(40_000)]
    whole = variance([total(one) for one, _ in draws])
    for factor in "abc":
        # Two draws that share one factor: their covariance is what that factor explains alone.
        pairs = [(total(one), total({**other, factor: one[factor]})) for one, other in draws]
        centre = fmean(x for x, _ in pairs)
        explained = fmean((x - centre) * (y - centre) for x, y in pairs) / whole
        assert first_order(parts)[factor] == pytest.approx(explained, abs=0.02)


def test_nothing_uncertain_has_no_drivers() -> None:
    assert drivers([]) == ()
    assert drivers([Term("t", 1.0)]) == ()
    assert first_order([Term("t", 1.0)]) == {}


def test_batch_drives_the_energy_of_an_undisclosed_model(activity: MakeActivity) -> None:
    shares = dict(drivers(PARAM.footprint(activity(0, 400, model="gpt-4o")).energy_terms))
    assert shares["batch"] == pytest.approx(0.52, abs=0.03)
    assert shares["weights"] == pytest.approx(0.21, abs=0.03)
    assert shares["fit"] == pytest.approx(0.19, abs=0.03)


def test_the_batch_would_tighten_an_energy_interval_most(activity: MakeActivity) -> None:
    request = activity(model="gpt-4o")
    now = PARAM.footprint(request).energy_wh
    found = would_tighten(PARAM, request)
    assert now is not None
    assert found is not None
    assert found.input == "batch"
    assert now.low is not None
    assert now.high is not None
    assert now.low < found.low < now.median < found.high < now.high
    assert found.ratio == pytest.approx((found.high / found.low) / (now.high / now.low))


def test_supplying_it_leaves_the_interval_that_was_promised(activity: MakeActivity) -> None:
    request = activity()
    promised = would_tighten(PARAM, request)
    then = PARAM.footprint(replace(request, batch=64)).energy_wh
    assert promised is not None
    assert then is not None
    assert then.low is not None
    assert then.high is not None
    assert then.high / then.low == pytest.approx(promised.high / promised.low)


def test_with_the_batch_known_the_next_input_is_named(activity: MakeActivity) -> None:
    found = would_tighten(PARAM, activity(model="llama-3.3-70b-instruct", batch=64))
    assert found is not None
    assert found.input == "weight_bytes_per_param"
    found = would_tighten(PARAM, replace(activity(batch=64), weight_bytes_per_param=0.53))
    assert found is not None
    assert found.input == "pue"


def test_an_unknown_zone_is_what_would_tighten_a_climate_interval(activity: MakeActivity) -> None:
    nowhere = replace(activity(batch=64), intensity=Intensity(300.0, 0.8, "mixture"))
    found = would_tighten(PARAM, nowhere, indicator="carbon_gco2e", zone_known=False)
    assert found is not None
    assert found.input == "zone"
    energy = would_tighten(PARAM, nowhere, zone_known=False)
    assert energy is not None
    assert energy.input != "zone"


def test_nothing_is_promised_where_nothing_helps(activity: MakeActivity) -> None:
    known = replace(activity(batch=64, pue=1.1), weight_bytes_per_param=0.53)
    assert would_tighten(PARAM, known) is None
    assert would_tighten(PARAM, activity(0, 0)) is None
    assert would_tighten(get_method("batchin/token-estimate"), activity()) is None
    assert would_tighten(PARAM, activity(), indicator="water_ml") is None


def test_metered_cpu_time_would_tighten_a_prediction(activity: MakeActivity) -> None:
    found = would_tighten(get_method("wattproof/cpu-time"), activity(model="smollm2-135m-instruct"))
    assert found is not None
    assert found.input == "cpu_seconds"
