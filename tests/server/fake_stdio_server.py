"""A server over stdio in its own process, whose only deployment is the fake provider at the address in argv."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from wattproof.resources.providers import load_catalogue
from wattproof.server.app import build_server


def main() -> None:
    home, base_url = Path(sys.argv[1]), sys.argv[2]
    spec = importlib.util.spec_from_file_location("installation", Path(__file__).parents[1] / "fakes/installation.py")
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules["installation"] = module
    spec.loader.exec_module(module)
    row = next(row for row in load_catalogue() if row.id == "ovhcloud/gpt-oss-120b")
    fake = replace(row, provider="fake", base_url=base_url, key_env=(), zone="FR", location_evidence="declared")
    # Whatever a library prints must not reach the wire.
    installation = module.Installation(home, deployments=(fake,))
    server = build_server(installation.open)
    server.run("stdio")


if __name__ == "__main__":
    main()
