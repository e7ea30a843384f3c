"""`wattproof completion` in real shells: bash always, zsh and fish where they are installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
from typer.main import get_command

from wattproof.methodology.errors import InvalidInput
from wattproof.server.cli import build_app
from wattproof.server.cli_completion import script

BASH = """
source {script}
IFS=$'\\n'
while IFS= read -r line; do
  IFS='|' read -r -a COMP_WORDS <<<"$line"
  COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
  [ "${{COMP_WORDS[COMP_CWORD]}}" = _ ] && COMP_WORDS[COMP_CWORD]=''
  _wattproof
  IFS=' '; echo "${{COMPREPLY[*]}}"
done
"""
ZSH = """
autoload() {{ : }}; compdef() {{ : }}
compadd() {{ [[ $1 == -a ]] && print -l -- ${{(P)2}} }}
_describe() {{ print -l -- ${{${{(P)2}}%%:*}} }}
_files() {{ print FILES }}
source {script}
words=({words}); CURRENT=$#words; PREFIX=${{words[-1]}}
_wattproof
"""


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "wattproof.bash"
    path.write_text(script("bash") + "\n", "utf-8")
    return path


def in_bash(path: Path, *lines: str) -> list[list[str]]:
    """What bash offers at the end of each line; `_` is an empty last word."""
    typed = "\n".join("|".join(line.split()) for line in lines) + "\n"
    done = subprocess.run(
        ["bash", "--norc", "-uc", BASH.format(script=path)], input=typed, capture_output=True, text=True, check=True
    )
    return [line.split() for line in done.stdout.splitlines()]


def places(command: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], set[str]]:
    options = {name for p in command.params if p.param_type_name == "option" for name in p.opts}
    found = {path: options | set(getattr(command, "commands", {}))}
    for name, inner in getattr(command, "commands", {}).items():
        found |= places(inner, (*path, name))
    return found


def test_bash_offers_every_command_and_every_option_of_each(bash_script: Path) -> None:
    expected = places(cast("Any", get_command(build_app())))
    offered = in_bash(bash_script, *(" ".join(["wattproof", *path, "_"]) for path in expected))

    assert len(expected) > 40
    assert [path for path, found in zip(expected, offered, strict=True) if not expected[path] <= set(found)] == []


def test_bash_completes_the_beginning_of_a_name_that_is_known(bash_script: Path) -> None:
    offered = in_bash(
        bash_script,
        "wattproof est",
        "wattproof ledger fs",
        "wattproof estimate --model gpt-oss-1",
        "wattproof run --zone SE-",
        "wattproof install claude-d",
        "wattproof methods show vet",
        "wattproof verify --jwks key",
    )

    assert offered == [
        ["estimate"],
        ["fsck"],
        ["gpt-oss-120b"],
        ["SE-SE1", "SE-SE2", "SE-SE3", "SE-SE4"],
        ["claude-desktop"],
        ["vetted/ladder"],
        [],
    ]


def test_an_option_that_takes_a_file_leaves_the_completion_to_bash(bash_script: Path) -> None:
    assert "complete -o default -F _wattproof wattproof" in bash_script.read_text("utf-8")


def test_a_completion_starts_no_process(bash_script: Path) -> None:
    function = bash_script.read_text("utf-8").partition("_wattproof() {")[2]

    # compgen is a builtin of bash.
    assert function.count("$(") == function.count("$(compgen ") == 1
    assert "`" not in function


def test_fish_completes_commands_options_and_names(tmp_path: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("no fish here")
    path = tmp_path / "wattproof.fish"
    path.write_text(script("fish"), "utf-8")

    def offered(line: str) -> list[str]:
        command = ["fish", "--no-config", "-c", f"source {path}; complete -C '{line}'"]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        return [found.partition("\t")[0] for found in lines]

    assert offered("wattproof est") == ["estimate"]
    assert offered("wattproof ledger fs") == ["fsck"]
    assert offered("wattproof estimate --model gpt-oss-1") == ["gpt-oss-120b"]
    assert "--max-carbon-intensity" in offered("wattproof run --max")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("wattproof est", "estimate"),
        ("wattproof ledger ''", "fsck"),
        ("wattproof run --zone ''", "FR"),
        ("wattproof run --messages ''", "FILES"),
        ("wattproof run --max", "--max-carbon-intensity"),
    ],
)
def test_zsh_hands_over_commands_options_names_and_files(tmp_path: Path, words: str, expected: str) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("no zsh here")
    path = tmp_path / "_wattproof"
    path.write_text(script("zsh"), "utf-8")
    command = ["zsh", "-fc", ZSH.format(script=path, words=words)]

    assert expected in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_another_shell_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="give bash, zsh or fish"):
        script("tcsh")
