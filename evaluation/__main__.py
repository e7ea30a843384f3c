"""`python -m evaluation [--write REPORT] [--task ID] [--mode text|structured]`: run the tasks and report them."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

import anyio

from evaluation.report import document, rows_of
from evaluation.run import Outcome, definition_tokens, run_task
from evaluation.seen import Mode
from evaluation.tasks import all_tasks
from wattproof.server.settings import PROFILES

__all__ = ["main"]

_MODES: tuple[Mode, ...] = ("text", "structured")


def main(argv: list[str] | None = None) -> int:
    """1 where an outcome is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m evaluation", description="Run the tasks of agents and report them."
    )
    parser.add_argument("--write", type=Path, help="write the report here, as JSON")
    parser.add_argument("--task", action="append", help="only this task; several times for several")
    parser.add_argument("--mode", choices=_MODES, help="which half of a result the client forwards; both unless given")
    parser.add_argument("--memory-only", action="store_true", help="leave out the runs against the command")
    options = parser.parse_args(argv)
    tasks = [task for task in all_tasks() if options.task is None or task.id in options.task]
    modes = _MODES if options.mode is None else (options.mode,)
    outcomes: list[Outcome] = []
    for task in tasks:
        for mode in modes:
            outcomes.append(anyio.run(run_task, task, mode))
            if task.stdio and not options.memory_only:
                outcomes.append(anyio.run(run_task, task, mode, "stdio"))
        for outcome in outcomes[-2 * len(modes) :]:
            for problem in outcome.unmet:
                if outcome.task == task.id:
                    sys.stdout.write(f"{task.id} ({outcome.mode}, {outcome.transport}): {problem}\n")
    for line in rows_of(outcomes):
        sys.stdout.write(line + "\n")
    if options.write is not None:
        core_tokens, all_tokens = anyio.run(definition_tokens, ()), anyio.run(definition_tokens, PROFILES)
        options.write.write_text(document(outcomes, core_tokens, all_tokens, datetime.now(UTC)), "utf-8")
    return int(any(not outcome.right for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
