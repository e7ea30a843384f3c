"""The figures of many records together are those of each record alone, and those of an estimate."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattproof.methodology.integers import amounts
from wattproof.methodology.methods.param import rates
from wattproof.methodology.models import find_model
from wattproof.methodology.quantity import Usage
from wattproof.resources.footprints import estimate
from wattproof.resources.grid import reading_for
from wattproof.resources.imports.figures import Figures, GroupFigures
from wattproof.resources.imports.records import UsageRecord

ROOT = Path(__file__).parents[2]
MODELS = ("gpt-5-mini", "claude-sonnet-4-6", "gpt-oss-120b")


@lru_cache
def figures_of(model: str) -> GroupFigures:
    found = estimate(find_model(model), Usage(0, 0), reading_for("FR", "x", 1.7e9), method_id="wattproof/param")
    return GroupFigures.at(rates({operand.name: operand.number for operand in found.operands}, "comprehensive"))


def record(tokens: tuple[int, int, int], requests: int = 1) -> UsageRecord:
    whole, cached, output = tokens
    return UsageRecord(
        "r",
        "2026-11-20T10:00:00Z",
        "x",
        "m",
        whole,
        min(cached, whole),
        output,
        0,
        "caller",
        requests=requests,
    )


counts = st.tuples(st.integers(0, 3_000_000), st.integers(0, 3_000_000), st.integers(0, 200_000))


@given(
    model=st.sampled_from(MODELS),
    usages=st.lists(st.tuples(counts, st.integers(1, 5000)), min_size=16, max_size=40),
)
def test_together_they_are_what_they_are_alone(model: str, usages: list[tuple[tuple[int, int, int], int]]) -> None:
    figures = figures_of(model)
    records = [record(tokens, requests) for tokens, requests in usages]
    together = figures.of(records)
    alone = [figures.of([each])[0] for each in records]
    for ours, theirs in zip(together, alone, strict=True):
        assert ours is not None
        assert theirs is not None
        for part, expected in zip(ours, theirs, strict=True):
            assert part == tuple(None if each is None else pytest.approx(each, abs=1, rel=1e-12) for each in expected)


@given(model=st.sampled_from(MODELS), tokens=counts)
def test_alone_they_are_those_of_an_estimate(model: str, tokens: tuple[int, int, int]) -> None:
    each = record(tokens)
    usage = Usage(each.input_tokens, each.output_tokens, each.cached_input_tokens)
    found = estimate(find_model(model), usage, reading_for("FR", "x", 1.7e9), method_id="wattproof/param")
    expected = [end for amount in amounts(found.footprint).values() for end in amount or (None, None, None)]
    (ours,) = figures_of(model).of([each])
    assert ours is not None
    assert list(ours[0]) == [None if end is None else pytest.approx(end, abs=1, rel=1e-12) for end in expected]


def test_one_that_no_entry_can_hold_spoils_no_other() -> None:
    small, large = record((1000, 0, 100)), record((10**12, 0, 10**12))
    found = figures_of("gpt-5-mini").of([small] * 20 + [large])
    assert found[20] is None
    assert all(isinstance(each, tuple) for each in found[:20])


def test_without_numpy_they_are_the_same() -> None:
    code = """
import sys
sys.modules["numpy"] = None
from tests.imports.test_figures import figures_of, record
found = figures_of("gpt-5-mini").of([record((1000 + n, 100, 50)) for n in range(20)])
print(found[7])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    here: list[Figures | None] = figures_of("gpt-5-mini").of([record((1000 + n, 100, 50)) for n in range(20)])
    assert done.stdout.strip() == str(here[7])
