"""Which clients are offered the cards."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from wattproof.server.apps.offered import EXTENSION, VIEW_MIME, apps_offered


def advertising(settings: object) -> dict[str, Any]:
    return {"extensions": {EXTENSION: settings}}


def test_a_client_that_lists_the_mime_type_is_offered_the_cards() -> None:
    assert apps_offered("auto", advertising({"mimeTypes": ["text/plain", VIEW_MIME]}))


@pytest.mark.parametrize(
    "capabilities",
    [
        None,
        {},
        {"extensions": None},
        {"extensions": []},
        {"extensions": {"io.modelcontextprotocol/tasks": {"mimeTypes": [VIEW_MIME]}}},
        advertising(None),
        advertising({}),
        advertising({"mimeTypes": None}),
        advertising({"mimeTypes": VIEW_MIME}),
        advertising({"mimeTypes": ["text/html"]}),
    ],
)
def test_any_other_client_is_not(capabilities: dict[str, Any] | None) -> None:
    assert not apps_offered("auto", capabilities)


@pytest.mark.parametrize("capabilities", [None, {}, advertising({"mimeTypes": [VIEW_MIME]})])
def test_a_setting_of_on_or_off_holds_whatever_the_client_says(capabilities: dict[str, Any] | None) -> None:
    assert apps_offered("on", capabilities)
    assert not apps_offered("off", capabilities)


def test_the_decision_loads_neither_the_sdk_nor_pydantic() -> None:
    code = (
        "import sys, wattproof.server.apps.offered\n"
        "sys.exit(' '.join({'mcp', 'mcp_types', 'pydantic', 'anyio', 'asyncio'} & set(sys.modules)) or 0)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
