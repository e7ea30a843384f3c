"""Exit 0 while the server of this container answers; over stdin and stdout there is nothing to ask.

python healthcheck.py [PID]
"""

import sys
import urllib.request
from pathlib import Path

DEFAULT_PORT = "8321"


def main() -> int:
    pid = sys.argv[1] if len(sys.argv) > 1 else "1"
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    if "--http" not in words:
        return 0
    port = words[words.index("--port") + 1] if "--port" in words else DEFAULT_PORT
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=4) as answer:
            return int(answer.status != 200)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
