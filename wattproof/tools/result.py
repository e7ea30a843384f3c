"""What every tool takes and returns: argument models that refuse typing errors, results with one serialised form."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

__all__ = ["JSON_TEXT", "Arguments", "Detail", "Result", "from_json_text"]

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
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    omitted_when_null: ClassVar[frozenset[str]] = frozenset()
    told_last: ClassVar[tuple[str, ...]] = ()
    unlisted: ClassVar[frozenset[str]] = frozenset()

    def structured(self) -> dict[str, Any]:
        """The structured content: what a client receives, and what the command line prints with --json."""
        fields = self.model_dump()
        for name in self.omitted_when_null:
            if fields[name] is None:
                del fields[name]
        for name in self.told_last:
            fields[name] = fields.pop(name)
        return fields
