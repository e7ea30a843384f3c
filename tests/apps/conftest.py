"""The official host bridge as `npm install` leaves it, a browser, and the server over a ledger with some history."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.apps.hosting import Host, build_bundle, open_host
from tests.apps.world import World, open_world
from tests.browser.chromium import NAMES, find_browser

_BRIDGE = "node_modules/@modelcontextprotocol/ext-apps/package.json"


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The host page's script. Skips where the bridge is not installed, and fails where it must be."""
    folder = os.environ.get("WATTPROOF_THIRD_PARTY")
    if folder is None or not (Path(folder) / _BRIDGE).exists() or shutil.which("node") is None:
        _lacks("@modelcontextprotocol/ext-apps and esbuild are not installed in WATTPROOF_THIRD_PARTY")
    return build_bundle(Path(folder or ""), tmp_path_factory.mktemp("bundle") / "host.js")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_world(tmp_path_factory.mktemp("world") / "home") as world:
        world.history()
        yield world


@pytest.fixture(scope="module")
def opened(bundle: Path, world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    browser = find_browser()
    if browser is None:
        _lacks(f"no Chromium is installed (looked for {', '.join(NAMES)}); apt-get install -y chromium")
    with open_host(browser or "", tmp_path_factory.mktemp("host"), bundle) as host:
        yield host


@pytest.fixture
def host(opened: Host, world: World) -> Host:
    """The host page, with the real server behind it and everything granted."""
    opened.answer = world.answer
    opened.resize(500)
    opened.page.run("host.refuses = false; host.download = undefined")
    return opened


def _lacks(reason: str) -> None:
    if os.environ.get("WATTPROOF_REQUIRE_THIRD_PARTY") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
