"""Keys of grid-signal APIs: read when they are needed, and kept out of the log of requests."""

from __future__ import annotations

import logging

from wattproof.methodology.errors import GridUnavailable
from wattproof.resources.grid.observation import GridConnection

__all__ = ["keep_queries_out_of_logs", "key_of"]


def key_of(connection: GridConnection, variable: str) -> str:
    """The key that the environment holds under `variable`, without white space around it.

    Raises:
        GridUnavailable: no_key where it is unset or blank, bad_key where it cannot be sent in a header.
    """
    key = connection.environ.get(variable, "").strip()
    if not key:
        raise GridUnavailable("no_key", f"{variable} is not set.")
    if not (key.isascii() and key.isprintable()):
        raise GridUnavailable("bad_key", f"{variable} has characters that no key has; copy it again.")
    return key


def keep_queries_out_of_logs() -> None:
    """Let the client's log of requests end at the path, for APIs that want their key in the query."""
    logging.getLogger("httpx2").addFilter(_WITHOUT_QUERY)


class _WithoutQuery(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_shown(argument) for argument in record.args)
        return True


def _shown(argument: object) -> object:
    import httpx2

    if isinstance(argument, httpx2.URL) and argument.query:
        return argument.copy_with(query=None)
    return argument


# One object, because a logger adds the same filter only once.
_WITHOUT_QUERY = _WithoutQuery()
