"""Run every benchmark of this folder and, with --write, keep the figures with commit and date.

python -m benchmarks [--write docs/reports/bench.json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def run(script: Path) -> dict[str, Any]:
    """The JSON that one benchmark prints; a missed target is in it, so its exit status is not an error here.

    One that prints none could not be run: that is what the report then says of it.
    """
    print(f"{script.stem} ...", file=sys.stderr, flush=True)
    done = subprocess.run([sys.executable, str(script), "--json"], stdout=subprocess.PIPE, text=True, check=False)
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError:
        return {"error": f"{script.name} printed no JSON (exit status {done.returncode})"}


def commit() -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False, cwd=FOLDER)
    return done.stdout.strip() or "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(description="Run every benchmark.")
    parser.add_argument("--write", type=Path, help="file to write the report to")
    options = parser.parse_args()
    report: dict[str, Any] = {
        "commit": commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.system()},
    }
    for script in sorted(FOLDER.glob("bench_*.py")):
        report[script.stem.removeprefix("bench_")] = run(script)
    text = json.dumps(report, indent=1) + "\n"
    if options.write:
        options.write.parent.mkdir(parents=True, exist_ok=True)
        options.write.write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
