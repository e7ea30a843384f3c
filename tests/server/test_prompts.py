"""Prompts, and what is offered while their arguments are typed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp import Client, MCPError
from mcp.types import PromptReference, ResourceTemplateReference, TextContent

from wattproof.methodology.methods import all_methods
from wattproof.methodology.zones import all_zones
from wattproof.server.app import build_server
from wattproof.server.mcp_prompts import PROMPTS
from wattproof.server.tool_table import TOOLS

if TYPE_CHECKING:
    from tests.fakes.installation import Installation

RUN: dict[str, Any] = {
    "model": "gpt-oss-120b",
    "messages": [{"role": "user", "content": "hello"}],
    "max_output_tokens": 50,
}
GOOD = {
    "footprint_report": {"since": "2026-11-01", "until": "2026-12-01", "group_by": "zone"},
    "choose_a_model": {"task": "sum up tickets", "models": "gpt-4o, gpt-oss-120b", "zone": "FR", "provider": "nebius"},
    "audit_a_receipt": {"receipt": "r_7q2f"},
}


async def message(client: Client, name: str, arguments: dict[str, str]) -> str:
    (only,) = (await client.get_prompt(name, arguments)).messages
    assert only.role == "user"
    assert isinstance(only.content, TextContent)
    return only.content.text


async def offered(client: Client, where: str, name: str, typed: str = "") -> Any:
    reference = (
        ResourceTemplateReference(type="ref/resource", uri=where)
        if "://" in where
        else PromptReference(type="ref/prompt", name=where)
    )
    return (await client.complete(reference, {"name": name, "value": typed})).completion


@pytest.mark.parametrize("name", list(GOOD))
async def test_a_prompt_says_which_tools_to_call_and_how_to_quote_figures(client: Client, name: str) -> None:
    text = await message(client, name, GOOD[name])
    called = {spec.name for spec in TOOLS if spec.name in text}
    assert called
    # Only tools that are there, only parameters that they have.
    assert set(re.findall(r"\. Call (\w+)", text)) <= {spec.name for spec in TOOLS}
    assert "estimate and keep its interval" in text
    assert all(value.split(",")[0] in text for value in GOOD[name].values())


async def test_prompts_and_their_arguments_are_described(client: Client) -> None:
    for prompt in (await client.list_prompts()).prompts:
        assert prompt.title
        assert prompt.description
        assert prompt.arguments
        assert all(argument.description for argument in prompt.arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("choose_a_model", {}, "task is missing; give it: what the model is to do."),
        ("choose_a_model", {"task": "x" * 2001}, "task has 2,001 characters; give at most 2000."),
        ("choose_a_model", {"task": "x", "models": "gpt-40"}, "Unknown model 'gpt-40'. Closest: gpt-4, gpt-4o"),
        ("choose_a_model", {"task": "x", "zone": "FRA"}, "Unknown zone 'FRA'. Closest: FR"),
        ("choose_a_model", {"task": "x", "provider": "nebulus"}, "Unknown provider 'nebulus'. Closest: nebius"),
        ("choose_a_model", {"task": "x", "max_carbon_gco2e": "little"}, "max_carbon_gco2e is 'little'; give grams"),
        ("choose_a_model", {"task": "x", "models": ", ".join(["gpt-4o"] * 21)}, "models names 21; give at most 20."),
        ("footprint_report", {"since": "yesterday"}, "since is 'yesterday'; give a date (2026-11-01)"),
        ("footprint_report", {"group_by": "colour"}, "group_by is 'colour'; give provider, model, zone"),
        ("footprint_report", {"sinc": "2026-11-01"}, "sinc is not an argument of this prompt; give since, until"),
        ("audit_a_receipt", {"receipt": "please"}, "receipt is 'please'; give a receipt id (r_...) or the JWS itself."),
        ("audit_a_receipt", {"receipt": "r_1\x1b[31m"}, "receipt is 'r_1\\x1b[31m'; give printable characters."),
        ("audit_a_receipt", {"receipt": "x" * 20_001}, "receipt has 20,001 characters; give at most 20,000."),
        ("footprint", {}, "Unknown prompt 'footprint'. There are footprint_report, choose_a_model, audit_a_receipt."),
    ],
)
async def test_a_wrong_argument_is_told_by_name_problem_and_fix(
    client: Client, name: str, arguments: dict[str, str], told: str
) -> None:
    with pytest.raises(MCPError) as caught:
        await client.get_prompt(name, arguments)
    assert caught.value.error.code == -32602
    assert told in caught.value.error.message


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(PROMPTS),
    st.dictionaries(st.sampled_from([a.name for p in PROMPTS for a in p.arguments]) | st.text(), st.text()),
)
async def test_whatever_is_typed_is_one_printable_line_or_a_short_error(
    installation: Installation, prompt: Any, arguments: dict[str, str]
) -> None:
    async with Client(build_server(installation.open)) as client:
        try:
            told = await message(client, prompt.name, arguments)
        except MCPError as error:
            told = error.error.message
            code = error.error.code
        else:
            code = None
    assert code in (None, -32602)
    assert all(line.isprintable() for line in told.splitlines())
    assert code is None or len(told) < 400


@pytest.mark.parametrize(
    ("where", "name", "typed", "first"),
    [
        ("choose_a_model", "models", "gpt-oss-1", "gpt-oss-120b"),
        ("choose_a_model", "models", "gpt-4o, gpt-oss-1", "gpt-4o, gpt-oss-120b"),
        ("choose_a_model", "zone", "se-se", "SE-SE1"),
        ("choose_a_model", "provider", "neb", "nebius"),
        ("footprint_report", "group_by", "wor", "workload"),
        ("wattproof://methods/{+id}", "id", "param", "wattproof/param@1.0.0"),
        ("wattproof://zones/{zone}", "zone", "FR", "FR"),
    ],
)
async def test_what_begins_with_what_was_typed_is_offered_first(
    client: Client, where: str, name: str, typed: str, first: str
) -> None:
    assert (await offered(client, where, name, typed)).values[0] == first


async def test_at_most_100_are_offered_and_the_rest_is_counted(client: Client) -> None:
    found = await offered(client, "wattproof://zones/{zone}", "zone")
    assert (len(found.values), found.total, found.has_more) == (100, len(all_zones()), True)
    found = await offered(client, "wattproof://methods/{+id}", "id")
    assert (len(found.values), found.total, found.has_more) == (len(all_methods()), len(all_methods()), False)


@pytest.mark.parametrize(
    ("where", "name"), [("choose_a_model", "task"), ("no_such_prompt", "task"), ("wattproof://no/{such}", "such")]
)
async def test_where_nothing_is_known_nothing_is_offered(client: Client, where: str, name: str) -> None:
    found = await offered(client, where, name, "a")
    assert (found.values, found.total, found.has_more) == ([], 0, False)


async def test_the_newest_receipt_ids_of_this_log_are_offered(client: Client) -> None:
    ids: list[str] = []
    for _ in range(3):
        result = await client.call_tool("run_inference", RUN)
        assert result.structured_content is not None
        ids.append(result.structured_content["receipt_id"])
    for where, name in (("audit_a_receipt", "receipt"), ("wattproof://receipts/{id}", "id")):
        assert (await offered(client, where, name)).values == ids[::-1]
        found = await offered(client, where, name, ids[1][:9])
        assert (found.values, found.total, found.has_more) == ([ids[1]], 1, False)


async def test_looking_for_a_receipt_creates_no_ledger(client: Client, at_fake: Installation) -> None:
    found = await offered(client, "audit_a_receipt", "receipt", "r_")
    assert (found.values, found.has_more) == ([], False)
    assert not at_fake.home.exists()


async def test_a_ledger_that_cannot_be_read_offers_nothing(client: Client, at_fake: Installation) -> None:
    at_fake.home.mkdir()
    (at_fake.home / "ledger.sqlite3").write_bytes(b"not a database" * 100)
    assert (await offered(client, "audit_a_receipt", "receipt", "r_")).values == []
