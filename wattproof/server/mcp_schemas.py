"""JSON schemas as small as they can be while saying the same: every client pays for them in every conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["input_schema", "output_schema"]

# Limits that the server enforces and explains; a model gains nothing from reading them.
_UNTOLD_LIMITS = frozenset({"minLength", "maxLength", "maxItems", "maximum", "minimum", "title"})


def input_schema(arguments: type[BaseModel]) -> dict[str, Any]:
    """The published schema of a tool's arguments: an object that refuses unknown names, all references resolved."""
    schema = arguments.model_json_schema()
    compact = _compact(schema, schema.get("$defs", {}))
    compact["additionalProperties"] = False
    return compact


def output_schema(result: type[BaseModel]) -> dict[str, Any]:
    """The published schema of a tool's structured content: an object root, no references."""
    schema = result.model_json_schema(mode="validation")
    definitions = cast("dict[str, Any]", schema.get("$defs", {}))
    properties = {name: _outline(value, definitions) for name, value in schema["properties"].items()}
    omitted: frozenset[str] = getattr(result, "omitted_when_null", frozenset())
    required = [name for name in properties if name not in omitted]
    return {"type": "object", "properties": properties, "required": required}


def _compact(node: Any, definitions: dict[str, Any]) -> Any:
    """`node` with references resolved and without titles, untold limits, null defaults and descriptions of models."""
    if isinstance(node, list):
        return [_compact(member, definitions) for member in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    fields = _resolved(cast("dict[str, Any]", node), definitions)
    kept: dict[str, Any] = {}
    for name, value in fields.items():
        if name == "properties":
            kept[name] = {key: _compact(member, definitions) for key, member in value.items()}
        elif name not in _UNTOLD_LIMITS and name != "$defs" and not (name == "default" and value is None):
            kept[name] = _compact(value, definitions)
    if "properties" in kept:
        kept.pop("description", None)
    return kept


def _outline(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A result field: its type, with the members of an object only where all results share them."""
    fields = _resolved(node, definitions)
    if "anyOf" in fields:
        kinds = [_outline(member, definitions) for member in fields["anyOf"]]
        return {"anyOf": kinds}
    kind = fields.get("type")
    if kind == "array":
        return {"type": "array", "items": _outline(fields.get("items", {}), definitions)}
    if kind == "object" and "region_scope" in fields.get("properties", {}):
        members = {name: _outline(value, definitions) for name, value in fields["properties"].items()}
        members.pop("as_stated")
        return {"type": "object", "properties": members, "required": list(members)}
    return {"type": kind} if kind else {}


def _resolved(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    reference = node.get("$ref")
    if not isinstance(reference, str):
        return node
    return {**definitions[reference.rpartition("/")[2]], **{k: v for k, v in node.items() if k != "$ref"}}
