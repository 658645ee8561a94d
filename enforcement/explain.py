"""Why a decision came out as it did: for one event each rule of the pack, what it saw, and why it fired or not."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from enforcement.conditions import FIELDS, Facts
from enforcement.decide import Decisions, Outcome, Policy, decide, signals
from enforcement.pack_model import Rule
from schemas.columns import Scores
from schemas.statuses import Status


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """One rule and one event."""

    rule: str
    action: str
    fired: bool
    score: float | None  # what it compared; None where no detector gave a score
    threshold: float
    why: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """One event's decision, and how each rule of the pack, in its order, took part."""

    outcome: Outcome
    degraded: bool
    missing: list[str]
    deadline_ms: int
    rules: list[RuleTrace]


def explain(policy: Policy, facts: Facts, scores: Scores, as_of_ms: int) -> Explanation:
    """Decide about one event (one row), and say why.

    Raises:
        TypeError, ValueError: as `decide`.
    """
    decided = decide(policy, facts, scores, as_of_ms)
    outcome = policy.outcomes[decided.outcome[0]]
    missing = [name for name, gone in zip(policy.detectors, decided.missing[0], strict=True) if gone]
    traces = list(_traces(policy, facts, scores, decided))
    return Explanation(outcome, bool(decided.degraded[0]), missing, int(decided.deadline_ms[0]), traces)


def _traces(policy: Policy, facts: Facts, scores: Scores, decided: Decisions) -> Iterator[RuleTrace]:
    seen = signals(policy, scores)[0, policy.signal_of]
    places = {rule.id: place for place, rule in enumerate(policy.rules)}
    for rule in policy.pack.file.rules:
        threshold = np.float32(policy.pack.file.thresholds[rule.threshold].value)
        place = places.get(rule.id)
        if place is None:
            why = f"no detector here gives {rule.category} as this rule reads it"
            yield RuleTrace(rule.id, rule.action.name, fired=False, score=None, threshold=float(threshold), why=why)
            continue
        score = None if np.isnan(seen[place]) else float(seen[place])
        fired = bool(decided.fired[0, place])
        why = _why(rule, facts, score, float(threshold), _statuses(policy, scores, place))
        yield RuleTrace(rule.id, rule.action.name, fired, score, float(threshold), why)


def _why(rule: Rule, facts: Facts, score: float | None, threshold: float, statuses: str) -> str:
    """Everything that keeps a rule from firing; else what made it fire."""
    against = [f"{field} is {_said(facts, field)}, not one of {', '.join(_asked(rule, field))}" for field in FIELDS
               if _asked(rule, field) and _facts(facts, field).isdisjoint(_asked(rule, field))]  # fmt: skip
    if facts.operation[0] == "delete":
        against.append("the content was deleted")
    if score is None:
        against.append(f"there is no score: {statuses}")
    elif score < threshold:
        against.append(f"{score:.4f} is under {threshold:.4f}")
    return "; ".join(against) or f"{score:.4f} reaches {threshold:.4f}"


def _asked(rule: Rule, field: str) -> list[str]:
    return getattr(rule.when, field) or []


def _facts(facts: Facts, field: str) -> set[str | None]:
    """What a condition on a field looks at: the value, or of attachments the roles."""
    value = getattr(facts, field)[0]
    return set(value) if field == "attachment" else {value}


def _said(facts: Facts, field: str) -> str:
    return ", ".join(sorted(map(str, _facts(facts, field)))) or "none"


def _statuses(policy: Policy, scores: Scores, place: int) -> str:
    """The statuses of the detectors that a rule reads."""
    detectors = {policy.columns[column].detector for column in policy.signals[policy.signal_of[place]]}
    status = dict(zip(scores.detectors, scores.status[0].tolist(), strict=True))
    return ", ".join(f"{detector} is {Status(status[detector]).name}" for detector in sorted(detectors))
