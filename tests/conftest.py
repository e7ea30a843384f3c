"""Fixtures that every part shares."""

from __future__ import annotations

import importlib.util
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.fakes.grid_apis import GridApis
    from tests.fakes.installation import Installation
    from tests.fakes.issuer import Issuer
    from tests.fakes.provider import FakeProvider


# A shell that starts us in the background has interrupts ignored, and children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("wattproof", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("wattproof")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def fake_provider() -> Iterator[FakeProvider]:
    """An unkind provider on 127.0.0.1; see tests/fakes/provider.py."""
    _fake("dialects")
    _fake("handler")
    with _fake("provider").serving() as provider:
        yield provider


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An authorization server on 127.0.0.1; see tests/fakes/issuer.py."""
    with _fake("issuer").issuing() as issuer:
        yield issuer


@pytest.fixture
def live_grid(installation: Installation) -> Iterator[GridApis]:
    """Grid APIs on 127.0.0.1 which the installation asks, with a key; see tests/fakes/grid_apis.py."""
    from wattproof.resources.grid.sources import default_sources

    with _fake("grid_apis").serving(installation.now_s) as apis:
        installation.environ["ELECTRICITYMAPS_TOKEN"] = "em-token-of-the-test"
        found = default_sources(installation.environ, apis.base_urls)
        installation.grid_sources = tuple(source for source in found if source.name in apis.base_urls)
        yield apis
        apis.release()


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """An installation in a temporary home; see tests/fakes/installation.py."""
    return _fake("installation").Installation(tmp_path / "home")


def _fake(name: str) -> ModuleType:
    """A module of tests/fakes, which is not on the import path."""
    full = f"tests.fakes.{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, Path(__file__).parent / "fakes" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]
