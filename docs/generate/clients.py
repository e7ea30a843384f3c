"""The page on clients, from the report that `make clients` writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clients.table import CLIENTS, Client
from docs.generate.markdown import table

__all__ = ["REPORT", "render"]

REPORT = Path(__file__).parents[1] / "reports" / "clients.json"

Record = Mapping[str, Any]


def render() -> str:
    """docs/clients.md."""
    report: dict[str, Any] = json.loads(REPORT.read_text("utf-8"))
    return "\n".join(
        (
            _HEAD.format(date=report["date"], commit=report["commit"][:12], wheel=report["wattproof"]["wheel"]),
            _frameworks(report),
            _AFTER_FRAMEWORKS,
            _sdks(report),
            _AFTER_SDKS,
            _errors(report),
            _SUITES,
            _conformance(report),
            _INSPECTOR,
            _inspector(report),
        )
    )


_HEAD = """\
<!-- Written by `make docs` from reports/clients.json, which `make clients` writes. -->
# Clients

Every client below was sent on the same journey, over stdio and over HTTP with a bearer token, against the wheel as a
user installs it: list the tools, estimate a request, run one (first dry, then on a local provider), summarize the
ledger, verify the receipt, make three mistakes, give up a run that hangs. Written by `make clients`
([report](reports/clients.json)) from `{wheel}` at commit {commit}, {date}.

No paid model took part. Each framework ran on a scripted model of its own kind, which kept what it was given, and that
was compared with what the server had put on the wire.

## What a model reads

A result has three channels: a text of one or two sentences, structured content, and `_meta`. Frameworks forward one or
the other, so each of the first two is complete on its own: the four named fields and the receipt id reached the model
through every client of this table.
"""
_AFTER_FRAMEWORKS = """\
*Characters* is the length of what the model reads for one estimate. The server speaks every protocol version; the
client chooses.

- **openai-agents** with strict schemas makes every parameter of a tool required where it can convert the schema; the
  model then sends nulls, which every tool takes.
- **llama-index** offers one type where a parameter has several. Lists and objects may therefore come as JSON in a
  string, everywhere.
- **agent-framework** shows its model no error text unless `include_detailed_errors` is set. Set it.
- **mcp-use** drops a misspelt parameter before it calls. The answer then says what it did not know, such as the zone.
- **LangChain** makes a file of a link to a resource, and its adapter for OpenAI then raises; **pydantic-ai** leaves the
  structured content out beside one. So a result links to its receipt only where the client shows views to a person.
- **google-adk** and **llama-index** give the model every channel, and so about twice the tokens.

## SDKs

Here the application decides what its model reads; everything reached it.
"""
_AFTER_SDKS = """
## Mistakes

What the model reads after a misspelt parameter (`zoen` for `zone`), a missing one, and a model that does not exist.
*Explained* means that the server's own text arrives, such as:

> zoen is not a parameter; did you mean zone?
"""
_SUITES = """
## Suites of others

The official conformance tests. A baseline lists each check that does not pass with its reason
([clients/conformance](../clients/conformance)); most call demo tools that only the suite's example server has. A run
fails on a failure that is not listed, on an entry that passes, and when one of the scenarios in the last column, which
say something about any server, did not run.
"""
_INSPECTOR = """
The Inspector's command line, `--strict`, with `tools/call`, `resources/read`, `resources/templates/list` and
`prompts/list`. Its warnings are about `"type": ["string", "null"]` and the like, which is valid and shorter than
`anyOf`; every client above takes it.
"""


def _of(report: Record, client: Client) -> list[Record]:
    return [row for row in report["clients"] if row["client"] == client.name]


def _frameworks(report: Record) -> str:
    header = ("client", "version", "over", "protocol", "the model reads", "characters", "notes")
    rows = [
        (
            client.name,
            _version(found[0]),
            _over(found),
            _protocol(found),
            _channels(found),
            _one(f"{row['characters_of_an_estimate']:,}" for row in found),
            "; ".join(filter(None, (client.note, *_observed(found)))),
        )
        for client in CLIENTS
        if not client.is_sdk and (found := _of(report, client))
    ]
    return table(header, rows, numbers=False)


def _sdks(report: Record) -> str:
    header = ("client", "version", "over", "protocol", "notes")
    rows = [
        (client.name, _version(found[0]), _over(found), _protocol(found), "; ".join(_observed(found)))
        for client in CLIENTS
        if client.is_sdk and (found := _of(report, client))
    ]
    return table(header, rows, numbers=False)


def _errors(report: Record) -> str:
    header = ("client", "misspelt", "missing", "unknown value")
    rows = [
        (client.name, *(_mistake(found[0]["mistakes"][kind]) for kind in ("misspelt", "missing", "unknown")))
        for client in CLIENTS
        if (found := _of(report, client))
    ]
    return table(header, rows, numbers=False)


def _conformance(report: Record) -> str:
    header = ("suite", "revision", "checks passed", "in the baseline", "must run and pass")
    rows = [
        (
            row["suite"],
            row["revision"],
            str(row["checks_passed"]),
            str(row["checks_in_baseline"]),
            ", ".join(f"`{name}`" for name in row["proven"]),
        )
        for row in report["conformance"]
    ]
    return table(header, rows, numbers=False)


def _inspector(report: Record) -> str:
    header = ("over", "era", "schema errors", "schema warnings")
    rows = [
        (row["transport"], row["era"], str(row["schema_errors"]), str(row["schema_warnings"]))
        for row in report["inspector"]
    ]
    return table(header, rows, numbers=False)


def _version(record: Record) -> str:
    (name, version), *others = record["versions"].items()
    beside = [f"{other} {its}" for other, its in others if other == "mcp" and name != "mcp"]
    return " on ".join((version, *beside))


def _over(found: Sequence[Record]) -> str:
    return ", ".join(row["transport"] for row in found if not row["problems"]) or "neither"


def _protocol(found: Sequence[Record]) -> str:
    return _one(row["protocol"] for row in found)


def _channels(found: Sequence[Record]) -> str:
    return _one(" + ".join(channels) for row in found for channels in row["forwards"].values())


def _one(values: Any) -> str:
    return " / ".join(dict.fromkeys(values))


def _observed(found: Sequence[Record]) -> list[str]:
    """What the journey saw beside the channels."""
    notes: list[str] = []
    strict = sorted({t for row in found for t, how in row["schemas"].items() if how == "every parameter is required"})
    if strict:
        notes.append(f"every parameter of {', '.join(f'`{tool}`' for tool in strict)} required")
    if any(how.startswith("narrower") for row in found for how in row["schemas"].values()):
        notes.append("one type where a parameter has several")
    lists = sorted({kind.split("/")[0] for row in found for kind in row["lists"]})
    if lists:
        notes.append(f"asks for {' and '.join(lists)} too")
    if any(row["asks_for_progress"] for row in found):
        notes.append("asks for progress")
    over_stdio = [row for row in found if row["transport"] == "stdio"]
    if over_stdio and not over_stdio[0]["cancels"]:
        notes.append("over stdio, does not tell the server when a call is given up")
    return notes


def _mistake(mistake: Record) -> str:
    if mistake["reaches_model"]:
        return "explained"
    if not mistake["refused"]:
        return "not noticed"
    text = mistake["text"].split("\n", 1)[0]
    short = text if len(text) <= 70 else f"{text[:67]}…"
    return f"“{short.replace('|', '/')}”"
