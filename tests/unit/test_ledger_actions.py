"""What follows for an account: begun, changed, ended, and told again where a process died before it was told."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given

from enforcement.ledger.account_actions import Place, Step, step
from enforcement.ledger.settings import AgeAssurance, LedgerSettings
from tests.ledger_records import DAY, START, Record, estimate, ordered, proven, records, restricted, reviewed
from tests.unit.test_ledger_fold import folded, placed

SETTINGS = LedgerSettings(strike_days=30, age_assurance=AgeAssurance(detector="age"))


def steps(told: Sequence[Record]) -> list[Step]:
    value, found = None, []
    for topic, offset, record in placed(told):
        found.append(step(value, Place(topic, 0, offset), record, SETTINGS))
        value = found[-1].value
    return found


def said(*told: Record) -> list[list[tuple[str, bool]]]:
    return [[(each["action"], each["in_force"]) for each in one.actions] for one in steps(told)]


def test_the_ladder_is_climbed_and_descended():
    told = [restricted(START + day * DAY, f"d{day}", f"c{day}") for day in range(3)]
    told.append(reviewed(START + 4 * DAY, "d1"))
    told.append(ordered(START + 5 * DAY))
    assert said(*told) == [
        [("warn", True)],
        [("warn", True)],
        [("warn", True), ("limit_features", True)],
        [("limit_features", False)],
        [("warn", False)],
    ]


def test_an_account_is_asked_for_its_age_where_the_detector_can_not_say_until_it_proves_it():
    asked = [("request_age_assurance", True)]
    assert said(estimate(age=40.0), estimate(START + DAY, 17.5), estimate(START + 2 * DAY, 17.5)) == [[], asked, []]
    assert said(estimate(age=18.0), proven(START + DAY, verified_over=18)) == [
        asked,
        [("request_age_assurance", False)],
    ]


def test_a_proof_that_leaves_the_gate_open_ends_no_question():
    asked = [("request_age_assurance", True)]
    assert said(estimate(age=18.0), proven(START + DAY, verified_over=13)) == [asked, []]
    assert said(proven(verified_over=13), estimate(START + DAY, age=18.0)) == [[], asked]


def test_an_action_names_its_cause_and_no_probability():
    (action,) = steps([estimate(), restricted()])[1].actions
    assert action["until"] == START + 30 * DAY
    assert (action["strikes"], action["threshold"]) == (1.0, 1.0)
    assert (action["cause_topic"], action["cause_offset"]) == ("moderation.ledger-inputs", 0)
    assert not {"reach", "age", "probability"} & set(action)


@given(records)
def test_steps_fold_and_ids_are_told_apart(told: list[Record]):
    found = steps(told)
    assert (found[-1].value if found else None) == folded(placed(told), settings=SETTINGS)
    ids = [action["action_id"] for one in found for action in one.actions]
    assert len(ids) == len(set(ids))


@given(records)
def test_what_was_not_told_before_a_crash_is_told_when_the_record_comes_again(told: list[Record]):
    """Whatever is in force after the last record of a topic is among what is said when that comes again."""
    in_force: dict[str, dict[str, Any]] = {}
    value = None
    for topic, offset, record in placed(told):
        one = step(value, Place(topic, 0, offset), record, SETTINGS)
        value = one.value
        in_force |= {each["action"]: each for each in one.actions}
        again = step(value, Place(topic, 0, offset), record, SETTINGS)
        assert (again.value, again.new) == (value, False)
        told_again = {each["action_id"]: each for each in again.actions}
        assert all(told_again[each["action_id"]] == each for each in one.actions)
