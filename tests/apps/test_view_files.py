"""What ships as a view: built from its parts, small, and without anything that a network or markup could enter by."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from wattproof.server.apps.assemble import PARTS, assemble
from wattproof.server.apps.views import VIEW_OF, VIEWS, View
from wattproof.server.settings import PROFILES
from wattproof.server.tool_table import tools_of

UPDATE = os.environ.get("WATTPROOF_UPDATE_CONTRACTS") == "1"
EVERY_VIEW = pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)

# As in tests/docs/test_claims.py, and the single words that need a subject to say anything.
BANNED = re.compile(
    r"\b(carbon[- ]neutral|net[- ]zero|climate[- ]friendly|eco[- ]friendly|sustainable|saved|avoided|verified|"
    r"green|clean|real[- ]time)\b",
    re.IGNORECASE,
)


@EVERY_VIEW
def test_the_file_that_ships_is_the_one_that_its_parts_make(view: View) -> None:
    if UPDATE:
        view.path.write_text(assemble(view.name), "utf-8")
    assert view.path.read_text("utf-8") == assemble(view.name), (
        "the parts have changed. If this is meant: WATTPROOF_UPDATE_CONTRACTS=1 python -m pytest tests/apps"
    )


@EVERY_VIEW
def test_a_view_is_small(view: View) -> None:
    assert view.path.stat().st_size < 36_000


def test_what_speaks_to_the_host_is_under_three_kilobytes() -> None:
    script = assemble("receipt").partition('"use strict";\n')[2]
    assert len(script.partition("host.tool")[0]) < 3_000


@EVERY_VIEW
def test_a_view_may_load_and_send_nothing(view: View) -> None:
    text = view.path.read_text("utf-8")
    policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'; form-action"
    assert f"content=\"{policy} 'none'\"" in text
    assert set(re.findall(r"\w+://[^\"'`\s$]*", text)) <= {
        "http://www.w3.org/2000/svg",
        "file:///",
        "wattproof://receipts/",
    }
    assert not re.search(
        r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|import|Worker)\s*\(|\burl\(|@import", text
    )


@EVERY_VIEW
def test_nothing_from_outside_is_read_as_markup_or_code(view: View) -> None:
    text = view.path.read_text("utf-8")
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc|\beval\b|new Function", text
    )
    assert not re.search(r"setTimeout\(\s*[\"'`]|\bhref\b|localStorage|sessionStorage|document\.cookie", text)


@EVERY_VIEW
def test_a_view_uses_no_word_that_we_do_not_use(view: View) -> None:
    assert not BANNED.findall(view.path.read_text("utf-8"))


@EVERY_VIEW
def test_colours_of_the_host_come_first_and_each_has_another_to_fall_back_on(view: View) -> None:
    used = re.findall(r"var\((--(?:color|font|border)-[\w-]+)(,?)", view.path.read_text("utf-8"))
    assert len(used) > 10
    assert all(fallback for _, fallback in used)


def test_every_part_is_in_a_view_and_every_view_belongs_to_a_tool() -> None:
    assert {path.stem for path in PARTS.iterdir()} == {"host", "draw", "page", "style", *(view.name for view in VIEWS)}
    assert set(VIEW_OF.values()) == {view.uri for view in VIEWS}
    assert set(VIEW_OF) <= {spec.name for spec in tools_of(PROFILES)}


def test_the_parts_and_the_views_are_in_the_package() -> None:
    assert PARTS.parent == Path(VIEWS[0].path).parent
