"""`python -m docs.claims`: every claim of ours that goes too far, every figure without a source, by file and line."""

from __future__ import annotations

import sys

from docs.claims.figures import figure_problems
from docs.claims.prose import PAGES, SOURCES
from docs.claims.wording import wording_problems

__all__ = ["main"]


def main() -> int:
    """Print what is to be mended; 1 where there is anything."""
    problems = [*wording_problems((*PAGES, *SOURCES)), *figure_problems()]
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    sys.stderr.write(f"{len(problems)} problems in {len(PAGES) + len(SOURCES)} files.\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
