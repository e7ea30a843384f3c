"""Usage exports of OpenAI, Anthropic and OpenRouter, and spans of OpenTelemetry."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from tests.imports.conftest import NOW_S, Reader

DAY_S = 1_795_046_400  # 2026-11-19T00:00:00Z


def openai_page(**changed: Any) -> dict[str, Any]:
    result = {
        "object": "organization.usage.completions.result",
        "input_tokens": 100_000,
        "output_tokens": 50_000,
        "input_cached_tokens": 80_000,
        "num_model_requests": 500,
        "project_id": "proj_1",
        "user_id": None,
        "api_key_id": None,
        "model": "gpt-5-mini",
        "batch": None,
        **changed,
    }
    bucket = {"object": "bucket", "start_time": DAY_S, "end_time": DAY_S + 86_400, "results": [result]}
    return {"object": "page", "data": [bucket], "has_more": False, "next_page": None}


def test_a_bucket_of_openai_is_one_record_for_many_requests(read: Reader) -> None:
    record = read("openai-usage", usage_dot_json=json.dumps(openai_page())).only
    assert record[4:8] == (100_000, 80_000, 50_000, 0)
    assert (record.requests, record.until) == (500, "2026-11-20T00:00:00Z")
    assert (record.provider, record.model, record.project) == ("openai", "gpt-5-mini", "proj_1")
    assert record.usage_source == "provider"


def test_buckets_that_differ_in_any_group_are_different(read: Reader) -> None:
    pages = [openai_page(), openai_page(api_key_id="key_1"), openai_page(), openai_page(batch=True)]
    found = read("openai-usage", usage_dot_json=json.dumps(pages))
    assert len({record.external_id for record in found.records}) == 3


def test_a_bucket_that_is_not_over_waits(read: Reader) -> None:
    found = read("openai-usage", now_s=DAY_S + 3600, usage_dot_json=json.dumps(openai_page()))
    assert found.records == []
    assert found.notes.skipped == {"its bucket of time is not over yet": 1}


def test_openai_s_csv_is_read_with_its_counts_as_decimals(read: Reader) -> None:
    text = (
        "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,user_id,api_key_id,model,batch,"
        "service_tier,input_tokens,output_tokens,input_cached_tokens,input_uncached_tokens\n"
        "1761523440,1761523500,2025-10-27T00:04:00+00:00,2025-10-27T00:05:00+00:00,proj_1,3.0,,key_1,gpt-5-mini,,,"
        "7162,900,1280,5882\n"
        "1761523500,1761523560,2025-10-27T00:05:00+00:00,2025-10-27T00:06:00+00:00,,,,,,,,,,,\n"
    )
    record = read("openai-usage", completions_usage_dot_csv=text).only
    assert record[4:8] == (7162, 1280, 900, 0)
    assert (record.requests, record.occurred_at) == (3, "2025-10-27T00:04:00Z")


def test_usage_of_embeddings_is_a_workload_of_its_own(read: Reader) -> None:
    page = openai_page(object="organization.usage.embeddings.result", output_tokens=None, input_cached_tokens=None)
    assert read("openai-usage", usage_dot_json=json.dumps(page)).only.workload == "embedding"


def anthropic_page(**changed: Any) -> dict[str, Any]:
    result = {
        "uncached_input_tokens": 1500,
        "cache_creation": {"ephemeral_1h_input_tokens": 1000, "ephemeral_5m_input_tokens": 500},
        "cache_read_input_tokens": 200,
        "output_tokens": 500,
        "server_tool_use": {"web_search_requests": 10},
        "api_key_id": "apikey_1",
        "workspace_id": "wrkspc_1",
        "model": "claude-sonnet-4-6",
        "service_tier": "standard",
        "context_window": "0-200k",
        **changed,
    }
    bucket = {"starting_at": "2026-11-01T00:00:00Z", "ending_at": "2026-11-02T00:00:00Z", "results": [result]}
    return {"data": [bucket], "has_more": False, "next_page": None}


def test_anthropic_s_input_is_the_sum_of_its_parts(read: Reader) -> None:
    record = read("anthropic-usage", usage_dot_json=json.dumps(anthropic_page())).only
    assert record[4:8] == (3200, 200, 500, 0)
    assert (record.requests, record.until) == (None, "2026-11-02T00:00:00Z")
    assert record.project == "wrkspc_1"


CONSOLE = (
    "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,"
    "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,"
    "usage_output_tokens,web_search_count,inference_geo,speed\n"
)


def test_anthropic_s_console_csv_is_read(read: Reader) -> None:
    text = f"{CONSOLE}2026-08-05,claude-opus-5,App,Default,standard,≤ 200k,46981,15969,0,100,16932,0,global,\n"
    record = read("anthropic-usage", usage_dot_csv=text).only
    assert record[4:8] == (63_050, 100, 16_932, 0)
    assert (record.occurred_at, record.until) == ("2026-08-05T00:00:00Z", "2026-08-06T00:00:00Z")


def test_the_console_s_day_of_today_waits(read: Reader) -> None:
    text = f"{CONSOLE}2026-11-22,claude-opus-5,App,Default,standard,≤ 200k,1,0,0,0,1,0,global,\n"
    assert read("anthropic-usage", now_s=NOW_S, usage_dot_csv=text).records == []


ACTIVITY = (
    "generation_id,created_at,cost_total,cost_web_search,cost_cache,cost_file_processing,byok_usage_inference,"
    "tokens_prompt,tokens_completion,tokens_reasoning,tokens_cached,model_permaslug,provider_name,variant,cancelled,"
    "streamed,user,finish_reason_raw,finish_reason_normalized,generation_time_ms,time_to_first_token_ms,"
    "api_key_disabled,api_key_name,app_name\n"
)


def test_a_generation_of_openrouter_runs_at_the_provider_that_it_names(read: Reader) -> None:
    text = (
        f"{ACTIVITY}gen-1,2026-11-20 03:46:57.713,0.0123,0,0,0,0,10389,137,64,10000,openai/gpt-oss-120b,DeepInfra,"
        "standard,false,true,,stop,stop,2117,300,false,key,vscode\n"
    )
    record = read("openrouter", activity_dot_csv=text).only
    assert record[:8] == ("gen-1", "2026-11-20T03:46:57Z", "deepinfra", "openai/gpt-oss-120b", 10_389, 10_000, 137, 64)
    assert (record.cost_micros, record.latency_ms, record.project) == (12_300, 2117, "vscode")


def test_openrouter_s_export_by_day_is_refused_with_a_reason(read: Reader) -> None:
    found = read("openrouter", activity_dot_csv="Date,Model,Total Spend\n2026-11-01,x,1.0\n")
    assert found.records == []
    assert found.notes.skipped == {"not a row of the activity export by generation": 1}


def test_a_credit_is_no_cost(read: Reader) -> None:
    text = f"{ACTIVITY}gen-1,2026-11-20 03:46:57,-0.5,0,0,0,0,10,10,,,m/x,P,,true,,,,,,,,,\n"
    record = read("openrouter", activity_dot_csv=text).only
    assert (record.cost_micros, record.status) == (None, "cancelled")


def span(attributes: dict[str, Any], **changed: Any) -> str:
    def wrapped(value: Any) -> dict[str, Any]:
        if isinstance(value, tuple):
            return {"arrayValue": {"values": [wrapped(each) for each in cast("tuple[str, ...]", value)]}}
        if isinstance(value, int):
            return {"intValue": str(value)}
        return {"stringValue": value} if isinstance(value, str) else {"doubleValue": value}

    fields: dict[str, Any] = {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
        "name": "chat gpt-5-mini",
        "kind": 3,
        "startTimeUnixNano": "1795260000123456789",
        "endTimeUnixNano": "1795260002523456789",
        "attributes": [{"key": key, "value": wrapped(value)} for key, value in attributes.items()],
        "status": {},
        **changed,
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {}, "spans": [fields]}]}]})


NEW = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "aws.bedrock",
    "gen_ai.request.model": "gpt-5-mini",
    "gen_ai.response.model": "gpt-5-mini-2025-08-07",
    "gen_ai.response.id": "resp_1",
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.usage.input_tokens": 900,
    "gen_ai.usage.output_tokens": 120,
    "gen_ai.usage.cache_read.input_tokens": 512,
    "gen_ai.usage.reasoning.output_tokens": 64,
    "gen_ai.conversation.id": "conv-1",
}
OLD = {
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-5-mini",
    "gen_ai.usage.prompt_tokens": 900,
    "gen_ai.usage.completion_tokens": 120,
}


def test_a_span_with_the_new_names_is_a_request(read: Reader) -> None:
    record = read("otel-spans", spans_dot_jsonl=span(NEW)).only
    assert record[4:8] == (900, 512, 120, 64)
    assert record.external_id == "5b8efff798038103d269b633813fc60c:eee19b7ec3c1b174"
    assert (record.provider, record.model) == ("bedrock", "gpt-5-mini-2025-08-07")
    assert (record.operation_id, record.project, record.latency_ms) == ("session:conv-1", "shop", 2400)
    assert (record.finish_reason, record.usage_source) == ("stop", "caller")


def test_a_span_with_the_old_names_is_a_request(read: Reader) -> None:
    record = read("otel-spans", spans_dot_jsonl=span(OLD)).only
    assert record[4:8] == (900, 0, 120, 0)
    assert record.operation_id == "trace:5b8efff798038103d269b633813fc60c"


@pytest.mark.parametrize("operation", ["invoke_agent", "create_agent", "execute_tool", "invoke_workflow"])
def test_spans_that_repeat_what_their_requests_used_do_not_count(read: Reader, operation: str) -> None:
    changed = {**NEW, "gen_ai.operation.name": operation}
    assert read("otel-spans", spans_dot_jsonl=span(changed)).records == []


def test_where_cached_tokens_stand_beside_the_input_they_are_added(read: Reader) -> None:
    changed = {**OLD, "gen_ai.usage.prompt_tokens": 4, "gen_ai.usage.cache_read_input_tokens": 30_000}
    assert read("otel-spans", spans_dot_jsonl=span(changed)).only[4:6] == (30_004, 30_000)


def test_a_failed_span_is_a_failed_request(read: Reader) -> None:
    assert read("otel-spans", spans_dot_jsonl=span(NEW, status={"code": "STATUS_CODE_ERROR"})).only.status == "failed"


@pytest.mark.parametrize(
    "text",
    [
        span(NEW, startTimeUnixNano=None),
        span({**NEW, "gen_ai.usage.input_tokens": -3}),
        span({**NEW, "gen_ai.usage.input_tokens": 0.5}),
        '{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[null,{"key":1}]}]}]}]}',
        '{"resourceSpans":"?"}',
    ],
)
def test_a_malformed_span_is_left_out(read: Reader, text: str) -> None:
    found = read("otel-spans", spans_dot_jsonl=f"{text}\n{span(NEW)}")
    assert len(found.records) == 1
