"""Findings of the product's own rules in our prose, and the markers that excuse one with a reason.

A marker stands on the line of the words or on the line before: `claims: allow RULE: why`, in a comment of the file. One
that excuses nothing, names no rule or gives no reason is a problem itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from docs.claims.prose import ROOT, prose_of
from wattproof.methodology.claims import check_wording, rule_set

__all__ = ["Problem", "wording_problems"]

_MARKER = re.compile(
    r"(?:#|<!--|//|/\*)\s*claims: allow (?P<rule>[a-z0-9_]*):?[ \t]*(?P<reason>[^\n]*?)\s*(?:-->|\*/|$)", re.MULTILINE
)
_SHORTEST_REASON = 10


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to mend, by file and line."""

    path: Path
    line: int
    told: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.told}"


@dataclass(slots=True)
class _Marker:
    line: int
    rule: str
    reason: str
    used: bool = field(default=False)


def wording_problems(paths: Iterable[Path]) -> Iterator[Problem]:
    """Every finding in these files that no marker excuses, and every marker that is not right."""
    for path in paths:
        markers = [
            _Marker(text.count("\n", 0, found.start()) + 1, found["rule"], found["reason"])
            for text in (path.read_text("utf-8"),)
            for found in _MARKER.finditer(text)
        ]
        for prose in prose_of(path):
            for finding in check_wording(prose.text).findings:
                line = prose.line_at(finding.start)
                if not _excused(markers, finding.rule.id, line):
                    told = f"{finding.rule.id}: “{finding.words}”: {finding.rule.why}. Instead: {finding.instead}"
                    yield Problem(path, line, told)
        yield from _wrong(path, markers)


def _excused(markers: list[_Marker], rule: str, line: int) -> bool:
    for marker in markers:
        if marker.rule == rule and marker.line in (line, line - 1):
            marker.used = True
            return True
    return False


def _wrong(path: Path, markers: list[_Marker]) -> Iterator[Problem]:
    for marker in markers:
        if rule_set().rule(marker.rule) is None:
            yield Problem(path, marker.line, f"the marker names no rule: {marker.rule!r}")
        elif len(marker.reason) < _SHORTEST_REASON:
            yield Problem(path, marker.line, f"the marker for {marker.rule} gives no reason")
        elif not marker.used:
            yield Problem(path, marker.line, f"the marker for {marker.rule} excuses nothing; remove it")
