"""Run a stdio server and write down what goes in and out: `tee.py FOLDER COMMAND [ARGUMENT ...]`."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path


def _pass_on(source: int, target: int, path: Path) -> None:
    with path.open("ab", buffering=0) as log:
        while chunk := os.read(source, 65536):
            log.write(chunk)
            view = memoryview(chunk)
            while view:
                view = view[os.write(target, view) :]
    os.close(target)


def main() -> int:
    folder, command = Path(sys.argv[1]), sys.argv[2:]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        inward = (0, os.dup(server.stdin.fileno()), folder / "to-server")
        server.stdin.close()
        threading.Thread(target=_pass_on, args=inward, daemon=True).start()
        _pass_on(server.stdout.fileno(), 1, folder / "to-client")
        return server.wait()


if __name__ == "__main__":
    sys.exit(main())
