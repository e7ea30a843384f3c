"""However much there is, a brief result stays brief and says how much it does not show, in the text and in the data."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from mcp.types import TextContent

from docs.generate.tokens import BUDGETS, count, wire
from wattproof.methodology.models import all_model_ids

if TYPE_CHECKING:
    from tests.fuzz.conftest import Session

LONG = "n" * 190
# Enough to be over every cap; `make fuzz` records more.
STEPS = 1000 if "WATTPROOF_FUZZ" in os.environ else 200

# The era changes nothing of this.
pytestmark = pytest.mark.parametrize("era", ["auto"], indirect=True)


def asked(session: Session, name: str, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    result = session.call(name, arguments)
    assert not result.is_error, result.content
    block = result.content[0]
    assert isinstance(block, TextContent)
    assert result.structured_content is not None
    return block.text, result.structured_content


def fill(session: Session, steps: int, *, name: str = "step") -> list[str]:
    """So many steps by as many models as there are."""
    models = all_model_ids()[:500]
    usage = {"input_tokens": 3000, "output_tokens": 800}
    for start in range(0, steps, 100):
        given = [
            {"step_id": f"{name}-{at}", "model": models[at % len(models)], "usage": usage}
            for at in range(start, min(start + 100, steps))
        ]
        asked(session, "track_operation", {"action": "record", "operation_id": "op_1", "steps": given})
    return list(models)


def test_hundreds_of_groups_and_a_thousand_steps_stay_within_the_budgets(session: Session) -> None:
    models = fill(session, STEPS)[:STEPS]
    text, data = asked(session, "summarize_ledger", {"group_by": "model"})
    more = len(models) - len(data["groups"])
    assert (len(data["groups"]), data["groups_more"], data["next_cursor"]) == (3, more, "3")
    assert f"; and {more} more (cursor 3)." in text
    assert count(text) <= BUDGETS["summarize_ledger"].text
    assert count(wire(data)) <= 1.1 * (BUDGETS["summarize_ledger"].data or 0)
    text, data = asked(session, "track_operation", {"action": "status", "operation_id": "op_1"})
    assert (data["step_count"], len(data["steps"]), data["steps_more"]) == (STEPS, 3, STEPS - 3)
    assert f"{STEPS:,} steps" in text
    assert count(text) <= 1.1 * BUDGETS["track_operation"].text
    _, whole = asked(session, "track_operation", {"action": "status", "operation_id": "op_1", "detail": "full"})
    assert len(whole["steps"]) == 100


def test_names_as_long_as_they_may_be_do_not_flood_the_text(session: Session) -> None:
    fill(session, 3, name=LONG)
    text, _ = asked(session, "track_operation", {"action": "status", "operation_id": "op_1"})
    assert LONG not in text
    assert count(text) <= BUDGETS["track_operation"].text + 60


def test_many_models_are_rows_up_to_a_limit_and_refused_beyond_it(session: Session) -> None:
    models = list(all_model_ids()[:200])
    request = {"input_tokens": 1000, "output_tokens": 400}
    refused = session.call("estimate_request", {"model": models, **request})
    assert refused.is_error
    assert "give at most 20" in str(refused.content)
    text, data = asked(session, "estimate_request", {"model": models[:20], **request})
    assert len(data["rows"]) == 20
    assert "; and 10 more." in text
    text, data = asked(
        session,
        "estimate_request",
        {"model": models[:20], **request, "methods": ["wattproof/param", "factors/tokens", "vetted/ladder"]},
    )
    assert (len(data["rows"]), data["rows_more"]) == (20, 40)
    assert " more" in text
    assert count(text) <= 1_000
    assert count(wire(data)) <= 3_500
