"""The formats that can be imported, one row each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.imports.files import Files
from wattproof.resources.imports.records import Notes, UsageRecord

__all__ = ["FORMATS", "Format", "Reader", "format_named", "user_home"]

Reader = Callable[[Files, Notes, float], Iterator[UsageRecord]]
"""Files, notes, Unix seconds now -> records."""


@dataclass(frozen=True, slots=True)
class Format:
    """`name` is also the `source` of its entries. `folders` are where a program keeps its logs, below the variable that
    moves them or below the home folder; `patterns` are the files of a folder that are read.
    """

    name: str
    title: str
    patterns: tuple[str, ...]
    moved_by: str | None = None
    home: str | None = None
    folders: tuple[str, ...] = ()

    @property
    def reader(self) -> Reader:
        """The function that reads it; its module is imported only then."""
        module = import_module(f"wattproof.resources.imports.{self.name.replace('-', '_')}")
        return module.read

    def usual_paths(self, environ: Mapping[str, str]) -> tuple[Path, ...]:
        """Where its files usually are, as far as there is anything; empty for what is exported by hand."""
        if self.home is None:
            return ()
        moved = environ.get(self.moved_by or "", "").strip()
        bases = [Path(each) for each in moved.split(",")] if moved else [user_home(environ) / self.home]
        return tuple(base / folder for base in bases for folder in self.folders if (base / folder).is_dir())


_EXPORT = ("*.json", "*.jsonl", "*.csv")
FORMATS: Mapping[str, Format] = {
    each.name: each
    for each in (
        Format("claude-code", "Claude Code", ("*.jsonl",), "CLAUDE_CONFIG_DIR", ".claude", ("projects",)),
        Format("codex", "Codex", ("*.jsonl",), "CODEX_HOME", ".codex", ("sessions", "archived_sessions")),
        Format("litellm", "LiteLLM spend logs", _EXPORT),
        Format("otel-spans", "OpenTelemetry spans", ("*.json", "*.jsonl")),
        Format("openai-usage", "OpenAI usage export", _EXPORT),
        Format("anthropic-usage", "Anthropic usage export", _EXPORT),
        Format("openrouter", "OpenRouter activity export", ("*.csv",)),
    )
}


def user_home(environ: Mapping[str, str]) -> Path:
    """The home folder of the user."""
    return Path(environ.get("HOME") or environ.get("USERPROFILE") or "~").expanduser()


def format_named(name: str) -> Format:
    """The format of this name.

    Raises:
        InvalidInput: there is none; lists them.
    """
    found = FORMATS.get(name)
    if found is None:
        raise InvalidInput("FORMAT", f"is {name[:40]!r}", f"give one of {', '.join(FORMATS)}")
    return found
