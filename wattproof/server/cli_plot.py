"""Where a command draws its result: `--plot` in the terminal, `--plot FILE` as SVG or PNG."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from wattproof.methodology.errors import InvalidInput
from wattproof.server.cli_output import print_text, say

if TYPE_CHECKING:
    from wattproof.tools.estimate_result import EstimateResult
    from wattproof.tools.estimate_rows import EstimateRows
    from wattproof.tools.picture import ImageFormat
    from wattproof.tools.summary_result import SummaryResult

__all__ = ["check_plot", "draw", "write_file"]

_TERMINAL = "-"
_FORMATS: dict[str, ImageFormat] = {".svg": "svg", ".png": "png"}


def check_plot(plot: str | None) -> None:
    """Refuse what cannot be drawn into before any work is done.

    Raises:
        InvalidInput: neither ``-`` for the terminal nor a file that ends in .svg or .png.
    """
    if plot is not None and plot != _TERMINAL:
        _format(plot)


def draw(plot: str | None, result: EstimateResult | EstimateRows | SummaryResult, *, as_json: bool) -> None:
    """Draw where `plot` says; None: nowhere. Beside JSON the drawing goes to stderr: stdout stays one document.

    Raises:
        InvalidInput: the file cannot be written.
        Unavailable: matplotlib is not installed.
    """
    if plot is None:
        return
    if plot != _TERMINAL:
        from wattproof.tools.picture import picture

        write_file("--plot", Path(plot), picture(result, _format(plot)))
        say(f"wrote {plot}")
        return
    from wattproof.tools.intervals import text_bars

    drawn = text_bars(result, max(60, shutil.get_terminal_size((100, 24)).columns))
    if as_json:
        say(drawn)
    else:
        print_text(f"\n{drawn}")


def write_file(option: str, path: Path, content: bytes) -> None:
    """Write a file that the user named.

    Raises:
        InvalidInput: it cannot be written; names the option.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise InvalidInput(option, f"{path} cannot be written ({error.strerror})", "give a writable file") from error


def _format(plot: str) -> ImageFormat:
    found = _FORMATS.get(Path(plot).suffix.lower())
    if found is None:
        raise InvalidInput("--plot", f"is {plot!r}", "give a file that ends in .svg or .png, or - for the terminal")
    return found
