"""Write the generated pages, or say how they differ from what the code gives.

    python -m docs.generate [PAGE ...] [--check]

`--check` writes nothing and exits 1 where a page is out of date. The pre-registration is written only when it is named:
it is renewed with a release, and its hash in tests/docs/test_generated.py with it.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from docs.generate import clients, distribution, pre_registration, tokens, validation, worked_example
from docs.generate.reference import commands, errors, methods, resources, settings, tools

ROOT = Path(__file__).parents[2]

PAGES: Mapping[str, tuple[str, Callable[[], str]]] = {
    "validation": ("docs/validation.md", validation.render),
    "worked-example": ("docs/worked-example.md", worked_example.render),
    "tokens": ("docs/reference/tokens.md", tokens.render),
    "clients": ("docs/clients.md", clients.render),
    "tools": ("docs/reference/tools.md", tools.render),
    "commands": ("docs/reference/commands.md", commands.render),
    "settings": ("docs/reference/settings.md", settings.render),
    "resources": ("docs/reference/resources.md", resources.render),
    "methods": ("docs/reference/methods.md", methods.render),
    "errors": ("docs/reference/errors.md", errors.render),
    "pre-registration": ("docs/pre-registration.json", pre_registration.render),
    "server.json": ("server.json", distribution.server_json),
    "manifest": ("packaging/mcpb/manifest.json", distribution.manifest),
    "llms.txt": ("llms.txt", distribution.llms_txt),
}
ON_REQUEST = frozenset({"pre-registration"})


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description="Write the generated pages.")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help=f"one of {', '.join(PAGES)}")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is out of date")
    options = parser.parse_args(argv)
    unknown = set(options.pages) - PAGES.keys()
    if unknown:
        parser.error(f"no page {', '.join(sorted(unknown))}; there are {', '.join(PAGES)}")
    names = options.pages or [name for name in PAGES if options.check or name not in ON_REQUEST]
    stale = [name for name in names if _page(*PAGES[name], check=options.check)]
    return len(stale) > 0


def _page(file: str, render: Callable[[], str], *, check: bool) -> bool:
    """Write the page, or show its difference; true where it is out of date and was left so."""
    path, text = ROOT / file, render()
    if not check:
        path.write_text(text, "utf-8")
        sys.stdout.write(f"{hashlib.sha256(text.encode()).hexdigest()}  {file}\n")
        return False
    before = path.read_text("utf-8") if path.exists() else ""
    sys.stderr.writelines(difflib.unified_diff(before.splitlines(True), text.splitlines(True), file, "generated"))
    return before != text


if __name__ == "__main__":
    sys.exit(main())
