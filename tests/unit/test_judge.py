"""Whatever can be decoded gets a decision: events on which the policy fails, and fields of odd types."""

import io
from typing import Any

import fastavro
import numpy as np
import pytest

from enforcement.judge import Verdicts
from schemas.actions import Action
from tests.decided_batches import DECISION, NOW_MS, events, judge, scores

JUDGE = judge()
PLAIN = {"event_id": "e", "account_id": "a"}
ODD = [["delete"], {"a": 1}, 7, b"delete"]


def decisions(verdicts: Verdicts) -> list[dict[str, Any]]:
    return [fastavro.schemaless_reader(io.BytesIO(v[5:]), DECISION.parsed, None) for v in verdicts.decisions]  # type: ignore[misc]


@pytest.mark.parametrize("operation", ODD)
def test_an_event_on_which_the_policy_fails_is_held_and_its_neighbours_are_decided(operation: object) -> None:
    """A user's own schema can have an `operation` that is no string: the policy can't read this event."""
    taken = events([PLAIN, PLAIN | {"operation": operation}, PLAIN])
    verdicts = JUDGE.judge(taken, scores([[0.99] + [0] * 5, [0] * 6, [0] * 6]), NOW_MS)
    hate, failed, fine = decisions(verdicts)
    assert (hate["rule"], fine["action"]) == ("hate", "allow")
    assert (failed["action"], failed["rule"], failed["degraded"]) == ("hold", "policy_error", True)
    assert failed["hold_deadline"] is not None
    assert failed["reason"]
    assert failed["operation"] == "unknown"
    assert verdicts.actions.tolist() == [Action.remove, Action.hold, Action.allow]
    assert verdicts.ledger_inputs[1] is not None


def test_a_score_that_is_no_number_holds_that_event_only() -> None:
    broken = scores(np.zeros((3, 6)))
    broken.probability[1, 2] = np.nan
    found = decisions(JUDGE.judge(events([PLAIN] * 3), broken, NOW_MS))
    assert [decision["rule"] for decision in found] == [None, "policy_error", None]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (f, v)
        for f in ("surface", "audience", "revision", "content_id")
        for v in [*ODD, 3.5, True]
        if (f, v) != ("revision", 7)
    ],
)
def test_a_field_of_an_odd_type_that_no_rule_asks_about_is_left_out(field: str, value: object) -> None:
    [decision] = decisions(JUDGE.judge(events([PLAIN | {field: value}]), scores([0] * 6), NOW_MS))
    assert decision["action"] == "allow"
    if field != "audience":  # which stands in the leaf only
        assert decision[field] == ("e" if field == "content_id" else None)
