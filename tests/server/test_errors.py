"""What a caller reads when its arguments are wrong, whatever they are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from docs.generate.tokens import count
from wattproof.server.mcp_errors import argument_problems
from wattproof.server.tool_table import TOOLS

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(sorted({name for spec in TOOLS for name in spec.arguments.model_fields}))


@given(st.sampled_from(TOOLS), st.dictionaries(names | st.text(max_size=10), anything, max_size=6))
def test_every_refusal_is_short_sentences_that_name_an_argument(spec: Any, arguments: dict[str, Any]) -> None:
    try:
        spec.arguments.model_validate(arguments)
    except ValidationError as error:
        told = argument_problems(error, spec.arguments)
        assert "pydantic" not in told
        assert "; " in told
        assert told.endswith((".", "?"))
        assert len(told) < 5 * 600


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"model": ""}, "model is ''; give at least 1 character."),
        ({"model": "m" * 201}, "give at most 200 characters."),
        ({"model": "m", "input_tokens": 1.5}, "input_tokens is 1.5; give an integer."),
        ({"model": "m", "input_tokens": 10**13}, "input_tokens is 10000000000000; give at most 1000000000000."),
        ({"model": []}, "model is []; give at least 1."),
        ({"model": 7}, "model is 7; give text or a list."),
        ({"model": "m", "methods": ["a"] * 21}, "give at most 20."),
        ({"model": "m", "known": {"pue": 0.9}}, "known.pue is 0.9; give at least 1."),
        ({"model": "m", "known": {"wpue": 1}}, "known.wpue is not known there; give any of pue, "),
        ({"model": "m", "known": {"samples": {"gpu_wh": -1}}}, "known.samples.gpu_wh is -1; give at least 0."),
        ({"model": "m", "methods": [7]}, "methods.0 is 7; give text."),
        ({"model": "m", "detail": "long"}, "detail is 'long'; give 'brief', 'full' or 'plot'."),
    ],
)
def test_a_refusal_says_what_would_work(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TOOLS[0].arguments.model_validate(arguments)
    assert told in argument_problems(caught.value, TOOLS[0].arguments)


def test_at_most_five_problems_are_told_and_the_rest_counted() -> None:
    with pytest.raises(ValidationError) as caught:
        TOOLS[0].arguments.model_validate({f"wrong_{at}": 1 for at in range(8)})
    assert argument_problems(caught.value, TOOLS[0].arguments).endswith(" And 4 more.")


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("estimate_request", {"input_tokens": 1}),
    ("estimate_request", {"model": "m", "regoin": "FR"}),
    ("estimate_request", {"model": "m", "known": {"wpue": 1}}),
    ("estimate_request", {"model": "m", "workload": "poetry"}),
    ("run_inference", {"model": "m", "messages": [{}], "max_output_tokens": 0}),
    ("run_inference", {"model": "m", "messages": [{}], "max_output_tokens": 1, "celing": 5}),
    ("track_operation", {"action": "finish"}),
    ("track_operation", {"action": "record", "steps": [{"step_id": "s", "model": "m", "usage": {"tokens": 1}}]}),
    ("summarize_ledger", {"group_by": "colour"}),
    ("verify_receipt", {"receipt": 7}),
    ("explain", {}),
]


@pytest.mark.parametrize(("name", "arguments"), WRONG)
def test_a_refusal_of_one_argument_costs_few_tokens(name: str, arguments: dict[str, Any]) -> None:
    spec = next(spec for spec in TOOLS if spec.name == name)
    with pytest.raises(ValidationError) as caught:
        spec.arguments.model_validate(arguments)
    assert count(argument_problems(caught.value, spec.arguments)) <= 60
