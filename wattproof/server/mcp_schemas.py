"""JSON schemas as small as they can be while staying true: every client pays for them in every conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from wattproof.tools.result import Arguments, Result

__all__ = ["input_schema", "output_schema"]

Schema = dict[str, Any]

# The server enforces these limits and explains them when they are broken; knowing them beforehand helps nobody.
_UNTOLD = frozenset({"minLength", "maxLength", "minItems", "maxItems", "minimum", "maximum", "title", "default"})
# The description of a parameter that is an object names what it may hold.
_INNER = frozenset({"properties", "required", "additionalProperties"})
# The order in which a tokenizer needs least: brackets that close together become one token.
_ORDER = ("description", "enum", "items", "type")


def input_schema(arguments: type[Arguments]) -> Schema:
    """The published schema of a tool's arguments: an object that refuses unknown names."""
    schema = arguments.model_json_schema()
    definitions = cast("Schema", schema.get("$defs", {}))
    required = schema.get("required")
    return {
        "type": "object",
        "properties": {name: _parameter(value, definitions) for name, value in schema["properties"].items()},
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def output_schema(result: type[Result]) -> Schema:
    """The published schema of a tool's structured content: an object root without references.

    It types the fields that every result of the tool has, bar the unlisted ones. Below that it says nothing: the four
    fields of the provenance, which all tools share, are in the tool's `_meta` with their defaults.
    """
    schema = result.model_json_schema()
    definitions = cast("Schema", schema.get("$defs", {}))
    left_out = result.omitted_when_null | result.unlisted
    listed = {name: value for name, value in schema["properties"].items() if name not in left_out}
    return {
        "type": "object",
        "properties": {name: _outline(value, definitions) for name, value in listed.items()},
        "required": ["provenance"],
    }


def _parameter(node: Schema, definitions: Schema) -> Schema:
    """One parameter: its type, its permitted values, its description; `anyOf` with null becomes a nullable type."""
    fields = _resolved(node, definitions)
    kept = {name: value for name, value in fields.items() if name not in _UNTOLD | _INNER}
    options = [_parameter(option, definitions) for option in kept.pop("anyOf", [])]
    if options:
        kept = _united(options) | kept
    if "items" in kept:
        kept["items"] = {k: v for k, v in _parameter(kept["items"], definitions).items() if k != "description"}
    return {name: kept[name] for name in _ORDER if name in kept}


def _united(options: list[Schema]) -> Schema:
    """Several simple options as one node with a list of types."""
    united: Schema = {"type": [option["type"] for option in options]}
    for option in options:
        united |= {name: value for name, value in option.items() if name != "type"}
    if "enum" in united:
        united["enum"] = [*united["enum"], None]
    return united


def _outline(node: Schema, definitions: Schema) -> Schema:
    """A field of a result: its type alone."""
    fields = _resolved(node, definitions)
    if "anyOf" in fields:
        return {"type": [_outline(option, definitions)["type"] for option in fields["anyOf"]]}
    return {"type": fields["type"]}


def _resolved(node: Schema, definitions: Schema) -> Schema:
    reference = node.get("$ref")
    if not isinstance(reference, str):
        return node
    return {**definitions[reference.rpartition("/")[2]], **{k: v for k, v in node.items() if k != "$ref"}}
