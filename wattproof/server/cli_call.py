"""How a subcommand calls a tool: options to arguments, one event loop, one form of output."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from wattproof.methodology.errors import InvalidInput
from wattproof.server.cli_output import print_json, print_text

if TYPE_CHECKING:
    from wattproof.tools.deps import Deps
    from wattproof.tools.result import Arguments, Result

__all__ = ["Beside", "arguments", "call", "print_result", "read_receipt", "read_text"]

_MAX_FILE_BYTES = 1 << 20
_REPEATED = ("zones", "exclude_zones", "providers", "exclude_providers", "tags", "methods")
"""Arguments that are lists, and whose options are in the singular and may be repeated."""

_A = TypeVar("_A", bound="Arguments")
_R = TypeVar("_R", bound="Result")
_T = TypeVar("_T")
_G = TypeVar("_G")


def arguments(kind: type[_A], /, **fields: Any) -> _A:
    """The tool's arguments from the options that were given.

    Raises:
        InvalidInput: naming the option.
    """
    from pydantic import ValidationError

    try:
        return kind(**{name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        fix = first["msg"].replace("Input should", "it should").removeprefix("Value error, ")
        field, *inner = map(str, first["loc"])
        # Below `known` the option's value is name=value, and the name says more than the option.
        option = " ".join([_option(field), *inner[:1]]) if field == "known" else _option(field)
        raise InvalidInput(option, f"is {_shown(first['input'])}", fix) from error


def _option(field: str) -> str:
    singular = field.removesuffix("s") if field in _REPEATED else field
    return "--" + singular.replace("_", "-")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def call(tool: Callable[[_G, Deps], Awaitable[_T]], given: _G) -> _T:
    """What `tool` returns for `given`, with the outside world of this installation's settings."""
    import anyio

    return anyio.run(_with_deps, tool, given)


async def _with_deps(tool: Callable[[_G, Deps], Awaitable[_T]], given: _G) -> _T:
    from wattproof.server.open import open_deps
    from wattproof.server.settings import load_settings

    async with open_deps(load_settings(os.environ)) as deps:
        return await tool(given, deps)


def print_result(result: _R, brief: Callable[[_R], str], as_json: bool) -> None:
    """The result as the tool's structured content, or in words."""
    if as_json:
        print_json(result.structured())
    else:
        print_text(brief(result))


def read_text(given: str | None) -> str | None:
    """An option's text; `-` stands for stdin."""
    return sys.stdin.read() if given == "-" else given


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Files that are given beside a receipt, and keys of its log: a vkey each, or a file of them."""

    jwks: Path | None = None
    proof: Path | None = None
    tlog_proof: Path | None = None
    vkeys: Sequence[str] = ()
    old_checkpoint: Path | None = None
    consistency: Path | None = None


def read_receipt(given: str, beside: Beside | None = None) -> str | dict[str, Any]:
    """What `verify_receipt` takes: files are read here, because a tool never takes a path.

    Raises:
        InvalidInput: a file cannot be read.
    """
    text = _receipt_text(given)
    read = dict(_members(beside or Beside()))
    if not read:
        return text
    if text.startswith("{"):
        return {**_json_object("RECEIPT", text), **read}
    return {"receipt_id" if text.startswith("r_") else "jws": text, **read}


def _members(beside: Beside) -> Iterator[tuple[str, Any]]:
    for name, path in (("jwks", beside.jwks), ("inclusion", beside.proof)):
        option = "--proof" if name == "inclusion" else f"--{name}"
        if path is not None:
            yield name, _json_object(option, _read(option, path))
    for name in ("tlog_proof", "old_checkpoint", "consistency"):
        path = getattr(beside, name)
        if path is not None:
            yield name, _read(f"--{name.replace('_', '-')}", path)
    if beside.vkeys:
        # A vkey has two plus signs, and no sane file name has.
        yield "vkey", [key if key.count("+") >= 2 else _read("--vkey", Path(key)) for key in beside.vkeys]


def _receipt_text(given: str) -> str:
    if given == "-":
        return sys.stdin.read(_MAX_FILE_BYTES).strip()
    if _is_file(given):
        return _read("RECEIPT", Path(given)).strip()
    looks_like_a_path = "/" in given or "\\" in given or given.endswith((".jws", ".json", ".txt"))
    if looks_like_a_path and not given.startswith("{"):
        raise InvalidInput("RECEIPT", f"{given!r} does not exist", "give a file, a receipt id, a JWS, or - for stdin")
    return given


def _is_file(given: str) -> bool:
    try:
        return Path(given).is_file()
    except OSError:  # a JWS is longer than any name can be
        return False


def _read(option: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidInput(option, f"{path} cannot be read ({reason})", "give a readable file") from error


def _json_object(option: str, text: str) -> dict[str, Any]:
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(option, "is not JSON", "give the file as it was exported") from error
    if not isinstance(value, dict):
        raise InvalidInput(option, "is not a JSON object", "give the file as it was exported")
    return cast("dict[str, Any]", value)
