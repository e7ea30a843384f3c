"""The command ``wattproof``. Standard library only: what a subcommand needs is imported when it runs."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve over stdio when there are no arguments, else run the subcommand; returns the exit code.

    0 done, 1 failed, 2 wrong usage or input, 3 not established, 4 no real inference.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given in (["--version"], ["-V"]):
        from wattproof import __version__

        print(f"wattproof {__version__}")  # noqa: T201
        return 0
    if not given:
        return _serve_stdio()
    from wattproof.server.cli import run_command

    return run_command(given)


def _serve_stdio() -> int:
    from wattproof.methodology.errors import WattproofError
    from wattproof.server.faststart import serve_stdio

    try:
        return serve_stdio(os.environ)
    except WattproofError as error:
        sys.stderr.write(f"wattproof: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
