"""The decision, against a plain reference that takes one event after the other and knows no arrays."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enforcement.conditions import facts
from enforcement.decide import NO_DEADLINE, Policy, decide
from enforcement.explain import explain
from enforcement.pack_model import PackFile
from enforcement.packs import Pack
from schemas.actions import Action
from schemas.columns import Events, Score, Scores
from schemas.errors import UserMistake
from schemas.statuses import Status
from tests.decided_batches import COLUMNS, DEFAULT_PACK, NOW_MS, PROPERTY, batches, events, scores, versions

CATEGORIES = ["hate", "harassment", "profanity", "spam"]


def pack_of(data: dict[str, Any]) -> Pack:
    return Pack(DEFAULT_PACK.folder, "0" * 64, PackFile.model_validate(data), DEFAULT_PACK.document)


def bind(pack: Pack, columns: tuple[Score, ...] = COLUMNS) -> Policy:
    detectors = tuple(dict.fromkeys(column.detector for column in columns))
    return Policy(pack, columns, detectors, versions(detectors))


@dataclass
class Plain:
    """What the reference says of one event."""

    action: Action = Action.allow
    rule: str | None = None
    score: float | None = None
    fired: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def reference(pack: Pack, taken: Events, given_scores: Scores, row: int) -> Plain:
    """Rules in the pack's order, then what is missing; a later one replaces an earlier one only if it is stricter."""
    record = taken.records[row]
    facts = {
        "content_type": taken.topics[row].removeprefix("content."),
        "surface": record.get("surface"),
        "audience": record.get("audience"),
        "operation": record.get("operation") or "create",
    }
    if facts["operation"] == "delete":
        return Plain(rule="deletion")
    plain = Plain()
    for rule in pack.file.rules:
        threshold = pack.file.thresholds[rule.threshold]
        only = rule.detector or threshold.detector
        seen = [
            float(given_scores.probability[row, i])
            for i, column in enumerate(given_scores.columns)
            if column.category == rule.category and only in (None, column.detector)
        ]
        seen = [p for p in seen if p == p]
        wrong = [f for f, v in facts.items() if getattr(rule.when, f) and v not in getattr(rule.when, f)]
        if seen and not wrong and max(seen) >= float(np.float32(threshold.value)):
            plain.fired += (rule.id,)
            if rule.action > plain.action:
                plain.action, plain.rule, plain.score = rule.action, rule.id, max(seen)
    for wanted in (Status.abstained, Status.error):  # the order in which equals decide
        for i, name in enumerate(given_scores.detectors):
            if given_scores.status[row, i] != wanted:
                continue
            plain.missing += (name,)
            action = pack.file.on_missing.get(name, {}).get(wanted.name, Action.hold)
            if action > plain.action or plain.rule is None:
                plain.action, plain.rule, plain.score = action, f"on_missing.{name}.{wanted.name}", None
    return plain


def assert_as_reference(pack: Pack, taken: Events, given_scores: Scores) -> None:
    policy = bind(pack, given_scores.columns)
    decided = decide(policy, facts(taken), given_scores, NOW_MS)
    for row in range(len(taken)):
        plain = reference(pack, taken, given_scores, row)
        outcome = policy.outcomes[decided.outcome[row]]
        score = None if np.isnan(decided.score[row]) else float(decided.score[row])
        fired = tuple(rule.id for rule, f in zip(policy.rules, decided.fired[row], strict=True) if f)
        missing = {name for name, gone in zip(policy.detectors, decided.missing[row], strict=True) if gone}
        assert (outcome.action, outcome.rule, score) == (plain.action, plain.rule, plain.score)
        assert (fired, missing) == (plain.fired, set(plain.missing))
        assert decided.degraded[row] == bool(plain.missing)
        held = outcome.action is Action.hold
        assert decided.deadline_ms[row] == (NOW_MS + policy.hold_ms if held else NO_DEADLINE)


@PROPERTY
@given(batches())
def test_the_default_pack_decides_as_the_plain_reference_does(batch: tuple[Events, Scores]) -> None:
    assert_as_reference(DEFAULT_PACK, *batch)


rules = st.lists(
    st.fixed_dictionaries(
        {
            "category": st.sampled_from(CATEGORIES),
            "threshold": st.sampled_from(["low", "high", "text"]),
            "action": st.sampled_from([action.name for action in Action if action]),
            "reason": st.just("Because."),
        },
        optional={
            "when": st.fixed_dictionaries(
                {},
                optional={
                    "content_type": st.just(["comments", "messages"]),
                    "surface": st.sampled_from([["live-chat"], ["comments", "elsewhere"]]),
                    "audience": st.just(["public"]),
                    "operation": st.just(["edit"]),
                },
            )
        },
    ),
    max_size=8,
)
missing_actions = st.sampled_from([action.name for action in Action])


@PROPERTY
@given(
    batches(),
    rules,
    st.fixed_dictionaries(
        {},
        optional={
            "text": st.fixed_dictionaries({}, optional={"error": missing_actions, "abstained": missing_actions}),
            "lexicon": st.fixed_dictionaries({"error": missing_actions}),
        },
    ),
)
def test_any_pack_decides_as_the_plain_reference_does(
    batch: tuple[Events, Scores], some: list[dict[str, Any]], on_missing: dict[str, Any]
) -> None:
    pack = pack_of(
        {
            "name": "any",
            "thresholds": {
                "low": {"value": 0.5},
                "high": {"value": 0.95},
                "text": {"value": 0.9, "detector": "text"},
            },
            "rules": [rule | {"id": f"rule-{i}"} for i, rule in enumerate(some)],
            "on_missing": on_missing,
            "hold": {"deadline_hours": 1.5},
        }
    )
    assert_as_reference(pack, *batch)


@PROPERTY
@given(batches())
def test_an_event_is_decided_alone_as_in_company(batch: tuple[Events, Scores]) -> None:
    """Nothing about one event depends on its neighbours."""
    taken, given_scores = batch
    policy = bind(DEFAULT_PACK)
    together = decide(policy, facts(taken), given_scores, NOW_MS)
    for row in range(len(taken)):
        one = slice(row, row + 1)
        alone = Scores(
            given_scores.columns,
            given_scores.detectors,
            given_scores.versions,
            given_scores.probability[one],
            given_scores.status[one],
            given_scores.reason[one],
        )
        assert decide(policy, facts(taken).row(row), alone, NOW_MS).outcome[0] == together.outcome[row]


@PROPERTY
@given(batches(largest=1))
def test_explain_agrees_with_decide(batch: tuple[Events, Scores]) -> None:
    """What explain says fired is what fired, and each rule of the pack is accounted for."""
    taken, given_scores = batch
    policy = bind(DEFAULT_PACK)
    decided = decide(policy, facts(taken), given_scores, NOW_MS)
    said = explain(policy, facts(taken), given_scores, NOW_MS)
    assert said.outcome == policy.outcomes[decided.outcome[0]]
    assert [trace.rule for trace in said.rules] == [rule.id for rule in DEFAULT_PACK.file.rules]
    fired = {trace.rule: trace.fired for trace in said.rules}
    bound = [fired.pop(rule.id) for rule in policy.rules]
    assert bound == decided.fired[0].tolist()
    assert not any(fired.values())  # those that no detector here can make fire
    assert all((" reaches " in trace.why and ";" not in trace.why) == trace.fired for trace in said.rules)


def test_a_score_that_is_no_number_is_refused_and_never_read_as_safe() -> None:
    policy = bind(DEFAULT_PACK)
    taken = events([{"event_id": "e", "account_id": "a"}])
    broken = scores([0.1] * 6)
    broken.probability[0, 0] = np.nan
    with pytest.raises(ValueError, match="not a number"):
        decide(policy, facts(taken), broken, NOW_MS)


def test_scores_of_other_columns_are_refused() -> None:
    policy = bind(DEFAULT_PACK)
    other = (Score("text", "hate"),)
    taken = events([{"event_id": "e", "account_id": "a"}])
    with pytest.raises(ValueError, match="other columns"):
        decide(policy, facts(taken), scores([0.1], columns=other), NOW_MS)


def test_a_threshold_for_another_version_of_the_model_is_the_users_mistake() -> None:
    thresholds = {"t": {"value": 0.5, "detector": "text", "model_version": "text-0"}}
    rule = {"id": "r", "category": "hate", "threshold": "t", "action": "label", "reason": "Because."}
    pack = pack_of({"name": "p", "thresholds": thresholds, "rules": [rule], "hold": {"deadline_hours": 1}})
    with pytest.raises(UserMistake, match=r"for version text-0 of the detector 'text', and [0-9a-f]+ runs"):
        bind(pack)


def test_no_event_at_all_is_decided_too() -> None:
    decided = decide(bind(DEFAULT_PACK), facts(events([])), scores([]), NOW_MS)
    assert len(decided) == 0
