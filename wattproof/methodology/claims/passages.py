"""A text as sentences, with what nobody claims in it blanked out: code, links, quotations, proper names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["QUOTED", "Sentence", "blanked", "blanked_code", "is_negated", "is_question", "sentences"]

_LONGEST = 600

# Fences first: what is inside one is code, whatever it looks like.
_CODE = re.compile(
    r"^(?P<fence>`{3,}|~{3,})[^\n]*\n.*?(?:^(?P=fence)[ \t]*$|\Z)"
    r"|<!--.*?(?:-->|\Z)"
    r"|`[^`\n]+(?:\n[^`\n]+){0,2}`"
    r"|\]\([^)\s]*\)"
    r"|https?://\S+"
    r"|</?[a-zA-Z][^<>\n]{0,300}>",
    re.DOTALL | re.MULTILINE,
)
QUOTED = re.compile(
    r'"(?=\S)[^"]{1,300}?(?<=\S)"|“[^“”]{1,300}”|«[^«»]{1,300}»|„[^„“”]{1,300}[“”]'
    r"|(?<![\w’'])[‘'](?=\w)[^‘’'\n]{1,120}[’'](?!\w)"
)
"""What stands between quotation marks. Apostrophes within words are none."""

_BLOCK = re.compile(
    r"\n[ \t]*\n|\n(?=[ \t]*(?:[-*+•]|\d{1,3}[.)]|#{1,6}|>)[ \t])|(?<=[^|])\|(?=[^|])|^\||\|$|\n(?=\|)", re.MULTILINE
)
_END = re.compile(r"[.!?…]+[\"”’»)\]*_]*\s+(?=[\"“‘«(\[*_]*[A-Z0-9À-Þ])|[.!?…]+[\"”’»)\]*_]*\s*$")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|vs|approx|cf|etc|no|cat|fig|art|incl|excl|[A-Z])\.$", re.IGNORECASE)

_NEGATOR = re.compile(
    r"\b(?:(?:not(?! (?:only|just|merely))|never(?! been)|nor|neither|cannot|nobody|none|nothing(?! but)"
    r"|no(?= (?!other|one|doubt)\w+ (?:is|are|was|were|may|can|must)\b)|refus(?:e|es|ed|ing)|instead of|rather than"
    r"|stop(?:s|ped)? (?:saying|calling|using)"
    r"|(?:do|does|did|is|are|was|were|must|should|would|can|could|won|may)n['’]t"
    r"|avoid(?:s|ed|ing)? (?:the )?(?:words?|terms?|claims?|phrases?|saying)|forbid(?:s|den)?|ban(?:s|ned)?)\b"
    r"(?P<far>(?:\W+\w+){0,8})|(?:no(?! (?:other|one|doubt))|without|free of)\b(?P<near>(?:\W+\w+){0,2}))\W*$",
    re.IGNORECASE,
)
_DISOWNED = re.compile(
    r"^\W*(?:\w+\W+){0,3}?(?:is|are|was|were|be|may|must|can|should|do|does)\W*(?:not|never|n['’]t)\W+(?:be\W+)?"
    r"(?:claimed|used|said|shown|established|allowed|permitted|supported|stated|made|printed"
    r"|an? (?:word|claim|term))\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"[;:—()]|\b(?:but|however|although|though|yet|while|because|since|so|and (?:is|are|we|it))\b|,", re.IGNORECASE
)
_QUESTION = re.compile(
    r"^\W*(?:is|are|was|were|do|does|did|can|could|should|would|will|how|what|which|why|when|where|who)\b.*\?\W*$",
    re.IGNORECASE | re.DOTALL,
)
_LIST_ITEM_WORDS = 2
_VERB = re.compile(r"\b(?:is|are|was|were|be|has|have|we|it|they|our|its)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the text that was given. `text` may have blanks where `start` counts characters of the original."""

    text: str
    start: int


def blanked_code(text: str) -> str:
    """`text` with code, links, tags and comments replaced by as many spaces, line ends kept."""
    return _CODE.sub(_spaces, text)


def blanked(text: str, *patterns: re.Pattern[str]) -> str:
    """`text` with what each pattern finds replaced by as many spaces."""
    for pattern in patterns:
        text = pattern.sub(_spaces, text)
    return text


def _spaces(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])


def sentences(text: str) -> Iterator[Sentence]:
    """The sentences of a text or a Markdown page, table cells and list items apart. Code should be blanked before."""
    place = 0
    for gap in [*_BLOCK.finditer(text), None]:
        end = len(text) if gap is None else gap.start()
        yield from _in_block(text[place:end], place)
        place = end if gap is None else gap.end()


def _in_block(block: str, start: int) -> Iterator[Sentence]:
    place = 0
    for found in _END.finditer(block):
        if _ABBREVIATION.search(block[place : found.start() + 1]) and found.end() < len(block):
            continue
        yield from _pieces(block[place : found.end()], start + place)
        place = found.end()
    yield from _pieces(block[place:], start + place)


def _pieces(sentence: str, start: int) -> Iterator[Sentence]:
    """A sentence that never ends is cut, so that the time to judge it stays proportional to its length."""
    while len(sentence) > _LONGEST:
        cut = sentence.rfind(" ", 0, _LONGEST) + 1 or _LONGEST
        yield Sentence(sentence[:cut], start)
        sentence, start = sentence[cut:], start + cut
    if sentence.strip():
        yield Sentence(sentence, start)


def is_negated(sentence: str, start: int, end: int) -> bool:
    """Whether the words from `start` to `end` are denied: `we never say net zero`, `net zero is not claimed`."""
    return bool(_NEGATOR.search(_clause_before(sentence[:start])) or _DISOWNED.search(sentence[end:]))


def _clause_before(text: str) -> str:
    """The part of the clause before a word. Short items between commas are a list, which one `not` denies whole."""
    marks = list(_CLAUSE.finditer(text))
    end = len(text)
    for mark in reversed(marks):
        item = text[mark.end() : end]
        if mark[0] != "," or len(item.split()) > _LIST_ITEM_WORDS or _VERB.search(item):
            return text[mark.end() :]
        end = mark.start()
    return text


def is_question(sentence: str) -> bool:
    """Whether it asks rather than claims."""
    return _QUESTION.match(sentence) is not None
