"""Importing the arithmetic is cheap: no data is read, nothing heavy is loaded."""

from __future__ import annotations

import subprocess
import sys

PROBE = """
import sys
import wattproof.methodology
from wattproof.methodology.data import edition_sha256, read_edition
assert read_edition.cache_info().currsize == 0, "data was read at import"
assert edition_sha256.cache_info().currsize == 0, "data was hashed at import"
heavy = {"pydantic", "numpy", "anyio", "httpx2", "sqlite3", "orjson", "nacl", "mcp", "typer", "rich", "asyncio", "ssl"}
print(*sorted(heavy & sys.modules.keys()))
"""


def test_importing_reads_no_data_and_loads_nothing_heavy() -> None:
    probe = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=False)
    assert (probe.returncode, probe.stderr, probe.stdout.strip()) == (0, "", "")
