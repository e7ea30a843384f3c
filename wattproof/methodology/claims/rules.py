"""The rules for environmental claims: data in `rules.toml`, read once, patterns made ready."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

__all__ = ["Level", "Regime", "Rule", "RuleSet", "Support", "Use", "rule_set"]

Level = Literal["revise", "support"]
"""revise: the words cannot stand; support: they can once something is stated beside them."""

Use = Literal["internal", "b2b", "b2c"]
"""Who gets to read the statement."""


@dataclass(frozen=True, slots=True)
class Regime:
    """What a rule rests on, as far as we know it. Never legal advice.

    `since` is a date or a document, `uses` the readers that it speaks of.
    """

    id: str
    name: str
    since: str
    uses: tuple[Use, ...]
    about: str


@dataclass(frozen=True, slots=True)
class Rule:
    """Words that say more than can be shown. `instead` has a place for {figures}."""

    id: str
    regime: Regime
    level: Level
    pattern: re.Pattern[str]
    near: re.Pattern[str] | None
    unless: re.Pattern[str] | None
    why: str
    instead: str


@dataclass(frozen=True, slots=True)
class Support:
    """What a figure of the quantities `of` needs beside it, and the words by which a text is seen to have it."""

    id: str
    of: frozenset[str]
    pattern: re.Pattern[str]
    needs: str


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A version of the rules. `names` matches proper names, which claim nothing."""

    id: str
    checked: str
    names: re.Pattern[str]
    rules: tuple[Rule, ...]
    support: tuple[Support, ...]

    def rule(self, rule_id: str) -> Rule | None:
        """The rule with this id."""
        return next((rule for rule in self.rules if rule.id == rule_id), None)


@cache
def rule_set() -> RuleSet:
    """The rules of this version. Source: `rules.toml`, beside this file."""
    document = tomllib.loads((Path(__file__).with_name("rules.toml")).read_text("utf-8"))
    words: Mapping[str, str] = document["words"]
    regimes = {
        name: Regime(name, row["name"], row["since"], tuple(row["uses"]), row["about"])
        for name, row in document["regimes"].items()
    }
    names = "|".join(f"(?:{_spaced(name)})" for name in document["names"])
    return RuleSet(
        id=document["id"],
        checked=document["checked"],
        names=re.compile(names, re.IGNORECASE),
        rules=tuple(_rule(row, words, regimes) for row in document["rules"]),
        support=tuple(
            Support(row["id"], frozenset(row["of"]), re.compile(_spaced(row["pattern"]), re.IGNORECASE), row["needs"])
            for row in document["support"]
        ),
    )


def _rule(row: Mapping[str, Any], words: Mapping[str, str], regimes: Mapping[str, Regime]) -> Rule:
    def ready(name: str) -> re.Pattern[str] | None:
        return None if name not in row else re.compile(_pattern(row[name], words), re.IGNORECASE)

    pattern = ready("pattern")
    assert pattern is not None
    return Rule(
        id=row["id"],
        regime=regimes[row["regime"]],
        level=row["level"],
        pattern=pattern,
        near=ready("near"),
        unless=ready("unless"),
        why=row["why"],
        instead=row["instead"],
    )


def _pattern(text: str, words: Mapping[str, str]) -> str:
    return _spaced(re.sub(r"\{([a-z]+)\}", lambda found: words[found[1]], text))


def _spaced(text: str) -> str:
    """A space stands for white space or hyphens, so that `net zero` finds `net-zero` and a line break."""
    return text.replace(" ?", r"[\s\-–‑]*").replace(" ", r"[\s\-–‑]+")
