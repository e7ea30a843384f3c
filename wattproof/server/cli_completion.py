"""``wattproof completion SHELL``: a script with every command, option and known name in it.

Nothing of wattproof runs while somebody types: the script is whole, so a completion takes no process at all. It is as
old as the version that wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from wattproof.methodology.errors import InvalidInput
from wattproof.server.cli_output import print_text

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["completion", "script"]

_SHELLS = ("bash", "zsh", "fish")

_OPTION_VALUES = {
    "--baseline": "models",
    "--exclude-provider": "providers",
    "--exclude-zone": "zones",
    "--group-by": "groups",
    "--method": "methods",
    "--methods": "methods",
    "--model": "models",
    "--preset": "presets",
    "--provider": "providers",
    "--zone": "zones",
}
"""Which names an option takes, where they are known beforehand."""

_ARGUMENT_VALUES = {
    "completion": "shells",
    "explain": "methods",
    "grid": "zones",
    "install": "hosts",
    "methods show": "methods",
    "providers": "models",
}
"""Which names a command takes as its argument."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A command: its words on the line, its subcommands and options with what each does; `takes` need a value."""

    path: str
    commands: Mapping[str, str]
    options: Mapping[str, str]
    takes: tuple[str, ...] = field(default=())


def completion(shell: Annotated[str, typer.Argument(help="bash, zsh or fish.")]) -> None:
    """Print a script that completes commands, options, models, zones, methods and providers."""
    print_text(script(shell))


def script(shell: str) -> str:
    """The script for `shell`.

    Raises:
        InvalidInput: another shell.
    """
    if shell not in _SHELLS:
        raise InvalidInput("shell", f"is {shell!r}", f"give {', '.join(_SHELLS[:-1])} or {_SHELLS[-1]}")
    from typer.main import get_command

    from wattproof.server.cli import build_app

    places = tuple(_places(get_command(build_app()), ()))
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](places, _names())


def _places(command: Any, path: tuple[str, ...]) -> Iterator[_Place]:
    subcommands: Mapping[str, Any] = getattr(command, "commands", {})
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    yield _Place(
        " ".join(path),
        {name: _first_sentence(found.help) for name, found in subcommands.items()},
        {name: _first_sentence(option.help) for option in options for name in option.opts} | {"--help": "Show help."},
        tuple(name for option in options if not option.is_flag for name in option.opts),
    )
    for name, found in subcommands.items():
        yield from _places(found, (*path, name))


def _first_sentence(text: str | None) -> str:
    """Short, and without a character that one of the shells would read."""
    sentence = " ".join((text or "").split()).partition(". ")[0].rstrip(".")
    return "".join(" " if character in "'\"`$\\:" else character for character in sentence)[:80].strip()


def _names() -> dict[str, list[str]]:
    """The names that are known beforehand, by kind."""
    from wattproof.methodology.methods import all_methods
    from wattproof.methodology.models import all_model_ids
    from wattproof.methodology.zones import all_zones
    from wattproof.resources.providers import load_catalogue
    from wattproof.resources.routing import PRESETS
    from wattproof.server.hosts import HOSTS
    from wattproof.tools.summarize_ledger import GroupBy

    named = {
        "groups": get_args(GroupBy),
        "hosts": HOSTS,
        # Without the version: bash takes what follows an @ for a host.
        "methods": dict.fromkeys(method.id.partition("@")[0] for method in all_methods()),
        "models": sorted(all_model_ids()),
        "presets": PRESETS,
        "providers": sorted({row.provider for row in load_catalogue()}),
        "shells": _SHELLS,
        "zones": sorted(all_zones()),
    }
    return {kind: [name for name in names if _is_plain(name)] for kind, names in named.items()}


def _is_plain(name: str) -> bool:
    return all(character.isalnum() or character in "-_./" for character in name)


def _words_at(place: _Place) -> str:
    return " ".join((*place.commands, *place.options))


def _cases(rows: Mapping[str, str], form: Callable[[str], str] = "'{}'".format) -> str:
    return "\n".join(f"    {form(key)}) {value} ;;" for key, value in rows.items())


def _bash(places: tuple[_Place, ...], names: Mapping[str, list[str]]) -> str:
    lists = "\n".join(f"_wattproof_{kind}='{' '.join(found)}'" for kind, found in names.items())
    words = {
        place.path: f'words="{_words_at(place)}'
        + (f' $_wattproof_{_ARGUMENT_VALUES[place.path]}"' if place.path in _ARGUMENT_VALUES else '"')
        for place in places
    }
    return f"""\
# bash completion for wattproof; written by: wattproof completion bash
{lists}
_wattproof() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} where='' words='' IFS=$' \\t\\n'
  COMPREPLY=()
{_where("${COMP_WORDS[1]-}", "COMP_CWORD > {}", "${COMP_WORDS[2]-}", places)}
  case "$before" in
{_cases({option: f'words="$_wattproof_{kind}"' for option, kind in _OPTION_VALUES.items()}, str)}
    {_taking(places)}) return ;;
    *) case "$where" in
{_cases(words)}
    esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _wattproof wattproof"""


def _zsh(places: tuple[_Place, ...], names: Mapping[str, list[str]]) -> str:
    lists = "\n".join(f"typeset -ga _wattproof_{kind}=({' '.join(found)})" for kind, found in names.items())
    words = {
        place.path: "list=("
        + " ".join(f"'{word}:{what}'" for word, what in {**place.commands, **place.options}.items())
        + ")"
        + (f"; more=($_wattproof_{_ARGUMENT_VALUES[place.path]})" if place.path in _ARGUMENT_VALUES else "")
        for place in places
    }
    return f"""\
#compdef wattproof
# zsh completion for wattproof; written by: wattproof completion zsh
{lists}
_wattproof() {{
  local before=${{words[CURRENT-1]}} where=''
  local -a list more
{_where("${words[2]-}", "CURRENT - 1 > {}", "${words[3]-}", places)}
  case "$before" in
{_cases({option: f"compadd -a _wattproof_{kind}; return" for option, kind in _OPTION_VALUES.items()}, str)}
    {_taking(places)}) _files; return ;;
  esac
  case "$where" in
{_cases(words)}
  esac
  (( $#more )) && compadd -a more
  _describe wattproof list
  (( $#more )) || [[ $PREFIX == -* ]] || _files
}}
compdef _wattproof wattproof"""


def _where(first: str, deeper: str, second: str, places: tuple[_Place, ...]) -> str:
    """Which command the line is at: one word, or two where the first is a group."""
    groups = "|".join(place.path for place in places if place.path and place.commands)
    return f"""\
  if (({deeper.format(1)})); then
    where="{first}"
    case "$where" in
      {groups}) if (({deeper.format(2)})); then where="$where {second}"; fi ;;
    esac
  fi"""


def _taking(places: tuple[_Place, ...]) -> str:
    """The options whose value could be anything, a file most likely; as one pattern."""
    return "|".join(sorted({option for place in places for option in place.takes} - _OPTION_VALUES.keys()))


_FISH_FUNCTION = (
    "function __wattproof_at",
    "    set -l typed (commandline -opc)",
    "    set -l words (string match -v -- '-*' $typed[2..-1])",
    "    test (count $words) $argv[1] $argv[2]; or return 1",
    '    test $argv[2] -eq 0; or test "$words[1..$argv[2]]" = "$argv[3]"',
    "end",
)
"""Whether so many words stand on the line, and the first of them are these. Above a subcommand: exactly so many."""


def _at_in_fish(place: _Place) -> str:
    depth = len(place.path.split())
    return f'__wattproof_at {"-eq" if place.commands else "-ge"} {depth} "{place.path}"'


def _fish(places: tuple[_Place, ...], names: Mapping[str, list[str]]) -> str:
    lines = [
        "# fish completion for wattproof; written by: wattproof completion fish",
        *(f"set -g __wattproof_{kind} {' '.join(found)}" for kind, found in names.items()),
        *_FISH_FUNCTION,
        f"complete -c wattproof -n '{_at_in_fish(places[0])}' -f",
    ]
    for place in places:
        at = f"complete -c wattproof -n '{_at_in_fish(place)}'"
        lines += [f"{at} -f -a '{name}' -d '{what}'" for name, what in place.commands.items()]
        if place.path in _ARGUMENT_VALUES:
            lines.append(f"{at} -f -a '$__wattproof_{_ARGUMENT_VALUES[place.path]}'")
        lines += [f"{at} {_fish_option(name, name in place.takes)} -d '{what}'" for name, what in place.options.items()]
    return "\n".join(lines)


def _fish_option(name: str, takes: bool) -> str:
    kind = "-l" if name.startswith("--") else "-s"
    known = _OPTION_VALUES.get(name)
    value = "" if not takes else f" -x -a '$__wattproof_{known}'" if known else " -r"
    return f"{kind} {name.lstrip('-')}{value}"
