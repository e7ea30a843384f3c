"""The embedded model's own process: llama.cpp's HTTP server, and a control line over stdin and stdout.

Run as a script (`python -P embedded_child.py`): standard library and xllamacpp only, so that it starts fast and a
native abort kills nothing but itself. The parent writes one JSON line with the configuration (the key travels here and
not in argv or the environment, which others may read), then `cpu` lines; it answers each with one JSON line. End of
input means that the parent is gone: the child then exits.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO, TypedDict

__all__ = ["Config", "main"]


class Config(TypedDict):
    """What the parent sends first."""

    model_file: str
    model_sha256: str
    model_alias: str
    api_key: str
    threads: int
    context_tokens: int


def main() -> int:
    control = _take_stdout()
    line = sys.stdin.readline()
    if not line:
        return 0
    config: Config = json.loads(line)
    try:
        _check_weights(Path(config["model_file"]), config["model_sha256"])
        server = _serve(config)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        _say(control, {"error": f"{type(error).__name__}: {error}"})
        return 1
    _say(control, {"base_url": f"{server.listening_address}/v1"})
    for _ in sys.stdin:
        _say(control, {"cpu_seconds": time.process_time()})
    # Without destructors: the server's own waits for the answer in progress, and can wait for ever.
    os._exit(0)


def _take_stdout() -> TextIO:
    """The pipe to the parent, for control lines only: whatever native code prints goes to stderr instead."""
    control = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return control


def _say(control: TextIO, content: dict[str, Any]) -> None:
    control.write(json.dumps(content) + "\n")
    control.flush()


def _check_weights(path: Path, expected_sha256: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected_sha256:
        raise ValueError(f"{path} has sha256 {found}, expected {expected_sha256}")


def _serve(config: Config) -> Any:
    xllamacpp: Any = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = config["model_file"]
    params.model_alias = {config["model_alias"]}
    params.api_keys = [config["api_key"]]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.ui = False
    params.n_parallel = 1
    params.n_ctx = config["context_tokens"]
    params.n_gpu_layers = 0
    params.fit_params = False
    params.cpuparams.n_threads = config["threads"]
    params.cpuparams_batch.n_threads = config["threads"]
    params.n_threads_http = 2
    # No prompt cache, so that neither an answer at temperature 0 nor its CPU time depends on what ran before.
    params.cache_prompt = False
    params.cache_ram_mib = 0
    params.endpoint_slots = False
    return xllamacpp.Server(params)


if __name__ == "__main__":
    sys.exit(main())
