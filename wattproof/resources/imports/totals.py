"""What a provider states of the usage in total, to say how much of it an import covers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.imports.files import open_files
from wattproof.resources.imports.formats import FORMATS
from wattproof.resources.imports.records import Notes, Skip, UsageRecord
from wattproof.resources.imports.values import count, instant, optional_name

__all__ = ["Totals", "read_totals"]

_LARGEST = 1 << 20
_KEYS = frozenset({"input_tokens", "output_tokens", "tokens", "since", "until", "provider"})
_EXPORTS = ("openai-usage", "anthropic-usage")


@dataclass(frozen=True, slots=True)
class Totals:
    """Tokens (input and output) of [since, until) at a provider; None where it is not limited. `source` says whose."""

    tokens: int
    source: str
    since: str | None = None
    until: str | None = None
    provider: str | None = None

    def covers(self, usage: UsageRecord) -> bool:
        """Whether the total includes this usage."""
        if self.since is not None and usage.occurred_at < self.since:
            return False
        if self.until is not None and usage.occurred_at >= self.until:
            return False
        return self.provider is None or usage.provider == self.provider


def read_totals(path: Path, now_s: float) -> Totals:
    """The totals in a file: ``{"input_tokens": …, "output_tokens": …}`` or ``{"tokens": …}``, with ``since``, ``until``
    and ``provider`` if it is limited, or an export of OpenAI's or Anthropic's usage.

    Raises:
        InvalidInput: the file is neither.
    """
    own = _own_form(path)
    if own is not None:
        return own
    for name in _EXPORTS:
        notes = Notes()
        files = open_files(path, FORMATS[name].patterns, notes)
        records = list(FORMATS[name].reader(files, notes, now_s))
        if records:
            return Totals(
                sum(record.total_tokens for record in records),
                FORMATS[name].title,
                min(record.occurred_at for record in records),
                max(record.until or record.occurred_at for record in records),
                records[0].provider,
            )
    fix = 'give {"input_tokens": …, "output_tokens": …} or an export of OpenAI or Anthropic'
    raise InvalidInput("--totals", f"{path.name} states no totals", fix)


def _own_form(path: Path) -> Totals | None:
    import orjson

    try:
        raw = path.read_bytes() if path.stat().st_size <= _LARGEST else b""
    except OSError as error:
        problem = f"{str(path)!r} cannot be read ({error.strerror})"
        raise InvalidInput("--totals", problem, "give a readable file") from None
    try:
        value: object = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict) or not value.keys() & {"tokens", "input_tokens"}:
        return None
    fields = cast("dict[str, Any]", value)
    unknown = sorted(fields.keys() - _KEYS)
    if unknown:
        raise InvalidInput("--totals", f"holds {', '.join(unknown)[:80]}", f"give {', '.join(sorted(_KEYS))}")
    try:
        tokens = count(fields.get("tokens")) or count(fields.get("input_tokens")) + count(fields.get("output_tokens"))
        since, until = (None if fields.get(end) is None else instant(fields[end]) for end in ("since", "until"))
    except Skip as reason:
        raise InvalidInput("--totals", f"is malformed: {reason}", "give counts and RFC 3339 times") from None
    if not tokens:
        raise InvalidInput("--totals", "states no tokens", 'give {"input_tokens": …, "output_tokens": …}')
    return Totals(tokens, path.name[:80], since, until, optional_name(fields.get("provider")))
