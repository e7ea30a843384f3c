"""`docs/reference/commands.md`: every command and option of `wattproof`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from docs.generate.markdown import table
from docs.generate.reference.notice import NOTICE, cell, code
from wattproof.server.cli import build_app

__all__ = ["render"]

_HEAD = f"""{NOTICE}# Commands

`wattproof` alone serves MCP over stdin and stdout. Results go to stdout, everything said beside them to stderr.
`--json` prints what the tool returns as structured content. [Exit codes](errors.md#exit-codes).

`wattproof completion bash > ~/.local/share/bash-completion/completions/wattproof` completes commands, options, models,
zones, methods and providers (zsh: a file `_wattproof` in a folder of `$fpath`; fish:
`~/.config/fish/completions/wattproof.fish`). The script is whole: no process is started while you type.

"""


def render() -> str:
    """The page."""
    return _HEAD + "\n".join(_sections(get_command(build_app()), ("wattproof",))).rstrip() + "\n"


def _sections(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    subcommands: dict[str, Any] = getattr(command, "commands", {})
    if len(path) > 1:
        yield f"## `{' '.join(path)}`\n"
        yield f"{_paragraphs(command.help)}\n"
        rows = [_row(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)]
        if rows:
            yield table(("argument or option", "default", "what"), rows, numbers=False)
        if subcommands:
            yield "Subcommands: " + ", ".join(code(name) for name in subcommands) + ".\n"
    for name, found in subcommands.items():
        yield from _sections(found, (*path, name))


def _row(parameter: Any) -> tuple[str, str, str]:
    if parameter.param_type_name == "argument":
        word = (parameter.metavar or parameter.name).upper()
        return code(word if parameter.required else f"[{word}]"), "", cell(parameter.help or "")
    names = ", ".join(parameter.opts)
    value = "" if parameter.is_flag else f" {parameter.metavar or _value(parameter)}"
    default = "" if parameter.default in (None, False, ()) else str(parameter.default)
    needed = "required" if parameter.required else default
    return code(names + value), needed, cell(parameter.help or "")


def _value(parameter: Any) -> str:
    return parameter.opts[0].lstrip("-").rpartition("-")[2].upper()


def _paragraphs(text: str | None) -> str:
    return " ".join((text or "").split())
