"""Which files an import may read that a model asks for: usage logs and exports of the user, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from wattproof.methodology.errors import InvalidInput
from wattproof.methodology.foreign import as_name
from wattproof.resources.imports.files import open_files
from wattproof.resources.imports.formats import Format, user_home
from wattproof.resources.imports.records import Notes

__all__ = ["Found", "find_files"]

# Where macOS and Windows keep what elsewhere is hidden: the data of other programs.
_PRIVATE = frozenset({"Library", "AppData"})


@dataclass(frozen=True, slots=True)
class Found:
    """The files to read, without links, and the names of those that were left out because they lead elsewhere."""

    files: tuple[Path, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Reach:
    """`roots` are where the program keeps its logs; `home` is the user's, None where it is no folder of its own."""

    format: Format
    roots: tuple[Path, ...]
    home: Path | None

    def holds(self, place: Path) -> bool:
        """Whether a place without links is the program's own, or a visible one below the home folder."""
        if any(place.is_relative_to(root) for root in self.roots):
            return True
        if self.home is None or place == self.home or not place.is_relative_to(self.home):
            return False
        parts = place.relative_to(self.home).parts
        return parts[0] not in _PRIVATE and not any(part.startswith(".") for part in parts)

    def reads(self, file: Path) -> bool:
        """Whether a file without links may be read: its place and its kind."""
        return self.holds(file) and any(fnmatch(file.name, pattern) for pattern in self.format.patterns)


def find_files(chosen: Format, environ: Mapping[str, str], given: Sequence[str]) -> Found:
    """The files of a format below `given`, or where its program usually keeps them.

    A path must be absolute or begin with ``~/``, and lie in the program's own folders or, not hidden, below the home
    folder. Links are followed before that is decided; one in a folder that leads out is left out and named.

    Raises:
        InvalidInput: a path is none of these, there is nothing at it, or nothing in the usual place.
    """
    usual = tuple(_real(path) for path in chosen.usual_paths(environ))
    home = _real(user_home(environ))
    reach = _Reach(chosen, usual, None if home == Path(home.anchor) else home)
    starts = [_entered(text, reach, environ) for text in given] or usual
    if not starts:
        fix = "give the file that was exported" if chosen.home is None else f"give the folder of {chosen.title}'s logs"
        raise InvalidInput("paths", "is missing, and there is nothing in the usual place", fix)
    files, left_out = dict[Path, None](), list[str]()
    for start in starts:
        for found in _below(start, reach):
            real = _real(found)
            if reach.reads(real):
                files[real] = None
            else:
                left_out.append(found.name)
    if not files:
        raise InvalidInput("paths", f"hold only links that lead elsewhere ({as_name(left_out[0])})", _fix(reach))
    return Found(tuple(files), tuple(left_out))


def _entered(text: str, reach: _Reach, environ: Mapping[str, str]) -> Path:
    """The place that a caller names, without links. Nothing is said of what is out of reach, not even whether it is."""
    whole = str(user_home(environ)) + text[1:] if text == "~" or text.startswith(("~/", "~\\")) else text
    if not Path(whole).is_absolute():
        raise InvalidInput("paths", f"has {as_name(text)}", "give absolute paths, or such that begin with ~/")
    try:
        place = _real(Path(whole))
    except (ValueError, OSError):
        raise InvalidInput("paths", f"has {as_name(text)}, which is no path", _fix(reach)) from None
    if not reach.holds(place):
        raise InvalidInput("paths", f"has {as_name(text)}, which this tool may not read", _fix(reach))
    return place


def _below(start: Path, reach: _Reach) -> tuple[Path, ...]:
    wanted = " or ".join(reach.format.patterns)
    try:
        if start.is_file() and not reach.reads(start):
            raise InvalidInput("paths", f"has {as_name(start.name)}, which is no {wanted}", "give the exported file")
        return open_files(start, reach.format.patterns, Notes()).paths
    except OSError as error:
        problem = f"has {as_name(start.name)}, which cannot be read ({error.strerror})"
        raise InvalidInput("paths", problem, "give a readable file or folder") from None


def _fix(reach: _Reach) -> str:
    own = f"{reach.format.title}'s own log folder, or " if reach.format.home is not None else ""
    return f"give {own}what is below the home folder and not hidden; `wattproof import` in a terminal reads any file"


def _real(path: Path) -> Path:
    # Unlike Path.resolve, this does not raise where links go round.
    return Path(os.path.realpath(path))
