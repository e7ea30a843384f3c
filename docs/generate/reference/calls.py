"""One real call of every tool, and one that is refused, in a new home with a fixed clock."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.types import TextContent

from tests.fakes.installation import Installation
from wattproof.server.app import build_server
from wattproof.server.settings import PROFILES

__all__ = ["Called", "calls"]

_USAGE = {"input_tokens": 3000, "output_tokens": 800}
_STEP = {"step_id": "s1", "model": "gpt-oss-120b", "zone": "FR", "usage": _USAGE}
_SESSION = (
    ("claude-sonnet-4-6", {"input_tokens": 1204, "cache_read_input_tokens": 30_000, "output_tokens": 211}),
    ("claude-haiku-4-5", {"input_tokens": 5200, "output_tokens": 1480}),
)
_RECEIPT = "<receipt_id of the operation above>"

_DRAWN = re.compile(r'(\brs?_|"root_hex": ")[a-z0-9]{20,}|("checkpoint": ")[^"]+')

_EXAMPLES: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("estimate_request", {"model": "gpt-oss-120b", "input_tokens": 1000, "output_tokens": 400, "zone": "FR"}),
    (
        "run_inference",
        {
            "model": "gpt-oss-120b",
            "messages": [{"role": "user", "content": "hello"}],
            "max_output_tokens": 200,
            "max_carbon_intensity": 100,
            "dry_run": True,
        },
    ),
    ("track_operation", {"action": "record", "operation_id": "op_r42", "steps": [_STEP]}),
    ("summarize_ledger", {"since": "2026-11-01", "until": "2026-12-01", "group_by": "model"}),
    ("verify_receipt", {"receipt": _RECEIPT}),
    ("explain", {"subject": "wattproof/cpu-time"}),
    ("recommend_window", {"zones": ["FR", "SE"], "duration_minutes": 30, "deadline": "2026-11-05T18:00:00Z"}),
    ("import_usage", {"format": "claude-code"}),
    ("check_claim", {"text": "Our assistant used 0.31 g CO2e a day, 40 % less than the year before."}),
    ("restate_period", {"period": "2026-11", "method": "ecologits/llm"}),
    ("export_evidence", {"since": "2026-11-01", "size": 1, "seed": "audit-2026"}),
)
"""Done in this order, in one home: what a later one looks at, an earlier one has made."""

_REFUSED: Mapping[str, Mapping[str, Any]] = {
    "estimate_request": {"model": "gpt-oss-12b"},
    "run_inference": {
        "model": "gpt-oss-120b",
        "messages": [{"role": "user", "content": "hello"}],
        "max_output_tokens": 200,
        "max_carbon_intensity": 5,
    },
    "track_operation": {"action": "status", "operation_id": "op_unknown"},
    "summarize_ledger": {"since": "2026-12-01", "until": "2026-11-01"},
    "verify_receipt": {"receipt": "r_unknown"},
    "explain": {"subject": "wattproof/cpu"},
    "recommend_window": {"zones": ["FRA"], "duration_minutes": 30, "deadline": "6h"},
    "import_usage": {"format": "litellm", "paths": ["/etc/passwd"]},
    "check_claim": {"text": ""},
    "restate_period": {"period": "2026-13", "method": "wattproof/param"},
    "export_evidence": {"size": 100},
}


@dataclass(frozen=True, slots=True)
class Called:
    """What was asked and what came back. `structured` is None where the call was refused."""

    arguments: Mapping[str, Any]
    text: str
    structured: Mapping[str, Any] | None


@cache
def calls() -> Mapping[str, tuple[Called | None, Called | None]]:
    """By tool: a call that works, and one that is refused; None where there is no example.

    Raises:
        AssertionError: an example that should work was refused, or the other way round.
    """
    with tempfile.TemporaryDirectory(prefix="wattproof-docs-") as home:
        return anyio.run(_made, Path(home))


async def _made(home: Path) -> Mapping[str, tuple[Called | None, Called | None]]:
    installation = Installation(home / "home", environ={"HOME": str(home / "user")})
    _log_a_session(home / "user")
    async with Client(build_server(installation.open, PROFILES)) as client:
        await client.call_tool(
            "track_operation",
            {"action": "begin", "operation_id": "op_r42", "budget": {"unit": "energy_wh", "limit": 5}},
        )
        worked = dict[str, Called]()
        for name, arguments in _EXAMPLES:
            given = arguments
            if name == "verify_receipt":
                ended = await client.call_tool("track_operation", {"action": "end", "operation_id": "op_r42"})
                assert ended.structured_content is not None
                given = {"receipt": ended.structured_content["receipt_id"]}
            worked[name] = await _called(client, name, given, arguments, refused=False)
        failed = {
            name: await _called(client, name, arguments, arguments, refused=True)
            for name, arguments in _REFUSED.items()
        }
    return {name: (worked.get(name), failed.get(name)) for name in {**worked, **failed}}


def _log_a_session(user: Path) -> None:
    """Two answers in the log of Claude Code."""
    folder = user / ".claude" / "projects" / "-home-ada-engine"
    folder.mkdir(parents=True)
    lines = [
        {
            "type": "assistant",
            "sessionId": "0b2a3c44",
            "cwd": "/home/ada/engine",
            "timestamp": f"2026-11-04T10:3{minute}:00Z",
            "message": {
                "id": f"msg_{minute}",
                "role": "assistant",
                "model": model,
                "stop_reason": "end_turn",
                "usage": usage,
            },
        }
        for minute, (model, usage) in enumerate(_SESSION)
    ]
    (folder / "0b2a3c44.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")


async def _called(
    client: Client, name: str, arguments: Mapping[str, Any], shown: Mapping[str, Any], *, refused: bool
) -> Called:
    result = await client.call_tool(name, dict(arguments))
    text = "\n".join(part.text for part in result.content if isinstance(part, TextContent))
    assert bool(result.is_error) == refused, f"{name}: {text}"
    structured = None if refused else json.loads(_masked(json.dumps(result.structured_content, ensure_ascii=False)))
    return Called(shown, _masked(text), structured)


def _masked(text: str) -> str:
    """Without what is drawn anew in every home: ids, and the root of a tree that holds them."""
    return _DRAWN.sub(lambda found: f"{found[1] or found[2]}…", text)
