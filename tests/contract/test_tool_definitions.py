"""The contract: what every client sees before it calls anything.

`snapshots/` holds one file per tool, resource, template and prompt, and one for what the server says of itself. A
change of an API is deliberate: `WATTPROOF_UPDATE_CONTRACTS=1 python -m pytest tests/contract` writes the files anew;
review the difference.
"""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import jsonschema
import pytest
from mcp import Client

import wattproof
from docs.generate import tokens
from wattproof.server.app import build_server
from wattproof.server.apps.views import APP_TOOLS
from wattproof.server.mcp_prompts import PROMPTS
from wattproof.server.settings import PROFILES
from wattproof.server.tool_table import PROFILE_TOOLS, tools_of

if TYPE_CHECKING:
    from pydantic import BaseModel

    from tests.fakes.installation import Installation

SNAPSHOTS = Path(__file__).with_name("snapshots")
UPDATE = os.environ.get("WATTPROOF_UPDATE_CONTRACTS") == "1"
HOW_TO_UPDATE = "If this change is meant: WATTPROOF_UPDATE_CONTRACTS=1 python -m pytest tests/contract"

NAMES = ("estimate_request", "run_inference", "track_operation", "summarize_ledger", "verify_receipt", "explain")
PROFILE_NAMES = {
    "ops": ("recommend_window", "import_usage"),
    "audit": ("check_claim", "restate_period", "export_evidence"),
}
ALL_NAMES = (*NAMES, *(name for names in PROFILE_NAMES.values() for name in names))

Wire = dict[str, Any]


async def definitions(
    installation: Installation, mode: Literal["auto", "legacy"] = "auto", profiles: tuple[str, ...] = ()
) -> list[Wire]:
    async with Client(build_server(installation.open, profiles), mode=mode) as client:
        return [dumped(tool) for tool in (await client.list_tools()).tools]


def dumped(model: BaseModel) -> Wire:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


async def everything_else(installation: Installation) -> dict[str, Wire]:
    """What lists hold beside the tools of models, by the name of its snapshot."""
    async with Client(build_server(installation.open, apps="on")) as client:
        lists = {
            "tools": [tool for tool in (await client.list_tools()).tools if tool.name not in ALL_NAMES],
            "resources": (await client.list_resources()).resources,
            "templates": (await client.list_resource_templates()).resource_templates,
            "prompts": (await client.list_prompts()).prompts,
        }
    return {f"{kind}/{item.name}": dumped(item) for kind, items in lists.items() for item in items}


def assert_unchanged(name: str, found: Wire) -> None:
    path = SNAPSHOTS / f"{name}.json"
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"{path.name} is missing. {HOW_TO_UPDATE}"
    assert json.loads(path.read_text(encoding="utf-8")) == found, f"{name} has changed. {HOW_TO_UPDATE}"


@pytest.mark.parametrize("name", ALL_NAMES)
async def test_a_tool_is_what_its_snapshot_says(installation: Installation, name: str) -> None:
    tools = {tool["name"]: tool for tool in await definitions(installation, profiles=PROFILES)}
    assert_unchanged(f"tools/{name}", tools[name])


async def test_everything_else_in_a_list_is_what_its_snapshot_says(installation: Installation) -> None:
    """One file per resource, template and prompt, and per tool that only views call."""
    found = await everything_else(installation)
    for name, item in found.items():
        assert_unchanged(name, item)
    committed = {path.relative_to(SNAPSHOTS).with_suffix("").as_posix() for path in SNAPSHOTS.rglob("*.json")}
    assert committed == {"server", *(f"tools/{name}" for name in ALL_NAMES), *found}, HOW_TO_UPDATE


async def test_what_the_server_says_of_itself_is_what_its_snapshot_says(installation: Installation) -> None:
    async with Client(build_server(installation.open)) as client:
        found = {"instructions": client.instructions, "capabilities": dumped(client.server_capabilities)}
    assert_unchanged("server", found)


async def test_a_snapshot_that_differs_names_the_command_that_renews_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "SNAPSHOTS", tmp_path)
    monkeypatch.setattr(sys.modules[__name__], "UPDATE", False)
    with pytest.raises(AssertionError, match="WATTPROOF_UPDATE_CONTRACTS=1"):
        assert_unchanged("missing", {})
    (tmp_path / "old.json").write_text('{"title": "Old"}', encoding="utf-8")
    with pytest.raises(AssertionError, match="WATTPROOF_UPDATE_CONTRACTS=1"):
        assert_unchanged("old", {"title": "New"})


async def test_the_tools_are_these_in_this_order(installation: Installation) -> None:
    assert [tool["name"] for tool in await definitions(installation)] == list(NAMES)


@pytest.mark.parametrize("profile", PROFILES)
async def test_a_profile_adds_its_tools_after_the_core_ones(installation: Installation, profile: str) -> None:
    names = [tool["name"] for tool in await definitions(installation, profiles=(profile,))]
    assert names == [*NAMES, *PROFILE_NAMES[profile]]


def test_every_profile_that_can_be_set_has_tools() -> None:
    assert set(PROFILES) == set(PROFILE_TOOLS)


async def test_both_eras_see_the_same_tools(installation: Installation) -> None:
    assert await definitions(installation, "auto") == await definitions(installation, "legacy")


async def test_nothing_in_a_list_depends_on_settings_or_data(installation: Installation, tmp_path: Path) -> None:
    async def seen() -> str:
        async with Client(build_server(installation.open)) as client:
            lists = [
                await client.list_tools(),
                await client.list_resources(),
                await client.list_resource_templates(),
                await client.list_prompts(),
            ]
        return json.dumps([found.model_dump(mode="json", by_alias=True) for found in lists])

    first = await seen()
    installation.deployments = ()
    installation.allow_keyed_runs = False
    second = await seen()
    installation.home = tmp_path / "another"
    installation.default_zone = "SE-SE3"
    installation.environ = {"WATTPROOF_OFFLINE": "1"}
    async with installation.open() as deps:
        await deps.ledger()
    assert first == second == await seen()


def test_all_definitions_together_stay_within_the_token_budget() -> None:
    core = [tool for tool in tokens.definitions() if tool["name"] in NAMES]
    assert len(core) == len(NAMES)
    assert tokens.count(tokens.wire(core)) < tokens.DEFINITIONS_BUDGET


def test_brief_results_stay_within_their_token_budgets() -> None:
    over = [
        (answer.tool, answer.what, answer.text, answer.data)
        for answer in tokens.answers()
        if answer.budgeted and not within(answer)
    ]
    assert over == []


def within(answer: tokens.Answer) -> bool:
    budget = tokens.BUDGETS[answer.tool]
    return answer.text <= budget.text and (budget.data is None or answer.data <= budget.data)


def test_the_tokenizer_is_the_real_one() -> None:
    """Token counts that are published for this encoding."""
    assert tokens.count("hello world") == 2
    assert tokens.count("Energy and CO2e of an LLM request 0.89 Wh (0.26–3.1)") == 24


async def test_every_tool_states_title_hints_and_provenance_defaults(installation: Installation) -> None:
    for tool in await definitions(installation, profiles=PROFILES):
        assert tool["title"]
        assert tool["annotations"].keys() == {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}
        assert tool["_meta"]["io.github.wattproof/provenance"].keys() == {
            "region_scope",
            "energy_source",
            "methodology",
            "renewable_ratio_bps",
        }


def test_no_row_of_the_table_leaves_anything_to_a_default() -> None:
    """Title, description and hints are read by hosts that decide what to ask a person about."""
    for spec in (*tools_of(PROFILES), *APP_TOOLS):
        assert spec.title
        assert spec.description.endswith(".")
        assert {type(hint) for hint in (spec.read_only, spec.idempotent, spec.open_world)} == {bool}
        for name, parameter in spec.arguments.model_fields.items():
            assert parameter.description, f"{spec.name}.{name} has no description"
    for prompt in PROMPTS:
        assert prompt.title
        assert prompt.description.endswith(".")
        assert all(argument.description for argument in prompt.arguments)


def test_every_tool_is_built_in_one_place_with_all_four_hints() -> None:
    """A second place would be free to leave one out: the SDK's own default says destructive."""
    built: list[str] = []
    for path in Path(wattproof.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            name = getattr(called, "id", getattr(called, "attr", None))
            if isinstance(node, ast.Call) and name == "ToolAnnotations":
                built.append(path.name)
                hints = {keyword.arg for keyword in node.keywords}
                assert hints == {"read_only_hint", "destructive_hint", "idempotent_hint", "open_world_hint"}
            assert not (isinstance(called, ast.Attribute) and called.attr in ("tool", "add_tool")), path
    assert built == ["mcp_tools.py"]


async def test_no_schema_carries_what_a_model_has_no_use_for(installation: Installation) -> None:
    for tool in await definitions(installation, profiles=PROFILES):
        for schema in (tool["inputSchema"], tool["outputSchema"]):
            assert not (
                {"$defs", "$ref", "title", "default", "anyOf", "allOf", "oneOf", "format"} & set(names_in(schema))
            )


def names_in(schema: Wire) -> Iterator[str]:
    """Every keyword of a schema; the names of its properties are not keywords."""
    for keyword, value in schema.items():
        yield keyword
        inner: list[Wire] = list(value.values()) if keyword == "properties" else [value] if keyword == "items" else []
        for below in inner:
            yield from names_in(below)


async def test_every_parameter_is_described_and_every_optional_one_accepts_null(installation: Installation) -> None:
    for tool in await definitions(installation, profiles=PROFILES):
        schema = tool["inputSchema"]
        assert schema["additionalProperties"] is False
        for name, parameter in schema["properties"].items():
            assert parameter["description"], name
            if name not in schema.get("required", ()):
                jsonschema.validate(None, parameter)


def test_every_optional_argument_takes_an_explicit_null() -> None:
    required: dict[str, Any] = {
        "model": "m",
        "messages": [{"role": "user"}],
        "max_output_tokens": 1,
        "receipt": "r",
        "action": "status",
        "subject": "s",
        "text": "t",
        "method": "m",
        "period": "2026",
        "format": "codex",
    }
    for spec in tools_of(PROFILES):
        least = {name: required[name] for name, field in spec.arguments.model_fields.items() if field.is_required()}
        given = dict.fromkeys(spec.arguments.model_fields) | least
        assert spec.arguments.model_validate(given) == spec.arguments.model_validate(least)


async def test_schemas_are_valid_object_rooted_and_without_references(installation: Installation) -> None:
    for tool in await definitions(installation, profiles=PROFILES):
        for schema in (tool["inputSchema"], tool["outputSchema"]):
            jsonschema.Draft202012Validator.check_schema(schema)
            assert schema["type"] == "object"
            assert "$ref" not in json.dumps(schema)


async def test_a_published_parameter_takes_what_its_model_takes(installation: Installation) -> None:
    published = {
        tool["name"]: set(tool["inputSchema"]["properties"])
        for tool in await definitions(installation, profiles=PROFILES)
    }
    assert published == {spec.name: set(spec.arguments.model_fields) for spec in tools_of(PROFILES)}


def test_no_definition_uses_a_word_that_we_do_not_use() -> None:
    words = "saved|avoided|carbon neutral|net zero|green|clean|sustainable|measured|verified"
    banned = re.compile(rf"\b({words})\b", re.IGNORECASE)
    for path in SNAPSHOTS.rglob("*.json"):
        assert banned.search(path.read_text(encoding="utf-8")) is None, path.name
