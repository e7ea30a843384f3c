"""The real entry over stdio, whose loading ends when it is told to: when a byte comes on the pipe that argv names.

Prints at every step, itself and from a child process, what must never reach the client. With the address of a fake
provider in argv, that is the only deployment.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from wattproof.__main__ import main
from wattproof.server import faststart
from wattproof.server.settings import Settings


def stray(where: str) -> None:
    print(f"stray print {where}", flush=True)
    subprocess.run([sys.executable, "-S", "-c", f"print('stray child {where}')"], check=True)


def gated(settings: Settings, gate: int, base_url: str | None) -> Any:
    stray("while loading")
    os.read(gate, 1)
    from wattproof.server.app import build_server

    return build_server(partial(opened, settings, base_url), settings.profiles, settings.apps)


@asynccontextmanager
async def opened(settings: Settings, base_url: str | None) -> AsyncGenerator[Any]:
    from wattproof.server.open import open_deps

    open_one = open_deps(settings) if base_url is None else installation(settings, base_url)()
    async with open_one as deps:
        stray("while serving")
        try:
            yield deps
        finally:
            sys.stderr.write("closed\n")


def installation(settings: Settings, base_url: str) -> Callable[[], Any]:
    from wattproof.resources.providers import load_catalogue

    spec = importlib.util.spec_from_file_location("installation", Path(__file__).parents[1] / "fakes/installation.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules["installation"] = module
    spec.loader.exec_module(module)
    row = next(row for row in load_catalogue() if row.id == "ovhcloud/gpt-oss-120b")
    fake = replace(row, provider="fake", base_url=base_url, key_env=(), zone="FR", location_evidence="declared")
    return module.Installation(settings.home, deployments=(fake,)).open


if __name__ == "__main__":
    base_url = sys.argv[2] if len(sys.argv) > 2 else None
    faststart.load_server = partial(gated, gate=int(sys.argv[1]), base_url=base_url)
    sys.exit(main([]))
