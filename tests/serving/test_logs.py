"""What the server writes to its log: who called what and how it ended, never what was asked or answered."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client

from wattproof.methodology.errors import InvalidInput
from wattproof.server.app import build_server
from wattproof.server.serving.logs import install
from wattproof.server.settings import LogStyle, load_settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.installation import Installation
    from tests.fakes.provider import FakeProvider
    from tests.serving.conftest import OpenHouse

SECRET = "zebra-secret"
RUN: dict[str, Any] = {
    "model": "gpt-oss-120b",
    "messages": [{"role": "user", "content": f"the word is {SECRET}"}],
    "max_output_tokens": 50,
}
Install = Callable[..., io.StringIO]


@pytest.fixture
def log() -> Generator[Install]:
    """Sends the log of this process to a text; takes it back at the end."""
    root, ours = logging.getLogger(), logging.getLogger("wattproof")
    handlers, levels = list(root.handlers), (root.level, ours.level)

    def installing(style: LogStyle = "json", *, calls: bool = True) -> io.StringIO:
        stream = io.StringIO()
        install(style, calls=calls, stream=stream)
        return stream

    yield installing
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_a_call_is_one_line_with_names_and_numbers_and_no_content(open_house: OpenHouse, log: Install) -> None:
    stream = log()
    async with open_house() as opened:
        answer = await opened.call("run_inference", RUN)
        await opened.call("estimate_request", {"model": SECRET})
        await opened.call("run_inference", {**RUN, SECRET: 1})
    run, unknown, invalid = lines(stream)
    assert run["request_id"] == answer.headers["x-request-id"]
    assert {name: run[name] for name in ("level", "event", "tenant", "tool", "outcome")} == {
        "level": "info",
        "event": "call",
        "tenant": "local",
        "tool": "run_inference",
        "outcome": "ok",
    }
    assert run["duration_ms"] > 0
    assert (unknown["outcome"], unknown["error"]) == ("refused", "UnknownModel")
    assert (invalid["outcome"], invalid["error"]) == ("refused", "InvalidArguments")
    assert SECRET not in stream.getvalue()
    assert "a-long-random-word-for-tests" not in stream.getvalue()


async def test_what_nobody_foresaw_is_in_the_log_under_an_id_and_the_client_gets_the_id_alone(
    at_fake: Installation, log: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = log("json", calls=False)

    async def breaks() -> Any:
        raise ZeroDivisionError(SECRET)

    async with at_fake.open() as deps:
        monkeypatch.setattr(at_fake, "open", lambda: _Given(deps, breaks))
        async with Client(build_server(at_fake.open)) as client:
            result = await client.call_tool("run_inference", RUN)
    assert result.is_error
    said: str = result.content[0].text  # type: ignore[union-attr]
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["exception"]) == ("unexpected", "error", "ZeroDivisionError")
    assert line["request_id"] in said
    assert line["frames"][-1].endswith("breaks")
    assert "Traceback" not in said
    assert "ZeroDivisionError" not in said
    assert SECRET not in stream.getvalue() + said


class _Given:
    """Deps whose deployments cannot be had."""

    def __init__(self, deps: Any, deployments: Any) -> None:
        from dataclasses import replace

        self._deps = replace(deps, deployments=deployments, runs=deployments)

    async def __aenter__(self) -> Any:
        return self._deps

    async def __aexit__(self, *_: object) -> None:
        return None


async def test_a_call_that_is_given_up_is_logged_as_cancelled(
    at_fake: Installation, fake_provider: FakeProvider, log: Install
) -> None:
    import anyio

    stream = log()
    fake_provider.script("hang")
    async with Client(build_server(at_fake.open)) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.call_tool, "run_inference", RUN)
        with anyio.fail_after(10):
            while not fake_provider.received:
                await anyio.sleep(0.005)
        tasks.cancel_scope.cancel()
    assert [line["outcome"] for line in lines(stream)] == ["cancelled"]


def test_of_what_libraries_log_only_the_place_and_the_kind_of_exception_are_kept(log: Install) -> None:
    stream = log()
    library = logging.getLogger("some.library")
    library.warning("refused %s", SECRET)
    try:
        raise ValueError(SECRET)
    except ValueError:
        library.exception(f"while reading {SECRET}")
    library.info("not at all")
    warned, raised = lines(stream)
    assert (warned["event"], warned["where"].partition(":")[0]) == ("library", "some.library")
    assert raised["exception"] == "ValueError"
    assert raised["frames"]
    assert SECRET not in stream.getvalue()


def test_text_is_for_people_and_a_value_cannot_forge_a_line(log: Install) -> None:
    stream = log("text")
    fields = {"tool": "explain", "why": "two words\nlevel=error", "n": 3, "nothing": None}
    logging.getLogger("wattproof.test").warning("event", extra={"fields": fields})
    (line,) = stream.getvalue().splitlines()
    assert line.endswith('warning event tool=explain why="two words\\nlevel=error" n=3 nothing=null')


def test_a_long_value_is_cut(log: Install) -> None:
    stream = log()
    logging.getLogger("wattproof.test").warning("event", extra={"fields": {"why": "x" * 10_000}})
    assert len(stream.getvalue()) < 1000


def test_off_writes_nothing_and_the_last_style_counts(log: Install) -> None:
    first = log("json")
    second = log("off")
    logging.getLogger("wattproof.test").error("event")
    assert first.getvalue() + second.getvalue() == ""


@pytest.mark.parametrize("style", ["json", "text", "off"])
def test_the_style_is_a_setting(style: str, tmp_path: Path) -> None:
    environ = {"WATTPROOF_HOME": str(tmp_path)}
    assert load_settings({**environ, "WATTPROOF_LOG": style}).log == style
    (tmp_path / "config.toml").write_text(f'log = "{style}"\nlimits = {{ calls = "9/1" }}\n')
    assert load_settings(environ).log == style
    with pytest.raises(InvalidInput, match=r"WATTPROOF_LOG.*json, text"):
        load_settings({**environ, "WATTPROOF_LOG": "xml"})
