"""The mutation report holds what it promises, and the mutants are the small wrong changes that it is about."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from benchmarks.mutants import mutants

ROOT = Path(__file__).parents[2]
REPORT = json.loads((ROOT / "docs" / "reports" / "mutation.json").read_text("utf-8"))


@pytest.mark.parametrize("module", REPORT["modules"])
def test_tests_notice_nine_of_ten_mutants_of_every_module(module: str) -> None:
    assert (ROOT / module).is_file()
    assert REPORT["modules"][module]["score"] >= 0.9


def test_every_survivor_has_its_reason() -> None:
    assert [row["mutation"] for row in REPORT["survivors"] if not row["reason"]] == []
    assert REPORT["mutants"] - REPORT["noticed"] == len(REPORT["survivors"])


def changes(source: str) -> list[str]:
    return [mutant.change for mutant in mutants("module.py", source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a + b", ["a + b -> pass", "a + b -> a - b"]),
        ("x = a < b", ["a < b -> a <= b", "a < b -> a >= b"]),
        ("x = a and not b", ["a and (not b) -> a or not b", "not b -> b"]),
        ("x = min(a, b)", ["min(a, b) -> max(a, b)"]),
        ("x = 2", ["2 -> 3", "2 -> 1"]),
        ("x = 0.5", ["0.5 -> 1.5", "0.5 -> 0.505"]),
        ("x = y if z else w", ["z -> not z"]),
        ("x += y", ["x += y -> x -= y", "x += y -> pass"]),
        ("def f():\n return y", ["return y -> return None"]),
        ("x = {'grid': 'zone'}", ["{'grid': 'zone'} -> {'grid': 'other_zone'}"]),
        ("x = y == 'narrow'", ["y == 'narrow' -> y != 'narrow'", "y == 'narrow' -> y == 'other_narrow'"]),
    ],
)
def test_a_change_is_small_and_wrong(source: str, expected: list[str]) -> None:
    assert changes(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""',
        "__all__ = ['a']",
        "x = 'a text'",
        "x = f'{a + b}'",
        "x: tuple[int, 2]",
        "x = cache(maxsize=3)",
        "Name = Literal['a', 'b']",
        "x = f(title='a title')",
    ],
)
def test_text_names_and_cache_sizes_are_left_alone(source: str) -> None:
    assert changes(source) == []


def test_a_key_does_not_move_with_the_lines_and_tells_equal_changes_apart() -> None:
    source = "def f(a, b):\n    return g(a + b, a + b)\n"
    keys = [mutant.key for mutant in mutants("module.py", source)]
    assert keys == [mutant.key for mutant in mutants("module.py", f"\n\nx = y\n{source}")]
    assert "module.py f: a + b -> a - b" in keys
    assert "module.py f: a + b -> a - b #2" in keys


def test_a_mutant_is_the_module_with_one_change() -> None:
    source = "def f(a, b):\n    return a + b, a + b\n"
    second = next(mutant for mutant in mutants("module.py", source) if mutant.key.endswith("a - b #2"))
    assert ast.unparse(second.tree(source)) == "def f(a, b):\n    return (a + b, a - b)"
