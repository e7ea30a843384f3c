"""Mutation score of the arithmetic: which small wrong changes to it no test notices.

    python -m benchmarks.mutation [--module propagate.py ...] [--jobs 2] [--json] [--write docs/reports/mutation.json]

The operators are in mutants.py. One run of the tests under coverage tells which tests reach which line. Every mutant
then gets a forked process with pytest and hypothesis loaded, which imports the package with the change in it and runs
the tests that reach the changed lines until one fails. A mutant that no test notices is a survivor: the report lists it
with its reason from mutation_reasons.json. Hypothesis draws the same examples every time.

Exit status 1 when a module scores under 0.9, or a survivor has no reason.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.abc
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import coverage
import hypothesis
import pytest
from hypothesis import strategies

from benchmarks.mutants import Mutant, mutants

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "wattproof/methodology"
TESTS = "tests/methodology"
OUR_PACKAGES = ("wattproof", "tests", "benchmarks")
REASONS = Path(__file__).with_name("mutation_reasons.json")
LEAST_SCORE = 0.9
MOST_CPU_S = 60
"""A mutant that computes for longer is noticed: the tests that reach it take seconds."""
MOST_MEMORY_BYTES = 4 << 30
PYTEST_ARGS = (
    *("-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", "-p", "no:xdist"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
    *("-W", "ignore::hypothesis.errors.HypothesisSideeffectWarning"),
)
SURVIVED, NOTICED, BROKEN = 0, 1, 70


@dataclass(frozen=True)
class Reach:
    """Which tests execute a line, by path and line; what runs at import may change any test."""

    all_tests: Sequence[str]
    tests_by_line: Mapping[str, Mapping[int, Sequence[str]]]

    def tests(self, mutant: Mutant) -> Sequence[str]:
        by_line = self.tests_by_line.get(mutant.path, {})
        found = {test for line in mutant.lines for test in by_line.get(line, ())}
        return self.all_tests if "" in found else sorted(found)


class ReachRecorder:
    """Names the running test to coverage. What an earlier test has left in a cache is computed again."""

    def __init__(self, measured: coverage.Coverage, modules: Iterable[str]) -> None:
        self._measured = measured
        self._modules = tuple(modules)
        self.all_tests: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        for module in filter(None, map(sys.modules.get, self._modules)):
            for kept in vars(module).values():
                if hasattr(kept, "cache_clear"):
                    kept.cache_clear()
        self.all_tests.append(item.nodeid)
        self._measured.switch_context(item.nodeid)


class Selection:
    """Only these tests, those without generated examples first."""

    def __init__(self, tests: Iterable[str]) -> None:
        self._tests = frozenset(tests)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        kept = [item for item in items if item.nodeid in self._tests]
        items[:] = sorted(kept, key=lambda item: hasattr(getattr(item, "function", None), "hypothesis"))


class ChangedModule(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports one module from code at hand."""

    def __init__(self, name: str, path: str, code: CodeType) -> None:
        self._name, self._path, self._code = name, path, code

    def find_spec(self, fullname: str, path: object, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        folders = [str(Path(self._path).parent)] if self._path.endswith("__init__.py") else None
        return importlib.util.spec_from_file_location(
            fullname, self._path, loader=self, submodule_search_locations=folders
        )

    def get_code(self, fullname: str) -> CodeType:
        return self._code

    def get_source(self, fullname: str) -> None:
        return None


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def test_files(tests: Iterable[str]) -> list[str]:
    return sorted({test.partition("::")[0] for test in tests})


def quiet_pytest(arguments: Sequence[str], plugin: object | None) -> int:
    """Pytest's exit status, without its output."""
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        return int(pytest.main([*PYTEST_ARGS, *arguments], plugins=[plugin] if plugin else []))


def in_child(work: Callable[[], int]) -> int:
    """The id of a forked process that does the work and ends with the status that it returns."""
    child = os.fork()
    if child == 0:
        status = BROKEN
        try:
            status = work()
        finally:
            os._exit(status)
    return child


def measure_reach(paths: Sequence[str]) -> Reach:
    """Run all tests once, in a process of its own; then load here what they use of other people's code.

    Raises:
        SystemExit: they fail without any change.
    """
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "reach.json"
        child = in_child(lambda: record_reach(paths, written))
        if os.waitpid(child, 0)[1] != 0:
            sys.exit(f"the tests fail without any change: python -m pytest {TESTS}")
        found: dict[str, Any] = json.loads(written.read_text("utf-8"))
    for name in found["loaded"]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    tests_by_line = {
        path: {int(line): tests for line, tests in lines.items()} for path, lines in found["reach"].items()
    }
    return Reach(found["tests"], tests_by_line)


def record_reach(paths: Sequence[str], written: Path) -> int:
    measured = coverage.Coverage(data_file=None, include=[str(ROOT / path) for path in paths], config_file=False)
    recorder = ReachRecorder(measured, map(module_name, paths))
    measured.start()
    status = quiet_pytest([TESTS], recorder)
    measured.stop()
    data = measured.get_data()
    loaded = [name for name in sys.modules if name.partition(".")[0] not in OUR_PACKAGES]
    reach = {path: data.contexts_by_lineno(str(ROOT / path)) for path in paths}
    written.write_text(json.dumps({"loaded": loaded, "reach": reach, "tests": recorder.all_tests}), "utf-8")
    return status


def run_mutant(mutant: Mutant, code: CodeType, tests: Sequence[str]) -> int:
    """NOTICED or SURVIVED, in this process, which is spent afterwards."""
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_S, MOST_CPU_S + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    sys.meta_path.insert(0, ChangedModule(module_name(mutant.path), str(ROOT / mutant.path), code))
    status = quiet_pytest(test_files(tests), Selection(tests))
    return SURVIVED if status in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) else NOTICED


def survivors_of(found: Sequence[Mutant], reach: Reach, jobs: int) -> list[Mutant]:
    """The mutants that no test notices."""
    sources = {path: (ROOT / path).read_text("utf-8") for path in {mutant.path for mutant in found}}
    running: dict[int, Mutant] = {}
    survivors: list[Mutant] = []
    started = time.monotonic()
    for done, mutant in enumerate(found):
        tests = reach.tests(mutant)
        if not tests:
            survivors.append(mutant)
            continue
        code = compile(mutant.tree(sources[mutant.path]), str(ROOT / mutant.path), "exec")
        while len(running) >= jobs:
            survivors += wait_for_one(running)
        running[in_child(partial(run_mutant, mutant, code, tests))] = mutant
        if done % 50 == 0:
            progress = f"{done} of {len(found)}, {len(survivors)} survive, {time.monotonic() - started:.0f} s"
            print(progress, file=sys.stderr, flush=True)
    while running:
        survivors += wait_for_one(running)
    return sorted(survivors, key=found.index)


def wait_for_one(running: dict[int, Mutant]) -> list[Mutant]:
    child, status = os.wait()
    mutant = running.pop(child)
    if os.waitstatus_to_exitcode(status) == BROKEN:
        sys.exit(f"could not run the tests on {mutant.key}")
    if status == SURVIVED:
        print(f"survives: line {mutant.line} of {mutant.key}", file=sys.stderr, flush=True)
        return [mutant]
    return []


def report(found: Sequence[Mutant], survivors: Sequence[Mutant]) -> dict[str, Any]:
    """Scores by module and all survivors; a mutant that changes no result counts as a survivor too."""
    reasons: dict[str, str] = json.loads(REASONS.read_text("utf-8"))
    modules: dict[str, dict[str, Any]] = {}
    for path in dict.fromkeys(mutant.path for mutant in found):
        made = sum(mutant.path == path for mutant in found)
        lost = sum(mutant.path == path for mutant in survivors)
        modules[path] = {"mutants": made, "noticed": made - lost, "score": round((made - lost) / made, 4)}
    return {
        "commit": git("rev-parse", "HEAD"),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "mutants": len(found),
        "noticed": len(found) - len(survivors),
        "score": round(1 - len(survivors) / len(found), 4),
        "modules": modules,
        "survivors": [
            {
                "at": f"{mutant.path}:{mutant.line}",
                "in": mutant.scope,
                "mutation": mutant.change,
                "reason": reasons.get(mutant.key),
            }
            for mutant in survivors
        ],
    }


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False, cwd=ROOT)
    return done.stdout.strip() or "unknown"


def warm_up() -> None:
    """What every run needs, once before the forks: the plugins of pytest, and hypothesis at work. None of our code."""
    with tempfile.TemporaryDirectory() as empty:
        quiet_pytest([empty], None)
    hypothesis.settings.register_profile(
        "mutation",
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=50,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutation")

    @hypothesis.given(strategies.text() | strategies.floats())
    def generated(value: str | float) -> None:
        assert isinstance(value, str | float)

    generated()


def default_paths() -> list[str]:
    paths = [ROOT / PACKAGE / "propagate.py", *sorted((ROOT / PACKAGE / "methods").glob("*.py"))]
    return [str(path.relative_to(ROOT)) for path in paths]


def main() -> None:
    parser = argparse.ArgumentParser(description="Mutation score of propagate.py and methods/.")
    parser.add_argument("--module", action="append", default=[], help="file name, e.g. propagate.py; may be repeated")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time (1)")
    parser.add_argument("--json", action="store_true", help="print the report")
    parser.add_argument("--write", type=Path, help="file to write the report to")
    options = parser.parse_args()
    os.chdir(ROOT)
    warm_up()
    paths = [path for path in default_paths() if not options.module or Path(path).name in options.module]
    reach = measure_reach(paths)
    found = [mutant for path in paths for mutant in mutants(path, (ROOT / path).read_text("utf-8"))]
    survivors = survivors_of(found, reach, options.jobs)
    result = report(found, survivors)
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    if options.write:
        options.write.write_text(text, "utf-8")
    if options.json:
        print(text)
    else:
        summarise(result, survivors)
    low = [path for path, row in result["modules"].items() if row["score"] < LEAST_SCORE]
    unexplained = [row for row in result["survivors"] if row["reason"] is None]
    sys.exit(1 if low or unexplained else 0)


def summarise(result: Mapping[str, Any], survivors: Sequence[Mutant]) -> None:
    for path, row in result["modules"].items():
        print(f"{row['score']:.3f}  {row['noticed']:4} of {row['mutants']:4}  {path}")
    print(f"{result['score']:.3f}  {result['noticed']:4} of {result['mutants']:4}  all")
    for row, mutant in zip(result["survivors"], survivors, strict=True):
        print(f"\n{row['at']}  {mutant.key}\n  {row['reason'] or 'NO REASON'}")


if __name__ == "__main__":
    main()
