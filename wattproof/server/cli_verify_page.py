"""``verify-page``: the offline verifier as one HTML file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from wattproof.server.cli_output import say

__all__ = ["verify_page"]


def verify_page(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; standard output without.")
    ] = None,
) -> None:
    """Write the offline verifier: one HTML file that checks receipts in a browser and loads and sends nothing."""
    from wattproof.methodology.errors import InvalidInput
    from wattproof.resources.receipts.page import shipped

    if output is None:
        sys.stdout.buffer.write(shipped().encode())  # its policy names its script by the hash of these bytes
        return
    try:
        output.write_bytes(shipped().encode())
    except OSError as error:
        problem = f"{output} cannot be written ({error.strerror})"
        raise InvalidInput("--output", problem, "give a file in a folder that exists") from error
    say(f"Wrote {output}. Open it in a browser; it works without a network.")
