"""The file of an archive: gzipped JSON Lines, with a header, a line for each receipt, and a trailer with their number.

::

    {"schema": "wattproof-archive/1", "made_at": …, "logs": [{"log_id": …, "first_seq": 0, "end_seq": 120}]}
    {"log_id": …, "seq": 0, "jws": …, "decision": …}
    {"count": 120}
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, cast

import orjson

from wattproof.methodology.errors import InvalidInput
from wattproof.resources.ledger.driver import unusable

__all__ = ["SCHEMA", "Line", "digest_of", "json_line", "read_archive"]

SCHEMA = "wattproof-archive/1"
_LONGEST_LINE = 1 << 22


class Line(NamedTuple):
    """One receipt of an archive."""

    log_id: str
    seq: int
    jws: str
    decision: str | None


def read_archive(path: Path) -> Iterator[Line]:
    """The receipts of an archive; read to the end, it was complete.

    Raises:
        InvalidInput: it is no archive, or cut short.
    """
    try:
        with gzip.open(path, "rb") as packed:
            header = _read(path, packed.readline(_LONGEST_LINE))
            if header.get("schema") != SCHEMA:
                raise _no_archive(path, f"its first line does not say {SCHEMA}")
            count = 0
            while "count" not in (line := _read(path, packed.readline(_LONGEST_LINE))):
                yield _receipt(path, line)
                count += 1
            # The end of the file holds its checksum.
            if line["count"] != count or packed.read(1):
                raise _no_archive(path, f"it says {line['count']} receipts and has {count}, or more")
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _no_archive(path, str(error)) from error
    except OSError as error:
        raise unusable(path, error) from error


def _receipt(path: Path, line: dict[str, Any]) -> Line:
    try:
        read = Line(line["log_id"], line["seq"], line["jws"], line["decision"])
    except KeyError as error:
        raise _no_archive(path, f"a line lacks {error}") from error
    if [type(value) for value in read[:3]] != [str, int, str] or not isinstance(line["decision"], str | None):
        raise _no_archive(path, "a line holds other types")
    return read


def json_line(value: object) -> bytes:
    """One line of an archive."""
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)


def _read(path: Path, line: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise _no_archive(path, "a line is cut short or no JSON") from error
    if not isinstance(value, dict):
        raise _no_archive(path, "a line is no JSON object")
    return cast("dict[str, Any]", value)


def _no_archive(path: Path, problem: str) -> InvalidInput:
    return InvalidInput("file", f"{path} is no archive: {problem}", "give one that `wattproof ledger archive` wrote")


def digest_of(path: Path) -> bytes:
    """The SHA-256 of a file.

    Raises:
        InvalidInput: there is none.
        LedgerUnusable: it cannot be read.
    """
    digest = sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except FileNotFoundError as error:
        raise InvalidInput("file", f"{path} does not exist", "give the path of an archive") from error
    except OSError as error:
        raise unusable(path, error) from error
    return digest.digest()
