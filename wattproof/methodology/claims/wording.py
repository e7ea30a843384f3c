"""What the words of a text claim beyond what can be shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from wattproof.methodology.claims.amounts import amounts_in
from wattproof.methodology.claims.passages import (
    QUOTED,
    Sentence,
    blanked,
    blanked_code,
    is_negated,
    is_question,
    sentences,
)
from wattproof.methodology.claims.rules import Rule, rule_set

__all__ = ["Finding", "Wording", "check_wording"]

_FIGURES_KEPT = 3
_NO_FIGURE = "[figure]"


@dataclass(frozen=True, slots=True)
class Finding:
    """Words of a text that a rule is about.

    `start` and `end` count characters of the text that was given; `sentence` is the whole sentence around them.
    `instead` is what to write, with the sentence's own numbers.
    """

    rule: Rule
    start: int
    end: int
    words: str
    sentence: str
    instead: str


@dataclass(frozen=True, slots=True)
class Wording:
    """What was found, and which rules would speak of quoted words, which were not judged."""

    findings: tuple[Finding, ...]
    quoted: tuple[str, ...]


def check_wording(text: str, *, figures_of: str | None = None) -> Wording:
    """Hold a text (English, plain or Markdown) against the rules of this version.

    Code, links, tags, quotations, proper names, questions and denials claim nothing. A text that is one quotation is
    judged without its marks. `figures_of` is written where a rewording needs figures and the sentence has none.
    """
    unquoted = _unwrapped(text)
    without_code = blanked_code(unquoted)
    judged = blanked(without_code, QUOTED, rule_set().names)
    found = tuple(finding for sentence in sentences(judged) for finding in _in_sentence(sentence, unquoted, figures_of))
    quoted = " . ".join(match[0][1:-1] for match in QUOTED.finditer(without_code))
    told = {rule.id for sentence in sentences(quoted) for rule, *_ in _matches(sentence.text)} if quoted else set[str]()
    return Wording(found, tuple(sorted(told)))


def _unwrapped(text: str) -> str:
    """A text that is one quotation, with blanks for its marks."""
    stripped = text.strip()
    inner = stripped[1:-1]
    if len(stripped) > 2 and stripped[0] in "\"“«'‘" and stripped[-1] in "\"”»'’" and not re.search(r'["“”«»]', inner):
        start = text.index(stripped)
        return " " * (start + 1) + inner + " " * (len(text) - start - len(stripped) + 1)
    return text


def _in_sentence(sentence: Sentence, text: str, figures_of: str | None) -> list[Finding]:
    if is_question(sentence.text):
        return []
    whole = _joined(text[sentence.start : sentence.start + len(sentence.text)])
    found = [
        Finding(
            rule,
            sentence.start + start,
            sentence.start + end,
            _joined(text[sentence.start + start : sentence.start + end]),
            whole,
            _instead(rule, sentence.text, figures_of),
        )
        for rule, start, end in _matches(sentence.text)
    ]
    return sorted(found, key=lambda finding: finding.start)


def _matches(sentence: str) -> Iterator[tuple[Rule, int, int]]:
    """What each rule finds first in a sentence and what is not denied, rules in their order; words count once."""
    left = sentence
    for rule in rule_set().rules:
        if (rule.near and not rule.near.search(sentence)) or (rule.unless and rule.unless.search(sentence)):
            continue
        for match in rule.pattern.finditer(left):
            if not is_negated(sentence, match.start(), match.end()):
                left = left[: match.start()] + " " * (match.end() - match.start()) + left[match.end() :]
                yield rule, match.start(), match.end()
                break


def _instead(rule: Rule, sentence: str, figures_of: str | None) -> str:
    """The rule's rewording with the sentence's own numbers."""
    own = [_joined(amount.text) for amount in amounts_in(sentence)][:_FIGURES_KEPT]
    figures = " and ".join(own) if own else figures_of or _NO_FIGURE
    return rule.instead.replace("{figures}", figures) + "."


def _joined(text: str) -> str:
    return " ".join(text.split())
