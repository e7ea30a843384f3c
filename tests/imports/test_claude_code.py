"""Session logs of Claude Code: shapes as versions 1.0 to 2.1 write them, and what goes wrong in them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.imports.conftest import NOW_S, Reader
from wattproof.resources.imports.claude_code import read as read_logs
from wattproof.resources.imports.files import Files
from wattproof.resources.imports.records import Notes

COUNTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
SESSION = "0b2a3c44-5d66-4e77-8f88-99aabbccddee"


def line(**changed: Any) -> str:
    """A line of an answer; `usage`, `message` and other members may be changed."""
    usage = {
        "input_tokens": 4,
        "cache_creation_input_tokens": 1200,
        "cache_read_input_tokens": 30_000,
        "cache_creation": {"ephemeral_5m_input_tokens": 1200, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 211,
        "service_tier": "standard",
        **changed.pop("usage", {}),
    }
    message = {
        "id": "msg_01AbCdEf",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
        "content": [{"type": "text", "text": "a secret answer"}],
        "stop_reason": "end_turn",
        "usage": usage,
        **changed.pop("message", {}),
    }
    fields = {
        "parentUuid": "p",
        "isSidechain": False,
        "userType": "external",
        "cwd": "/home/ada/projects/engine",
        "sessionId": SESSION,
        "version": "2.1.228",
        "type": "assistant",
        "uuid": "u1",
        "requestId": "req_011",
        "timestamp": "2026-11-20T10:31:43.399Z",
        "message": message,
        **changed,
    }
    return json.dumps({name: value for name, value in fields.items() if value is not None})


def test_input_includes_what_was_read_from_and_written_to_the_cache(read: Reader) -> None:
    record = read("claude-code", s_dot_jsonl=line()).only
    assert (record.input_tokens, record.cached_input_tokens, record.output_tokens) == (31_204, 30_000, 211)
    assert record.occurred_at == "2026-11-20T10:31:43Z"
    assert (record.provider, record.model) == ("anthropic", "claude-sonnet-4-6")
    assert record.usage_source == "provider"
    assert (record.operation_id, record.project) == (f"claude-code:{SESSION}", "engine")
    assert record.provider_request_id == "req_011"


def test_the_blocks_of_one_answer_count_once(read: Reader) -> None:
    lines = [line(uuid=f"u{number}") for number in range(4)]
    found = read("claude-code", s_dot_jsonl="\n".join(lines))
    assert found.only.output_tokens == 211
    assert found.notes.repeated == 3


def test_of_a_streamed_answer_the_largest_count_and_the_first_time_hold(read: Reader) -> None:
    lines = [
        line(usage={"output_tokens": 5}, message={"stop_reason": None}, timestamp="2026-11-20T23:59:59.900Z"),
        line(usage={"output_tokens": 90}, timestamp="2026-11-21T00:00:02.100Z"),
        line(usage={"output_tokens": 40}, message={"stop_reason": None}, timestamp="2026-11-21T00:00:03.100Z"),
    ]
    record = read("claude-code", s_dot_jsonl="\n".join(lines)).only
    assert (record.output_tokens, record.occurred_at) == (90, "2026-11-20T23:59:59Z")
    assert record.finish_reason == "end_turn"


def test_a_copy_in_a_resumed_session_counts_once_even_without_its_request_id(read: Reader) -> None:
    found = read(
        "claude-code",
        p1__a_dot_jsonl=line(),
        p1__b_dot_jsonl="\n".join([line(requestId=None, sessionId="other"), line(message={"id": "msg_2"})]),
    )
    assert [record.external_id for record in found.records] == ["msg_01AbCdEf", "msg_2"]
    assert found.notes.repeated == 1


def test_an_answer_that_is_being_written_waits_for_the_next_import(read: Reader, write: Any) -> None:
    begun = [line(message={"id": "msg_0"}), line(message={"stop_reason": None}, usage={"output_tokens": 3})]
    folder = write({"s.jsonl": "\n".join(begun)})
    path = folder / "s.jsonl"
    for now_s, expected in ((path.stat().st_mtime + 5, ["msg_0"]), (NOW_S, ["msg_0", "msg_01AbCdEf"])):
        notes = Notes()
        found = list(read_logs(Files((path,), notes), notes, now_s))
        assert [record.external_id for record in found] == expected
    assert read("claude-code", s_dot_jsonl="\n".join(begun)).records


@pytest.mark.parametrize(
    ("message_id", "model", "provider"),
    [
        ("msg_bdrk_01", "claude-sonnet-4-5-20250929", "bedrock"),
        ("msg_vrtx_01", "claude-opus-4-6", "vertex"),
        ("chatcmpl-77", "kimi-k2.5", "unstated"),
    ],
)
def test_the_provider_follows_from_the_kind_of_answer(read: Reader, message_id: str, model: str, provider: str) -> None:
    record = read("claude-code", s_dot_jsonl=line(message={"id": message_id, "model": model})).only
    assert record.provider == provider


def test_notes_of_the_program_itself_are_no_requests(read: Reader) -> None:
    lines = [line(message={"model": "<synthetic>", "id": "x"}), line(type="user"), '{"type":"summary","usage":1}']
    found = read("claude-code", s_dot_jsonl="\n".join(lines))
    assert found.records == []
    assert not found.notes.skipped


@pytest.mark.parametrize(
    "changed",
    [
        {"usage": {"output_tokens": -1}},
        {"usage": {"input_tokens": 1e400}},
        {"usage": {"input_tokens": True}},
        {"usage": {"input_tokens": "many"}},
        {"usage": {"output_tokens": 10**13}},
        {"timestamp": "yesterday"},
        {"timestamp": "9999-01-01T00:00:00Z"},
        {"timestamp": None},
        {"usage": dict.fromkeys(COUNTS, 0)},
    ],
)
def test_a_malformed_answer_is_left_out_with_a_reason(read: Reader, changed: dict[str, Any]) -> None:
    text = line(**changed).replace("Infinity", "1e400")
    found = read("claude-code", s_dot_jsonl="\n".join([text, line(message={"id": "msg_good"})]))
    assert [record.external_id for record in found.records] == ["msg_good"]
    assert sum(found.notes.skipped.values()) == 1
    ((_, places),) = found.notes.examples.items()
    assert places[0].startswith("s.jsonl:1")


def test_a_log_cut_in_the_middle_of_a_line_gives_what_is_whole(read: Reader) -> None:
    found = read("claude-code", s_dot_jsonl=f"{line()}\n{line()[:200]}")
    assert len(found.records) == 1


def test_folders_of_windows_give_their_name_only(read: Reader) -> None:
    assert read("claude-code", s_dot_jsonl=line(cwd="C:\\Users\\ada\\engine")).only.project == "engine"


def test_prompts_and_answers_go_nowhere(read: Reader) -> None:
    assert "secret" not in repr(read("claude-code", s_dot_jsonl=line()).records)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    changed=st.dictionaries(
        st.sampled_from(["timestamp", "message", "requestId", "sessionId", "cwd", "type", "uuid"]), json_values
    ),
    usage=st.dictionaries(
        st.sampled_from(["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]),
        json_values,
    ),
)
def test_no_line_whatever_it_holds_stops_an_import(
    tmp_path_factory: pytest.TempPathFactory, changed: dict[str, Any], usage: dict[str, Any]
) -> None:
    whole = json.loads(line())
    whole.update(changed)
    if isinstance(whole.get("message"), dict):
        whole["message"]["usage"] = usage
    path = tmp_path_factory.mktemp("log") / "s.jsonl"
    path.write_text(json.dumps(whole), "utf-8")
    notes = Notes()
    for record in read_logs(Files((path,), notes), notes, NOW_S):
        assert 0 <= record.cached_input_tokens <= record.input_tokens <= 10**12
        assert record.external_id.isprintable()
        assert len(record.external_id) <= 200
