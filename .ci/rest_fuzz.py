"""Let Schemathesis, which we did not write, call every route of `serve --http` with requests of its own making.

It has many dependencies, so it gets an environment of its own in a new folder. What the routes answer is described in
tests/serving/openapi.json. A status of 500, an answer that is not as described, or a server that is not alive
afterwards fails the run.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOKEN = secrets.token_urlsafe(16)
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
)


def main() -> int:
    examples = sys.argv[1] if len(sys.argv) > 1 else "200"
    with tempfile.TemporaryDirectory(prefix="rest-fuzz-") as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        python = folder / "venv" / "bin" / "python"
        install = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "schemathesis>=4.32,<5"]
        subprocess.run(install, check=True)
        return fuzzed(folder, examples)


def fuzzed(folder: Path, examples: str) -> int:
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "WATTPROOF_HOME": str(folder / "home"),
        "WATTPROOF_OFFLINE": "1",
        "WATTPROOF_HTTP_TOKEN": TOKEN,
        "WATTPROOF_LIMITS": "calls=off runs=off",
        "WATTPROOF_LOG": "off",
    }
    serve = [sys.executable, "-m", "wattproof", "serve", "--http", "--port", "0"]
    with subprocess.Popen(serve, env=environ, cwd=folder, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        found = re.search(r"(http://\S+)/mcp", server.stderr.readline())
        assert found is not None
        described = ROOT / "tests" / "serving" / "openapi.json"
        command = [folder / "venv" / "bin" / "st", "run", described, "--url", found[1]]
        command += ["--header", f"Authorization: Bearer {TOKEN}", "--phases", "examples,coverage,fuzzing"]
        command += ["--checks", ",".join(CHECKS), "--max-examples", examples, "--seed", "1", "--continue-on-failure"]
        try:
            status = subprocess.run(command, cwd=folder, env=environ, check=False).returncode
            alive = server.poll() is None
        finally:
            server.terminate()
    return status or int(not alive or server.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
