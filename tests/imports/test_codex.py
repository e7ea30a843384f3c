"""Session logs of Codex: running totals, repeated events and forks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.imports.conftest import Reader

PARENT = "019e648e-0000-7000-8000-000000000001"
CHILD = "019e67b4-0000-7000-8000-000000000002"


def event(kind: str, payload: dict[str, Any], at: str = "2026-11-20T05:26:21.908Z") -> str:
    return json.dumps({"timestamp": at, "type": kind, "payload": payload})


def meta(session: str = PARENT, **changed: Any) -> str:
    fields = {"id": session, "cwd": "/home/ada/engine", "originator": "codex_cli", "model_provider": "openai"} | changed
    return event("session_meta", fields)


def turn(model: str = "gpt-5.2-codex") -> str:
    return event("turn_context", {"cwd": "/home/ada/engine", "model": model, "summary": "auto"})


def usage(tokens: tuple[int, int, int, int]) -> dict[str, int]:
    whole, cached, output, reasoning = tokens
    return {
        "input_tokens": whole,
        "cached_input_tokens": cached,
        "output_tokens": output,
        "reasoning_output_tokens": reasoning,
        "total_tokens": whole + output,
    }


def counted(
    total: tuple[int, int, int, int], last: tuple[int, int, int, int] | None, at: str = "2026-11-20T05:26:21.908Z"
) -> str:
    info = {"total_token_usage": usage(total), "model_context_window": 258_400}
    if last is not None:
        info["last_token_usage"] = usage(last)
    return event("event_msg", {"type": "token_count", "info": info, "rate_limits": None}, at)


FIRST = counted((20_149, 9984, 5, 0), (20_149, 9984, 5, 0))
SECOND = counted((43_884, 20_480, 11, 4), (23_735, 10_496, 6, 4))


def test_each_request_is_the_usage_stated_last(read: Reader) -> None:
    found = read("codex", rollout_dot_jsonl="\n".join([meta(), turn(), FIRST, SECOND]))
    assert [record[4:8] for record in found.records] == [(20_149, 9984, 5, 0), (23_735, 10_496, 6, 4)]
    first = found.records[0]
    assert (first.provider, first.model, first.project) == ("openai", "gpt-5.2-codex", "engine")
    assert first.operation_id == f"codex:{PARENT}"
    assert first.usage_source == "provider"


def test_an_event_that_is_written_again_is_no_new_request(read: Reader) -> None:
    limits = event("event_msg", {"type": "token_count", "info": None, "rate_limits": {"primary": {}}})
    found = read("codex", rollout_dot_jsonl="\n".join([meta(), turn(), FIRST, limits, FIRST, SECOND, SECOND]))
    assert len(found.records) == 2


def test_imported_requests_cover_the_session_s_own_total(read: Reader) -> None:
    found = read("codex", rollout_dot_jsonl="\n".join([meta(), turn(), FIRST, SECOND]))
    assert found.notes.stated_tokens == 43_895 == sum(record.total_tokens for record in found.records)


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_a_fork_s_copy_of_its_parent_counts_once_whichever_is_read_first(read: Reader, names: tuple[str, str]) -> None:
    at = "2026-11-21T08:00:00.000Z"
    third = counted((60_000, 30_000, 40, 4), (16_116, 9520, 29, 0), "2026-11-21T08:03:00.000Z")
    parent = "\n".join([meta(), turn(), FIRST, SECOND])
    child = [
        meta(CHILD, forked_from_id=PARENT),
        meta(),
        turn(),
        counted((20_149, 9984, 5, 0), (20_149, 9984, 5, 0), at),
        counted((43_884, 20_480, 11, 4), (23_735, 10_496, 6, 4), at),
        third,
    ]
    files = {f"sessions__{names[0]}_dot_jsonl": parent, f"sessions__{names[1]}_dot_jsonl": "\n".join(child)}
    found = read("codex", **files)
    assert sorted(record.total_tokens for record in found.records) == [16_145, 20_154, 23_741]
    assert found.notes.repeated == 2
    assert len({record.external_id for record in found.records}) == 3


def test_two_sessions_with_the_same_counts_are_two(read: Reader) -> None:
    found = read(
        "codex",
        a_dot_jsonl="\n".join([meta(), turn(), FIRST]),
        b_dot_jsonl="\n".join([meta(CHILD), turn(), FIRST]),
    )
    assert len(found.records) == 2


def test_without_the_usage_stated_last_the_difference_of_totals_counts(read: Reader) -> None:
    lines = [meta(), turn(), counted((100, 0, 10, 0), None), counted((350, 100, 30, 5), None)]
    found = read("codex", rollout_dot_jsonl="\n".join(lines))
    assert [record[4:8] for record in found.records] == [(100, 0, 10, 0), (250, 100, 20, 5)]


def test_a_total_that_falls_without_a_usage_is_told(read: Reader) -> None:
    lines = [meta(), turn(), counted((500, 0, 10, 0), None), counted((100, 0, 10, 0), None)]
    found = read("codex", rollout_dot_jsonl="\n".join(lines))
    assert len(found.records) == 1
    assert found.notes.skipped == {"the usage of a request is not stated": 1}


def test_the_model_follows_the_settings_that_were_applied(read: Reader) -> None:
    applied = event("event_msg", {"type": "thread_settings_applied", "thread_settings": {"model": "gpt-5.6-sol"}})
    found = read("codex", rollout_dot_jsonl="\n".join([meta(), turn(), FIRST, applied, SECOND]))
    assert [record.model for record in found.records] == ["gpt-5.2-codex", "gpt-5.6-sol"]


def test_a_ring_of_forks_ends(read: Reader) -> None:
    found = read(
        "codex",
        a_dot_jsonl="\n".join([meta(PARENT, forked_from_id=CHILD), turn(), FIRST]),
        b_dot_jsonl="\n".join([meta(CHILD, forked_from_id=PARENT), turn(), SECOND]),
    )
    assert len(found.records) == 2


@pytest.mark.parametrize(
    "bad",
    [
        '{"type":"event_msg","payload":{"type":"token_count","info":{"total_token_usage":{"input_tokens":"x"}}}}',
        '{"type":"event_msg","payload":{"type":"token_count","info":[1]}}',
        '{"type":"session_meta","payload":{"id":7,"forked_from_id":[]}}',
        "[]",
        "{",
        '{"type":"turn_context","payload":{"model":{"a":1}}}',
    ],
)
def test_a_malformed_line_leaves_the_others(read: Reader, bad: str) -> None:
    found = read("codex", rollout_dot_jsonl="\n".join([meta(), turn(), bad, FIRST]))
    assert len(found.records) == 1
    assert found.records[0].model == "gpt-5.2-codex"
