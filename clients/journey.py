"""The journey: four tools and a few mistakes, the same for every client, and what each step shows.

What the server really sent is read off the wire and compared with what the client's model would read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clients.driver import Traveller
from clients.environments import cache_folder
from clients.wire import Wire

__all__ = ["NAMED_FIELDS", "travel"]

CORE = ("estimate_request", "run_inference", "track_operation", "summarize_ledger", "verify_receipt", "explain")
NAMED_FIELDS = ("region_scope", "energy_source", "methodology", "renewable_ratio_bps")
META_KEY = "io.github.wattproof/provenance"
_MODEL = "gpt-oss-120b"
_MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]
_RUN: dict[str, Any] = {"model": _MODEL, "messages": _MESSAGES, "max_output_tokens": 64, "providers": ["journey"]}
_ESTIMATE: dict[str, Any] = {"model": _MODEL, "input_tokens": 1000, "output_tokens": 400, "zone": "FR"}
_MISTAKES: dict[str, dict[str, Any]] = {
    "misspelt": {"model": _MODEL, "input_tokens": 1000, "output_tokens": 400, "zoen": "FR"},
    "missing": {"input_tokens": 1000},
    "unknown": {"model": "gpt-oss-12b", "input_tokens": 1000, "output_tokens": 400},
}


@dataclass(slots=True)
class _Trip:
    """A connected client, the wire, and where on the wire the last step ended."""

    client: Traveller
    wire: Wire
    seen: int = 0

    def call(self, name: str, arguments: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
        """What the model reads, and the result that the server sent; None where the client sent nothing."""
        self.seen = len(self.wire.answered())
        told = self.client.ask(do="call", name=name, arguments=arguments)
        reads = told.get("model_reads")
        text = f"(raised to the application) {told['raised']}" if reads is None else reads
        results = [message.get("result", {}) for message in self.wire.answered()[self.seen :]]
        sent = [result for result in results if "content" in result]
        return text, sent[-1] if sent else None


def travel(client: Traveller, wire: Wire, hang: Callable[[], None]) -> dict[str, Any]:
    """Send `client` on the journey; `hang` makes the provider stop answering.

    Returns a record for the report. Its `problems` are what a user of this client should not meet.
    """
    versions = client.connected()
    trip = _Trip(client, wire)
    schemas: dict[str, Any] = client.ask(do="tools")["tools"]
    record: dict[str, Any] = {"versions": versions, "schemas": _schemas(schemas, wire), "forwards": {}}
    problems: list[str] = [f"tool {name} is not offered" for name in CORE if name not in schemas]

    def nulls(tool: str) -> dict[str, Any]:
        return dict.fromkeys(schemas[tool].get("properties", {}))

    steps: list[tuple[str, str, dict[str, Any]]] = [
        ("estimate", "estimate_request", _ESTIMATE),
        ("estimate with nulls", "estimate_request", {**nulls("estimate_request"), **_ESTIMATE}),
        ("list as JSON text", "estimate_request", {**_ESTIMATE, "methods": '["wattproof/param@1.0.0"]'}),
        ("object as JSON text", "explain", {"subject": json.dumps(_ESTIMATE)}),
        ("dry run", "run_inference", {**_RUN, "dry_run": True}),
        ("run with nulls", "run_inference", {**nulls("run_inference"), **_RUN, "operation_id": "journey"}),
        ("summary with nulls", "summarize_ledger", {**nulls("summarize_ledger"), "operation_id": "journey"}),
    ]
    receipt_id = ""
    for step, tool, arguments in steps:
        text, sent = trip.call(tool, arguments)
        problems += _problems(step, text, sent)
        record["forwards"][tool] = forwarded(text, sent)
        if step == "estimate":
            record["characters_of_an_estimate"] = len(text)
        if step.startswith("run") and sent:
            receipt_id = str(_structured(sent).get("receipt_id"))
            record["receipt_id_reaches_model"] = receipt_id in text
    text, sent = trip.call("verify_receipt", {"receipt": receipt_id})
    problems += _problems("verify", text, sent)
    record["forwards"]["verify_receipt"] = forwarded(text, sent)
    record["mistakes"] = {}
    for mistake, arguments in _MISTAKES.items():
        text, sent = trip.call("estimate_request", arguments)
        record["mistakes"][mistake] = _mistake(text, sent)
    record |= _abandoned(trip, hang, problems)
    record |= _era(wire)
    if not record.get("receipt_id_reaches_model"):
        problems.append("the receipt id does not reach the model")
    return {**record, "problems": problems}


def forwarded(text: str, sent: dict[str, Any] | None) -> list[str]:
    """Which channels of the result `sent` are in what the model reads: text, structured, meta, server info."""
    if sent is None:
        return []
    # A repr or JSON in JSON escapes quotes and what is not ASCII.
    plain = text.replace("\\", "")
    spoken = "".join(block.get("text", "") for block in sent["content"])
    keys = list(_structured(sent))
    found = {
        "text": _letters(spoken) in _letters(text),
        "structured": bool(keys) and all(f'"{key}"' in plain or f"'{key}'" in plain for key in keys),
        "meta": META_KEY in text,
        "server info": "io.modelcontextprotocol/serverInfo" in text,
    }
    return [channel for channel, there in found.items() if there]


def _structured(sent: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] | None = sent.get("structuredContent")
    return content or {}


def _letters(text: str) -> str:
    """The ASCII letters and digits of a text, which no escaping changes (escapes of other characters are dropped)."""
    return re.sub(r"\\u[0-9a-fA-F]{4}|\\[nrt]|[^A-Za-z0-9]", "", text)


def _problems(step: str, text: str, sent: dict[str, Any] | None) -> list[str]:
    if sent is None:
        return [f"{step}: nothing was sent to the server; the model reads {text[:300]!r}"]
    if sent.get("isError"):
        return [f"{step}: the server answered {sent['content'][0]['text'][:300]!r}"]
    found: list[str] = []
    provenance: dict[str, Any] = _structured(sent).get("provenance") or {}
    for name in NAMED_FIELDS:
        value = "null" if provenance.get(name) is None else str(provenance[name])
        if name not in text or (value != "null" and value not in text):
            found.append(f"{step}: {name} does not reach the model")
    return found


def _mistake(text: str, sent: dict[str, Any] | None) -> dict[str, Any]:
    spoken = sent["content"][0]["text"] if sent and sent.get("isError") else None
    return {
        "answered_by": "client" if sent is None else "server",
        "reaches_model": spoken is not None and _letters(spoken) in _letters(text),
        "refused": sent is None or bool(sent.get("isError")),
        "text": text.replace(str(cache_folder()), "CACHE")[:400],
    }


def _schemas(told: dict[str, Any], wire: Wire) -> dict[str, str]:
    """How the schemas that the model is given differ from those that the server sent, by tool."""
    lists = [message["result"]["tools"] for message in wire.answered() if "tools" in message.get("result", {})]
    sent = {tool["name"]: tool["inputSchema"] for tool in lists[-1]}
    return {name: _difference(told.get(name, {}), schema) for name, schema in sent.items()}


def _difference(told: dict[str, Any], sent: dict[str, Any]) -> str:
    properties = sent["properties"]
    if set(told.get("properties", {})) != set(properties):
        return "other parameters"
    required = set(told.get("required", [])) if "required" in told else set[str]()
    if required == set(properties) != set(sent.get("required", [])):
        return "every parameter is required"
    types = [name for name, schema in properties.items() if not _as_wide(told["properties"][name], schema)]
    if types:
        return f"narrower: {', '.join(types)}"
    return "same" if json.dumps(told, sort_keys=True) == json.dumps(sent, sort_keys=True) else "same meaning"


def _as_wide(told: dict[str, Any], sent: dict[str, Any]) -> bool:
    """Whether every type that the server takes is still offered."""
    return _types(sent) <= _types(told)


# The JSON types of the values that are listed in schemas.
_JSON_TYPES: dict[type, str] = {str: "string", type(None): "null", bool: "boolean", int: "integer"}


def _types(schema: dict[str, Any]) -> set[str]:
    options: list[dict[str, Any]] = schema.get("anyOf", [schema])
    found: set[str] = set()
    for option in options:
        stated = option.get("type", [_JSON_TYPES[type(value)] for value in option.get("enum", [])])
        found |= {stated} if isinstance(stated, str) else set(stated)
    return found | ({"null"} if schema.get("nullable") else set())


def _abandoned(trip: _Trip, hang: Callable[[], None], problems: list[str]) -> dict[str, Any]:
    """Give a run up while its provider hangs: does the server hear of it, and does the client still work?"""
    hang()
    before = len(trip.wire.sent())
    trip.client.ask(do="abandon", name="run_inference", arguments=_RUN, after_s=1.0)
    text, sent = trip.call("estimate_request", _ESTIMATE)
    problems += _problems("after giving up", text, sent)
    said = [message.get("method") for message in trip.wire.sent()[before:]]
    return {"cancels": "notifications/cancelled" in said}


def _era(wire: Wire) -> dict[str, Any]:
    sent = wire.sent()
    by_handshake = [m["result"]["protocolVersion"] for m in wire.answered() if "protocolVersion" in m.get("result", {})]
    calls = [message.get("params", {}).get("_meta", {}) for message in sent if message.get("method") == "tools/call"]
    stated = [meta["io.modelcontextprotocol/protocolVersion"] for meta in calls if len(meta) > 1]
    return {
        "protocol": (stated or by_handshake or ["unknown"])[-1],
        "asks_for_progress": any("progressToken" in meta for meta in calls),
        "progress_sent": any(m.get("method") == "notifications/progress" for m in wire.answered()),
        "lists": sorted({m["method"] for m in sent if str(m.get("method", "")).endswith("/list")} - {"tools/list"}),
    }
