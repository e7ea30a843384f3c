"""Errors in words: which argument is wrong and what would work, and what the reader of a resource is told."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from reprlib import Repr
from typing import TYPE_CHECKING, Any, get_args

from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from pydantic import BaseModel, ValidationError

from wattproof.methodology.errors import UnknownName, WattproofError
from wattproof.methodology.foreign import as_name, escaped

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["argument_problems", "told_to_reader"]

_SHOWN_PROBLEMS = 5
_FEW_NAMES = 8
_LONGEST_NAME = 60

# What would work, by pydantic's type of error; braces take values from the error's context.
_WANTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "an object",
    "extra_forbidden": "known names only",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than_equal": "at least {ge}",
    "int_from_float": "an integer",
    "int_parsing": "an integer",
    "int_parsing_size": "a smaller integer",
    "int_type": "an integer",
    "less_than_equal": "at most {le}",
    "list_type": "a list",
    "literal_error": "{expected}",
    "missing": "every required name",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least {min_length} character",
    "string_type": "text",
    "too_long": "at most {max_length}",
    "too_short": "at least {min_length}",
}

_TYPE_NAMES = frozenset({"bool", "dict", "float", "int", "list", "none", "str"})


@contextmanager
def told_to_reader() -> Generator[None]:
    """Turn what a user is meant to read into what the reader of a resource gets; anything else stays masked.

    Raises:
        ResourceNotFoundError: no edition and no ledger has the name.
        ResourceError: for any other WattproofError.
    """
    try:
        yield
    except UnknownName as error:
        raise ResourceNotFoundError(escaped(str(error))) from error
    except WattproofError as error:
        raise ResourceError(escaped(str(error))) from error


def argument_problems(error: ValidationError, arguments: type[BaseModel]) -> str:
    """Every wrong argument as `field problem; what would work.`, at most five of them."""
    details = error.errors(include_url=False, include_context=True)
    # A union reports each of its branches; one sentence per argument is what a caller can use.
    by_field: dict[str, list[ErrorDetails]] = {}
    for detail in details:
        by_field.setdefault(str(detail["loc"][0]) if detail["loc"] else "arguments", []).append(detail)
    shown = list(by_field.items())[:_SHOWN_PROBLEMS]
    hidden = len(by_field) - len(shown)
    told = [_problem(field, found, arguments) for field, found in shown]
    return " ".join(told) + (f" And {hidden} more." if hidden > 0 else "")


def _problem(field: str, details: Sequence[ErrorDetails], arguments: type[BaseModel]) -> str:
    # Of the branches of a union, those that the value did not even have the type for say nothing about it.
    details = [found for found in details if not found["type"].endswith("_type") or _depth(found) > 0] or details
    detail = details[0]
    known = sorted(arguments.model_fields)
    if detail["type"] == "extra_forbidden" and len(detail["loc"]) == 1:
        close = _nearest(field, known, count=2, cutoff=0.6)
        fix = f"did you mean {' or '.join(close)}?" if close else f"there are {_some_of(field, known)}."
        return f"{_name(field)} is not a parameter; {fix}"
    if detail["type"] == "missing" and len(detail["loc"]) == 1:
        return f"{field} is missing; {_hint(field, arguments)}."
    where = ".".join([field, *_written(detail)])
    if detail["type"] == "extra_forbidden":
        model = _model_at(arguments, [field, *map(str, detail["loc"][1:-1])])
        last = str(detail["loc"][-1])
        names = f"give any of {_some_of(last, list(model.model_fields))}" if model else _hint(field, arguments)
        return f"{where} is not known there; {names}."
    absent = [str(found["loc"][-1]) for found in details if found["type"] == "missing"]
    if detail["type"] == "missing":
        holder = ".".join([field, *_written(detail)[:-1]])
        return f"{holder} lacks {', '.join(absent)}; {_hint(field, arguments)}."
    wanted = " or ".join(dict.fromkeys(_wanted(found) for found in details))
    return f"{where} is {_value(detail['input'])}; give {wanted}."


def _written(detail: ErrorDetails) -> list[str]:
    """The path below the argument, without the branches of unions, which nobody wrote."""
    return [_name(str(part)) for part in detail["loc"][1:] if isinstance(part, int) or _is_name(part)]


def _is_name(part: str) -> bool:
    return part.isidentifier() and part not in _TYPE_NAMES


def _depth(detail: ErrorDetails) -> int:
    return len(_written(detail))


def _wanted(detail: ErrorDetails) -> str:
    words = _WANTED.get(detail["type"])
    if words is not None:
        return words.format_map(detail.get("ctx", {}))
    return detail["msg"][:1].lower() + detail["msg"][1:]


def _hint(field: str, arguments: type[BaseModel]) -> str:
    info: Any = arguments.model_fields.get(field)
    description = None if info is None else info.description
    return f"give it: {description[:1].lower() + description[1:]}" if description else "give it"


def _model_at(model: type[BaseModel], path: Sequence[str]) -> type[BaseModel] | None:
    """The model that stands at `path` below another one; names that are no fields are branches of unions and places."""
    found: type[BaseModel] | None = None
    for name in path:
        within = model if found is None else found
        if name in within.model_fields:
            found = _model_in(within.model_fields[name].annotation)
            if found is None:
                return None
    return found


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation holds, at whatever depth."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((held for part in get_args(annotation) if (held := _model_in(part)) is not None), None)


def _some_of(name: str, names: Sequence[str]) -> str:
    """All of a few names; of many, those that look most like `name`, and how many there are."""
    if len(names) <= _FEW_NAMES:
        return ", ".join(names)
    near = _nearest(name, names, count=_FEW_NAMES, cutoff=0.0)
    return f"{', '.join(near)} and {len(names) - len(near)} more"


def _nearest(name: str, names: Sequence[str], *, count: int, cutoff: float) -> list[str]:
    import difflib

    return difflib.get_close_matches(name[:_LONGEST_NAME], names, n=count, cutoff=cutoff)


def _name(text: str) -> str:
    """A name that a caller wrote: quoted, escaped and cut where it is none."""
    return as_name(text, _LONGEST_NAME)


def _value(value: object) -> str:
    """A value that a caller wrote, cut and escaped, however large and deep it is."""
    shown = _REPR.repr(value)
    return shown if len(shown) <= _LONGEST_NAME else shown[: _LONGEST_NAME - 3] + "..."


def _short_repr() -> Repr:
    short = Repr()
    short.maxlevel, short.maxdict, short.maxlist, short.maxtuple = 3, 3, 4, 4
    short.maxstring = short.maxother = short.maxlong = _LONGEST_NAME
    return short


_REPR = _short_repr()
