"""Every test of the ledger that touches nothing but its public surface, again on PostgreSQL."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

# Each has run on SQLite already, and CI runs them on two servers.
pytestmark = pytest.mark.slow

SHARED = Path(__file__).parent.parent / "ledger"


@pytest.fixture
def nothing() -> None:
    """Tells what a fixture is."""


_FIXTURE = type(nothing)
# What both engines have; a test that asks for more looks into SQLite's files.
FIXTURES = frozenset({"ledger", "open_home", "drafts", "clock", "tamper", "monkeypatch", "tmp_path"})
# Of files, and of what the operating system does with them.
OF_SQLITE = frozenset({"test_backup", "test_crash", "test_driver", "test_lock"})

_KEYS = "the operator supplies the keys; see test_keys.py"
_KIND = "each fixture database is of one kind; see test_opening.py"
OWN_WAY: dict[str, str] = {
    "test_one_bad_request_does_not_spoil_its_neighbours": "the error of a wrong type is ours; see test_sequencer.py",
    "test_a_home_without_a_log_gets_a_new_key_too": _KEYS,
    "test_the_new_log_key_is_signed_by_the_issuer": _KEYS,
    "test_the_old_key_signs_the_new_one_as_an_entry_of_every_log": _KEYS,
    "test_no_total_counts_a_statement_about_a_key": _KEYS,
    "test_what_cannot_be_erased_is_named": _KEYS,
    "test_an_erasure_holds_after_the_key_was_replaced": _KEYS,
    "test_a_folder_goes_on_after_its_key_was_revoked": _KEYS,
    "test_a_process_that_is_open_signs_with_the_new_key_from_then_on": _KEYS,
    "test_a_real_home_takes_no_simulation": _KIND,
    "test_a_simulation_home_takes_no_real_run": _KIND,
    "test_a_malformed_entry_is_refused_by_field": "it is refused before any engine is asked",
    "test_a_home_where_nothing_can_be_made_is_named": "the database is not in the home",
}


def _modules() -> Iterator[ModuleType]:
    for path in sorted(SHARED.glob("test_*.py")):
        if path.stem in OF_SQLITE:
            continue
        spec = importlib.util.spec_from_file_location(f"ledger_postgres_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module


def _given(test: Callable[..., Any]) -> set[str]:
    """The fixtures that a test asks for: its parameters without those that it is parametrised over."""
    marks = getattr(test, "pytestmark", [])
    own = {name for mark in marks if mark.name == "parametrize" for name in _names(mark.args[0])}
    used = {name for mark in marks if mark.name == "usefixtures" for name in mark.args}
    return (set(inspect.signature(test).parameters) - own) | used


def _names(given: Any) -> list[str]:
    return [name.strip() for name in given.split(",")] if isinstance(given, str) else list(given)


def _shared() -> Iterator[tuple[str, Any]]:
    """The tests that can be run here, and the fixtures of their modules that they need."""
    for module in _modules():
        own = {name: made for name, made in vars(module).items() if type(made) is _FIXTURE}
        usable = {name: made for name, made in own.items() if set(inspect.signature(made).parameters) <= FIXTURES}
        part = module.__name__.removeprefix("ledger_postgres_test_")
        for name, test in vars(module).items():
            if name.startswith("test_") and inspect.isfunction(test) and name not in OWN_WAY:
                given = _given(test)
                if given <= FIXTURES | usable.keys() and given & {"ledger", "open_home"}:
                    yield f"{name}__{part}", test
                    yield from ((needed, usable[needed]) for needed in given & usable.keys())


_FOUND = dict(_shared())
_TESTS = [name for name in _FOUND if name.startswith("test_")]
globals().update(_FOUND)


def test_most_of_the_suite_is_run_here() -> None:
    parts = {name.rpartition("__")[2] for name in _TESTS}
    assert len(_TESTS) >= 120
    assert {"append", "attempts", "batches", "budgets", "decisions", "export", "log", "operations", "summary"} <= parts
