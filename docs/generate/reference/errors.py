"""`docs/reference/errors.md`: exit codes, and the tree of errors with what each becomes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from docs.generate.markdown import table
from docs.generate.reference.notice import NOTICE, cell
from wattproof.methodology.errors import InvalidInput, UnknownName, WattproofError

__all__ = ["EXIT_CODES", "render"]

EXIT_CODES = {
    0: "done",
    1: "failed: an error of the tree below, a check that fails, something broken in `doctor`",
    2: "wrong usage, or wrong input: `InvalidInput` and `UnknownName`",
    3: "not established: `verify` lacks the key or the method, `ledger fsck` found no ledger",
    4: "`demo`: everything else was done, but no model could be run here",
    130: "interrupted",
}

_HEAD = f"""{NOTICE}# Exit codes and errors

## Exit codes

{table(("code", "meaning"), [(f"`{number}`", what) for number, what in EXIT_CODES.items()], numbers=False)}
An error is one line on stderr, `wattproof: …`.

## Errors

Every error that a user is meant to read is one of these. A tool returns its text as a result with `isError: true`; the
reader of a resource gets it as a JSON-RPC error, `-32602` where there is no such thing. Any other exception is a
mistake of ours: clients see no text of it.

"""


def render() -> str:
    """The page."""
    rows = [
        (f"{'&nbsp;' * 4 * depth}`{found.__name__}`", cell(_said(found)), str(_exit_code(found)))
        for depth, found in _tree(WattproofError, 0)
    ]
    return _HEAD + table(("error", "when", "exit code"), rows, numbers=False)


def _tree(error: type[WattproofError], depth: int) -> Iterator[tuple[int, type[WattproofError]]]:
    yield depth, error
    for found in error.__subclasses__():
        if found.__module__ == WattproofError.__module__:
            yield from _tree(found, depth + 1)


def _said(error: type[WattproofError]) -> str:
    own = error.__dict__.get("__doc__")
    if own is None:
        return f"an unknown {getattr(error, 'noun', 'name')}"
    return inspect.cleandoc(own).split("\n\n")[0]


def _exit_code(error: type[WattproofError]) -> int:
    return 2 if issubclass(error, InvalidInput | UnknownName) else 1
