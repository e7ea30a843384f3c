"""Looking for model servers on this machine, and the client that talks to them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import anyio
import httpx2
import pytest

from wattproof.methodology.errors import Unavailable
from wattproof.resources.providers.adapters import Connection, stream
from wattproof.resources.providers.local import probe_local
from wattproof.resources.providers.records import ChatEnd, ChatRequest
from wattproof.resources.providers.transport import open_client

if TYPE_CHECKING:
    from tests.fakes.provider import FakeProvider

NOBODY = "http://127.0.0.1:1/v1"
HELLO = ChatRequest(({"role": "user", "content": "Hello"},), 16)


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with open_client() as opened:
        yield opened


async def test_models_of_a_local_server_become_deployments(
    client: httpx2.AsyncClient, fake_provider: FakeProvider
) -> None:
    fake_provider.models = ("gpt-oss:120b", "my-finetune:latest")
    servers = (("vllm", NOBODY), ("ollama", fake_provider.base_url))
    known, odd = await probe_local(client, {"WATTPROOF_ZONE": "fr"}, servers)
    assert (known.id, known.native_model, known.zone) == ("ollama/gpt-oss-120b", "gpt-oss:120b", "FR")
    assert (known.location_evidence, known.local, known.key_env) == ("caller", True, ())
    assert odd.model == "my-finetune:latest"


async def test_where_this_machine_is_stays_unknown_unless_stated(
    client: httpx2.AsyncClient, fake_provider: FakeProvider
) -> None:
    (row,) = await probe_local(client, {}, (("vllm", fake_provider.base_url),))
    assert (row.zone, row.location_evidence) == (None, "unknown")


async def test_absent_silent_and_foreign_servers_are_no_error(client: httpx2.AsyncClient) -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as silent:
        port = silent.extra(anyio.abc.SocketAttribute.local_port)
        servers = (("vllm", NOBODY), ("ollama", f"http://127.0.0.1:{port}/v1"))
        with anyio.fail_after(2):
            assert await probe_local(client, {}, servers) == ()


async def test_something_else_on_the_port_is_left_alone(
    client: httpx2.AsyncClient, fake_provider: FakeProvider
) -> None:
    assert await probe_local(client, {}, (("vllm", fake_provider.base_url + "/other"),)) == ()
    fake_provider.models = ("bad\nname",)
    assert await probe_local(client, {}, (("vllm", fake_provider.base_url),)) == ()


async def test_a_proxy_of_the_environment_never_sees_this_machines_servers(
    fake_provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with open_client() as client:
        assert len(await probe_local(client, {}, (("vllm", fake_provider.base_url),))) == 1


async def test_the_table_of_adapters_finds_the_one_for_the_protocol(
    client: httpx2.AsyncClient, fake_provider: FakeProvider
) -> None:
    connection = Connection(client, "k", 10)
    events = [event async for event in stream(fake_provider.deployment(), HELLO, connection)]
    assert isinstance(events[-1], ChatEnd)
    with pytest.raises(Unavailable, match="telepathy, which is not supported yet"):
        stream(fake_provider.deployment(protocol="telepathy"), HELLO, connection)
