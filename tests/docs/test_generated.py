"""The computed pages of `docs` say what the code computes, and the pre-registration stays as it was registered.

`make docs` writes the pages again. Until a release has been made with it, a registration may be renewed by
`python -m docs.generate pre-registration` and its hash here; afterwards a new release registers anew.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from math import comb, exp, isclose
from pathlib import Path

import pytest

from docs.generate.__main__ import PAGES, main
from docs.generate.measurements import Case, cases
from docs.generate.pre_registration import least_inside
from docs.generate.scores import Comparison, NotApplicable, compare, score
from docs.generate.steps import Mismatch, agree
from wattproof.methodology.methods import Method, all_methods, get_method
from wattproof.methodology.quantity import Quantity

DOCS = Path(__file__).parents[2] / "docs"

REGISTERED_SHA256 = "1cbcb2cf7096490f5457543f0d1df444d6b2a7903053d0dcddc08ea540b42b96"


@pytest.mark.parametrize("page", PAGES)
def test_a_generated_page_says_what_the_code_computes(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = main([page, "--check"])

    assert status == 0, capsys.readouterr().err


def test_the_pre_registration_is_the_one_that_was_registered() -> None:
    assert hashlib.sha256((DOCS / "pre-registration.json").read_bytes()).hexdigest() == REGISTERED_SHA256


def test_the_pre_registration_lists_every_case_that_has_been_seen() -> None:
    registered = json.loads((DOCS / "pre-registration.json").read_text("utf-8"))

    assert set(registered["seen_cases"]) == {case.id for case in cases()}


def test_a_true_90_percent_interval_misses_the_registered_coverage_in_fewer_than_one_of_twenty_scores() -> None:
    for n in range(3, 21):
        short = sum(comb(n, k) * 0.9**k * 0.1 ** (n - k) for k in range(least_inside(n)))

        assert short <= 0.05


@pytest.mark.parametrize("method", all_methods(), ids=lambda m: m.id)
def test_the_validation_page_names_every_method(method: Method) -> None:
    assert f"`{method.id}`" in (DOCS / "validation.md").read_text("utf-8")


def test_every_case_has_an_id_of_its_own_a_source_and_a_figure() -> None:
    found = cases()

    assert len({case.id for case in found}) == len(found)
    assert all(case.published > 0 and case.url.startswith("https://") and case.source and case.date for case in found)


def test_the_data_of_our_own_fit_never_counts_as_unseen() -> None:
    snapshot = [case for case in cases() if "snapshot 2026-02-27" in case.source]

    assert snapshot
    assert {case.group for case in snapshot} == {"fit", "fit-best"}


def test_energy_per_token_becomes_energy_of_the_request() -> None:
    case = replace(a_case(), published=0.9, unit="J/output token", output_tokens=400)

    assert isclose(case.published_wh, 0.1)


def test_a_score_weighs_too_high_and_too_low_alike() -> None:
    scored = score([comparison(2.0, 0.5, 4.0), comparison(0.5, 0.4, 0.6), comparison(4.0)])

    assert scored is not None
    assert isclose(scored.bias, 2.0)
    assert isclose(scored.error, 2.0)
    assert (scored.n, scored.covered, scored.intervals) == (3, 1, 2)
    assert scored.width is not None
    assert isclose(scored.width, (8.0 * 1.5) ** 0.5)


def test_a_score_without_any_interval_has_no_width_and_covers_nothing() -> None:
    scored = score([comparison(1.0), comparison(exp(1.0))])

    assert scored is not None
    assert scored.width is None
    assert scored.intervals == 0


def test_there_is_no_score_without_a_case() -> None:
    assert score([]) is None


def test_a_method_for_another_machine_is_not_asked() -> None:
    assert isinstance(compare(get_method("wattproof/cpu-time"), a_case()), NotApplicable)


def test_a_step_that_differs_from_the_method_stops_the_page() -> None:
    with pytest.raises(Mismatch, match="median"):
        agree(Quantity(1.0, 0.5, 2.0), Quantity(1.001, 0.5, 2.0))


def a_case() -> Case:
    return cases()[0]


def comparison(estimated_wh: float, low_wh: float | None = None, high_wh: float | None = None) -> Comparison:
    """An estimate beside a published 1 Wh."""
    case = replace(a_case(), published=1.0, unit="Wh/request")
    return Comparison(case, Quantity(estimated_wh, low_wh, high_wh))
