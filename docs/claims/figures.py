"""Every figure in our pages has something behind it.

A figure is a number with a unit. It may stand where a command printed it (a fenced block of the page, which a test runs
again), in a page or a part that the code writes, or in prose: then CLAIMS.md names it, or a report that the page links
holds it to the digits that are written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from math import floor, log10
from pathlib import Path
from typing import Any, NamedTuple, cast

from docs.claims.prose import PAGES, ROOT
from docs.claims.wording import Problem
from wattproof.methodology.claims.passages import blanked, blanked_code

__all__ = ["figure_problems", "figures_in"]

CLAIMS = ROOT / "CLAIMS.md"

_NUMBER = r"\d[\d,]*(?:\.\d+)?(?:e-?\d+)?"
_UNITS = {
    "%": r"%|percent\b",
    "x": r"x\b|×|times\b",
    "Wh": r"Wh\b",
    "mWh": r"mWh\b",
    "kWh": r"kWh\b",
    "g/kWh": r"g(?:CO2e)?/kWh\b",
    "g": r"g\b(?!/)",
    "mg": r"mg\b",
    "kg": r"kg(?:CO2e)?\b",
    "W": r"W\b",
    "kW": r"kW\b",
    "µs": r"µs\b",
    "ms": r"ms\b|milliseconds?\b",
    "s": r"s\b|seconds?\b",
    "min": r"min(?:utes?)?\b",
    "h": r"h\b|hours?\b",
    "d": r"days?\b",
    "a": r"years?\b",
    "kB": r"kB\b|KB\b|KiB\b",
    "MB": r"MB\b|MiB\b",
    "GB": r"GB\b|GiB\b",
    "tokens": r"tokens\b",
    "USD": r"USD\b",
    "zones": r"zones\b",
    "models": r"models\b",
    "rows": r"rows\b",
    "entries": r"entries\b",
    "requests": r"requests\b",
    "configurations": r"configurations\b",
    "thousand": r"thousand\b",
    "million": r"million\b",
}
_FIGURE = re.compile(
    rf"(?<![\w.,/@-])(?P<first>{_NUMBER})(?:\s*(?:–|-|to|and)\s*(?P<second>{_NUMBER}))?[\s-]?"
    rf"(?:{'|'.join(f'(?P<u{at}>{pattern})' for at, pattern in enumerate(_UNITS.values()))})"
)
_FENCED = re.compile(r"^(`{3,}).*?^\1", re.DOTALL | re.MULTILINE)
_WRITTEN = re.compile(r"<!-- ([\w-]+): begin -->.*?<!-- \1: end -->", re.DOTALL)
_WRITTEN_PAGE = re.compile(r"<!-- (?:Written|Generated) by `make ")
_REPORT = re.compile(r"\]\(([^)\s]*reports/[\w.-]+\.json)\)")


class Figure(NamedTuple):
    """A number as it is written, its unit under one name, and where it starts."""

    number: str
    unit: str
    start: int


def figure_problems(pages: Iterable[Path] = PAGES) -> Iterator[Problem]:
    """Every figure of these pages behind which nothing stands, and every report that is linked but not there."""
    sourced = {(figure.number, figure.unit) for figure in figures_in(CLAIMS.read_text("utf-8"))}
    for path in pages:
        text = path.read_text("utf-8")
        if path == CLAIMS or path.parts[-1] == "CHANGELOG.md" or _WRITTEN_PAGE.match(text):
            continue
        reports = [path.parent / link for link in _REPORT.findall(text)]
        for report in reports:
            if not report.exists():
                yield Problem(path, 1, f"links {report.name}, which is not there")
        held = [number for report in reports if report.exists() for number in _numbers(report)]
        printed = set(re.findall(_NUMBER, "\n".join(found[0] for found in _FENCED.finditer(text))))
        for figure in figures_in(text):
            known = (figure.number, figure.unit) in sourced or figure.number in printed
            if not known and not any(_rounds_to(number, figure.number) for number in held):
                line = text.count("\n", 0, figure.start) + 1
                yield Problem(
                    path, line, f"{figure.number} {figure.unit}: neither CLAIMS.md nor a linked report has it"
                )


def figures_in(text: str) -> Iterator[Figure]:
    """The figures in the prose of a page: code and what the code writes apart."""
    for found in _FIGURE.finditer(blanked_code(blanked(text, _WRITTEN))):
        unit = next(name for at, name in enumerate(_UNITS) if found[f"u{at}"] is not None)
        for place in ("first", "second"):
            if found[place] is not None:
                yield Figure(found[place].rstrip(","), unit, found.start(place))


def _numbers(report: Path) -> list[float]:
    """Every number in a report, whatever it is of: the page says what."""

    def walk(value: object) -> Iterator[float]:
        if isinstance(value, bool):
            return
        if isinstance(value, int | float):
            yield float(value)
        elif isinstance(value, dict):
            for inner in cast("dict[str, Any]", value).values():
                yield from walk(inner)
        elif isinstance(value, list):
            for inner in cast("list[Any]", value):
                yield from walk(inner)

    return list(walk(json.loads(report.read_text("utf-8"))))


def _rounds_to(number: float, written: str) -> bool:
    """Whether `number`, or a power of a thousand of it, reads `written` when it is rounded to as many digits."""
    plain = written.replace(",", "")
    digits = len(plain.split("e")[0].replace(".", "").lstrip("0")) or 1
    if number == 0 or float(plain) == 0:
        return number == float(plain)
    for scale in (1.0, 1e3, 1e-3, 1e6, 1e-6, 1e2):
        scaled = number * scale
        if round(scaled, digits - 1 - floor(log10(abs(scaled)))) == float(plain):
            return True
    return False
