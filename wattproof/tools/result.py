"""What every tool takes and returns: argument models that refuse typing errors, results with one serialised form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict

__all__ = ["JSON_TEXT", "Arguments", "Detail", "Result", "first_of", "from_json_text"]

Detail = Literal["brief", "full"]


def from_json_text(value: object) -> object:
    """A list or an object, where `value` is the JSON text of one; else `value`."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        import json

        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


JSON_TEXT = BeforeValidator(from_json_text)
"""For lists and objects only: some hosts send them as JSON in a string. Never for text, which may look like JSON."""


class Arguments(BaseModel):
    """Base of argument models. Unknown names are refused: a misspelt limit must never be silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Result(BaseModel):
    """Base of results: an object of flat fields, serialised the same way everywhere.

    A null says that a value is unknown, and `reasons` says why. A field in `omitted_when_null` does not apply when it
    is null, and is left out. Fields in `told_last` come after the others, so that a reader meets the answer first.
    Fields in `unlisted` are in every result but not in the published schema, which every client pays for.

    A brief answer to a model leaves out `in_full_only` and what has its `usual` value; detail=full tells all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    omitted_when_null: ClassVar[frozenset[str]] = frozenset()
    told_last: ClassVar[tuple[str, ...]] = ()
    unlisted: ClassVar[frozenset[str]] = frozenset()
    in_full_only: ClassVar[frozenset[str]] = frozenset()
    usual: ClassVar[Mapping[str, object]] = {}

    def structured(self, *, brief: bool = False) -> dict[str, Any]:
        """The structured content: what a client receives, and what the command line prints with --json.

        `brief` is for models, which pay for every token: see `shortened`.
        """
        fields = self.model_dump()
        for name in self.omitted_when_null:
            if fields[name] is None:
                del fields[name]
        for name in self.told_last:
            fields[name] = fields.pop(name)
        return _plain(self.shortened(fields)) if brief else fields

    def shortened(self, fields: dict[str, Any]) -> dict[str, Any]:
        """`fields` without what a brief answer leaves out; nothing is left out that changes what a figure means."""
        return {
            name: value
            for name, value in fields.items()
            if name not in self.in_full_only and (name not in self.usual or value != self.usual[name])
        }


def _plain(value: Any) -> Any:
    """Whole numbers without their `.0`, which is two tokens more each and says nothing in JSON."""
    kind = cast("type[object]", type(value))
    if kind is float:
        return int(value) if value.is_integer() and abs(value) < 1e15 else value
    if kind is dict:
        return {name: inner if type(inner) is str else _plain(inner) for name, inner in value.items()}
    if kind is list or kind is tuple:
        return [inner if type(inner) is str else _plain(inner) for inner in value]
    return value


def first_of(fields: dict[str, Any], name: str, most: int) -> None:
    """Cut the list in `fields[name]` to its first `most`, and say in `<name>_more` how many are not shown."""
    hidden = len(fields[name]) - most
    if hidden > 0:
        fields[name] = fields[name][:most]
        fields[f"{name}_more"] = hidden
