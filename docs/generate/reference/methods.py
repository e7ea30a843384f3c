"""`docs/reference/methods.md`: every method by which a figure is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from docs.generate.markdown import table
from docs.generate.reference.notice import NOTICE, cell, code, fenced
from wattproof.methodology.methods import all_methods
from wattproof.tools.views import method_view

__all__ = ["render"]

_HEAD = f"""{NOTICE}# Methods

A method is named with its version in every figure and receipt; its formula never changes under one name.
`wattproof explain ID` shows the same with the values of an edition. [How each compares with published
figures](../validation.md).

"""


def render() -> str:
    """The page."""
    views = [method_view(method.id) for method in all_methods()]
    rows = [
        (f"[`{v['id']}`](#{_anchor(v['id'])})", cell(v["title"]), v["tier"], v["interval"], ", ".join(v["workloads"]))
        for v in views
    ]
    overview = table(("method", "what", "tier", "interval", "workloads"), rows, numbers=False)
    return _HEAD + overview + "\n" + "\n".join(_section(view) for view in views).rstrip() + "\n"


def _anchor(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum() or character in "-_")


def _section(view: Mapping[str, Any]) -> str:
    return "\n".join(
        (
            f"## {view['id']}\n",
            f"{view['summary']}\n",
            _particulars(view),
            fenced(view["formula"]),
            "Not covered:\n",
            _points(view["not_covered"]),
            "Sources:\n",
            _points(view["sources"]),
        )
    )


def _particulars(view: Mapping[str, Any]) -> str:
    embodied = "in `carbon_gco2e`" if view["embodied_included"] else "not in `carbon_gco2e`"
    return (
        f"Also called {_listed(view['aliases'])}. Indicators: {_listed(view['indicators'])}; manufacture is {embodied}."
        f" Source hash `{view['sha256'][:16]}…`.\n"
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(code(name) for name in names)


def _points(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines) + "\n"
