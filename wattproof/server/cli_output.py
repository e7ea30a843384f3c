"""How the subcommands print: data to stdout, everything said beside it to stderr."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["print_json", "print_text", "say"]


def print_json(value: Any) -> None:
    """One JSON document, in the order of its model; indented when a person looks at it."""
    import orjson

    options = orjson.OPT_APPEND_NEWLINE | (orjson.OPT_INDENT_2 if sys.stdout.isatty() else 0)
    sys.stdout.buffer.write(orjson.dumps(value, option=options))
    sys.stdout.flush()


def print_text(text: str) -> None:
    """Text for a person. What the terminal's encoding lacks is replaced, never a crash."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding) + "\n")


def say(text: str) -> None:
    """A remark beside the result."""
    sys.stderr.write(text + "\n")
