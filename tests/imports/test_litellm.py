"""Spend logs of LiteLLM: as `/spend/logs` gives them, as psql and the proxy export them."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.imports.conftest import NOW_S, Reader
from tests.imports.test_claude_code import json_values
from wattproof.resources.imports.files import Files
from wattproof.resources.imports.litellm import read as read_logs
from wattproof.resources.imports.records import Notes


def row(**changed: Any) -> dict[str, Any]:
    return {
        "request_id": "chatcmpl-1",
        "call_type": "acompletion",
        "api_key": "hashed",
        "spend": 0.00042,
        "total_tokens": 1500,
        "prompt_tokens": 1200,
        "completion_tokens": 300,
        "startTime": "2026-11-20T10:00:00.000Z",
        "endTime": "2026-11-20T10:00:02.400Z",
        "model": "gpt-5-mini",
        "model_group": "small",
        "custom_llm_provider": "openai",
        "metadata": {},
        "cache_hit": "None",
        "session_id": "s-1",
        "team_id": "team-7",
        "status": "success",
        **changed,
    }


def test_a_row_becomes_a_record(read: Reader) -> None:
    record = read("litellm", logs_dot_json=json.dumps([row()])).only
    assert record[:8] == ("chatcmpl-1", "2026-11-20T10:00:00Z", "openai", "gpt-5-mini", 1200, 0, 300, 0)
    assert (record.cost_micros, record.currency, record.latency_ms) == (420, "USD", 2400)
    assert (record.operation_id, record.project) == ("litellm:s-1", "team-7")


def test_the_gateway_s_count_is_not_called_the_provider_s(read: Reader) -> None:
    assert read("litellm", logs_dot_json=json.dumps([row()])).only.usage_source == "caller"


@pytest.mark.parametrize("as_text", [True, False])
def test_cached_and_reasoning_tokens_come_from_the_provider_s_usage(read: Reader, as_text: bool) -> None:
    metadata: Any = {
        "additional_usage_values": {
            "prompt_tokens_details": {"cached_tokens": 1000},
            "completion_tokens_details": {"reasoning_tokens": 120},
        }
    }
    changed = row(metadata=json.dumps(metadata) if as_text else metadata)
    record = read("litellm", logs_dot_jsonl=json.dumps(changed)).only
    assert record[4:8] == (1200, 1000, 300, 120)


def test_a_row_that_litellm_s_cache_answered_ran_no_model(read: Reader) -> None:
    found = read("litellm", logs_dot_json=json.dumps([row(cache_hit="True"), row(request_id="b")]))
    assert [record.external_id for record in found.records] == ["b"]
    assert found.notes.skipped == {"answered by LiteLLM's cache: no model ran": 1}


def test_a_failed_request_without_tokens_is_left_out_and_one_with_tokens_is_kept(read: Reader) -> None:
    empty = row(status="failure", prompt_tokens=0, completion_tokens=0, total_tokens=0)
    found = read("litellm", logs_dot_json=json.dumps([empty, row(request_id="b", status="failure")]))
    assert found.only.status == "failed"
    assert found.notes.skipped == {"no tokens": 1}


@pytest.mark.parametrize(
    ("call_type", "workload"),
    [("aembedding", "embedding"), ("embedding", "embedding"), ("arerank", "rerank"), ("aresponses", "chat")],
)
def test_the_call_type_gives_the_workload(read: Reader, call_type: str, workload: str) -> None:
    assert read("litellm", logs_dot_json=json.dumps([row(call_type=call_type)])).only.workload == workload


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("bedrock_converse", "anthropic.claude-sonnet-4-6", "bedrock"),
        ("azure", "azure/gpt-5", "azure"),
        ("", "together_ai/x", "together"),
        ("", "", "unstated"),
    ],
)
def test_other_spellings_of_a_provider_are_ours(read: Reader, provider: str, model: str, expected: str) -> None:
    changed = row(custom_llm_provider=provider, model=model, model_group="")
    assert read("litellm", logs_dot_json=json.dumps([changed])).only.provider == expected


def test_a_table_as_csv_gives_the_same_as_json(read: Reader) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, row().keys())
    writer.writeheader()
    writer.writerow({**row(), "metadata": json.dumps({"usage_object": {"cache_read_input_tokens": 7}})})
    record = read("litellm", logs_dot_csv="\ufeff" + text.getvalue()).only
    assert record[:8] == ("chatcmpl-1", "2026-11-20T10:00:00Z", "openai", "gpt-5-mini", 1200, 7, 300, 0)


@pytest.mark.parametrize("at", ["2026-11-20 10:00:00", "2026-11-20T11:00:00+01:00", "2026-11-20T10:00:00.5"])
def test_times_without_a_zone_are_utc(read: Reader, at: str) -> None:
    assert read("litellm", logs_dot_json=json.dumps([row(startTime=at)])).only.occurred_at == "2026-11-20T10:00:00Z"


def test_the_export_s_own_total_gives_the_coverage(read: Reader) -> None:
    found = read("litellm", logs_dot_json=json.dumps([row(), row(request_id="b", startTime="?")]))
    assert found.notes.stated_tokens == 1500


def test_rows_of_something_else_are_told(read: Reader) -> None:
    found = read("litellm", logs_dot_json=json.dumps([{"id": 1}, row(), 5]))
    assert len(found.records) == 1
    assert found.notes.skipped == {"not a row of LiteLLM_SpendLogs": 1, "not a JSON object": 1}


@given(st.dictionaries(st.sampled_from(sorted(row())), json_values))
def test_no_row_whatever_it_holds_stops_an_import(
    tmp_path_factory: pytest.TempPathFactory, changed: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("log") / "logs.jsonl"
    path.write_text(json.dumps(row(**changed)), "utf-8")
    notes = Notes()
    for record in read_logs(Files((path,), notes), notes, NOW_S):
        assert 0 <= record.cached_input_tokens <= record.input_tokens <= 10**12
        assert 0 <= record.reasoning_tokens <= record.output_tokens <= 10**12
        assert record.cost_micros is None or record.cost_micros >= 0
        assert all(text is None or text.isprintable() for text in (record.model, record.operation_id, record.project))
