"""A provider whose address differs per customer is called where the environment says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from wattproof.methodology.errors import RoutingError

if TYPE_CHECKING:
    from tests.runs.conftest import Bench


async def test_the_host_comes_from_the_variable_and_the_path_from_the_row(bench: Bench) -> None:
    here = urlsplit(bench.provider.base_url)
    bench.serve("azure", base_url=f"https://your-resource.invalid{here.path}", base_url_env="AZURE_OPENAI_ENDPOINT")
    environ = {**bench.deps.environ, "AZURE_OPENAI_ENDPOINT": f"http://{here.netloc}/"}
    bench.deps = replace(bench.deps, environ=environ)
    settled = await bench.run()
    assert settled.settled.draft.deployment == "azure/gpt-oss-120b"
    assert len(bench.provider.received) == 1


async def test_without_the_variable_nothing_is_sent(bench: Bench) -> None:
    bench.serve("azure", base_url="https://your-resource.invalid/v1", base_url_env="AZURE_OPENAI_ENDPOINT")
    with pytest.raises(RoutingError, match="no endpoint: set AZURE_OPENAI_ENDPOINT"):
        await bench.run()
    assert bench.provider.received == []
