"""Clients that are at hand make the journey here, against the files of the wheel; the others do with `make clients`."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients.driver import Traveller, serving, stdio_target, wattproof_environment
from clients.journey import forwarded, travel
from clients.wire import Wire, messages
from tests.fakes.provider import FakeProvider

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-P", "-m", "wattproof")
EVERYTHING = ["text", "structured", "meta"]

Go = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the wheel would install."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    target = folder / "installed"
    zipfile.ZipFile(next(folder.glob("*.whl"))).extractall(target)
    return target


@pytest.fixture
def go(unpacked: Path, tmp_path: Path, fake_provider: FakeProvider) -> Go:
    """Send a client on the journey; returns its record."""

    def run(script: str, transport: str, variant: str = "") -> dict[str, Any]:
        wire = Wire(tmp_path)
        environ = wattproof_environment(tmp_path / "home", fake_provider.base_url) | {"PYTHONPATH": str(unpacked)}
        program = [sys.executable, str(ROOT / "clients" / "python" / script)]

        def journey(target: dict[str, Any]) -> dict[str, Any]:
            with Traveller(program, {**target, "variant": variant}, tmp_path) as client:
                return travel(client, wire, lambda: fake_provider.script("hang"))

        if transport == "stdio":
            return journey(stdio_target(wire, COMMAND, environ))
        with serving(wire, COMMAND, environ) as target:
            return journey(target)

    return run


def test_a_pydantic_ai_agent_makes_the_journey_on_structured_content_alone(go: Go) -> None:
    record = go("pydantic_ai_agent.py", "stdio")

    assert record["problems"] == []
    assert all(channels == ["structured"] for channels in record["forwards"].values())
    assert {mistake["reaches_model"] for mistake in record["mistakes"].values()} == {True}
    assert record["cancels"]


def test_an_older_client_makes_the_journey_over_http(go: Go) -> None:
    record = go("official_v2.py", "http", "legacy")

    assert record["problems"] == []
    assert record["protocol"] == "2025-11-25"
    assert all(channels == EVERYTHING for channels in record["forwards"].values())
    assert record["progress_sent"]


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["stdio", "http"])
def test_a_current_client_makes_the_journey(go: Go, transport: str) -> None:
    record = go("official_v2.py", transport, "auto")

    assert record["problems"] == []
    assert record["protocol"] == "2026-07-28"


def test_messages_are_found_in_lines_bodies_and_events() -> None:
    line = b'{"jsonrpc":"2.0","id":1,"result":{"a":{"b":1}}}\n'
    body = b'POST /mcp HTTP/1.1\r\nx: {"no"\r\n\r\n{"method":"ping","jsonrpc":"2.0","id":2}'
    event = b'8f\r\nevent: message\r\ndata: {"jsonrpc":"2.0","method":"notifications/progress"}\r\n\r\n'

    found = messages(line + body + event)

    assert [message.get("id") for message in found] == [1, 2, None]


@pytest.mark.parametrize(
    ("text", "channels"),
    [
        ("0.07 Wh “so”", ["text"]),
        ('[{"text": "0.07 Wh \\u201cso\\u201d"}]', ["text"]),
        ('{"energy_wh": 0.07}', ["structured"]),
        ("meta=None structured_content={'energy_wh': 0.07}", ["structured"]),
        ('{"_meta": {"io.github.wattproof/provenance": {}}}', ["meta"]),
        ("something went wrong", []),
    ],
)
def test_the_channels_are_told_apart_in_what_a_model_reads(text: str, channels: list[str]) -> None:
    sent = {"content": [{"type": "text", "text": "0.07 Wh “so”"}], "structuredContent": {"energy_wh": 0.07}}

    assert forwarded(text, sent) == channels
