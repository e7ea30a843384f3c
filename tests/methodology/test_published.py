"""The samples that other systems publish, recomputed by the formulas that they publish."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wattproof.methodology.published import PublishedSample, check_published, published_samples

CONSISTENCY: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "vectors" / "system_vectors.json").read_text("utf-8")
)["published_examples_consistency"]


def sample_of(system: str) -> PublishedSample:
    return next(sample for sample in published_samples() if sample.system.startswith(system))


@pytest.mark.parametrize(
    ("system", "number", "implied"),
    [
        ("LowRouter", "wh_per_token", 4.789473684210526e-05),
        ("Melious", "gco2e_per_kwh", 400.0),
        ("Vetted", "gco2e_per_kwh", 3368.991386496249),
        ("Vetted", "narrow_share", 0.6876910252848013),
        ("GSF", "gco2e_per_1m_tokens", 0.13),
    ],
)
def test_a_published_sample_does_not_follow_from_its_own_formula(system: str, number: str, implied: float) -> None:
    found = check_published(sample_of(system))
    telling = next(telling for telling in found.tellings if telling.quantity == number)
    assert found.verdict == "does_not_follow"
    assert "does not follow from its own formula" in found.text
    assert number in found.text
    assert telling.implied == pytest.approx(implied, rel=1e-9)
    assert not telling.follows


def test_the_samples_are_those_of_the_vectors() -> None:
    ours = {sample.system.split()[0] for sample in published_samples()}
    assert ours == {row["system"].split()[0] for row in CONSISTENCY}


def test_a_system_without_a_formula_is_not_judged() -> None:
    found = check_published(sample_of("BatchIn"))
    assert found.verdict == "no_formula"
    assert found.tellings == ()


@pytest.mark.parametrize(
    ("system", "corrected"),
    [
        ("LowRouter", {"energy_wh": 0.0021 * 30}),
        ("Melious", {"carbon_gco2e": 0.15 * 0.031}),
        ("Vetted", {"carbon_gco2e": 0.15, "gpu_wh": 0.12}),
        ("GSF", {"carbon_gco2e_per_1m_tokens": 130.0}),
    ],
)
def test_a_sample_that_agrees_with_its_formula_follows(system: str, corrected: dict[str, float]) -> None:
    sample = sample_of(system)
    found = check_published(replace(sample, stated={**sample.stated, **corrected}))
    assert found.verdict == "follows"
    assert "does not" not in found.text


def test_every_sample_names_where_it_was_published() -> None:
    assert all(sample.source for sample in published_samples())
