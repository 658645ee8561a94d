"""Why a decision came out as it did: for one event each rule of the pack, what it saw, and why it fired or not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from enforcement.account_facts import AccountFacts, GateOutcome
from enforcement.conditions import FIELDS, Facts
from enforcement.decide import Decisions, Outcome, Policy, decide, signals
from enforcement.pack_model import Rule, RuleWhen
from schemas.columns import Scores
from schemas.statuses import Status


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """One rule and one event."""

    rule: str
    action: str
    fired: bool
    score: float | None  # what it compared; None where no detector gave a score
    threshold: float | None  # None for a rule without category
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
        threshold = float(np.float32(policy.pack.file.thresholds[rule.threshold].value)) if rule.threshold else None
        place = places.get(rule.id)
        if place is None:
            why = f"no detector here gives {rule.category} as this rule reads it"
            yield RuleTrace(rule.id, rule.action.name, fired=False, score=None, threshold=threshold, why=why)
            continue
        score = None if np.isnan(seen[place]) else float(seen[place])
        fired = bool(decided.fired[0, place])
        why = _why(policy, rule, facts, score, threshold, _statuses(policy, scores, place))
        yield RuleTrace(rule.id, rule.action.name, fired, score, threshold, why)


def _why(policy: Policy, rule: Rule, facts: Facts, score: float | None, threshold: float | None, statuses: str) -> str:
    """Everything that keeps a rule from firing; else what made it fire."""
    against = [f"{field} is {_said(facts, field)}, not one of {', '.join(_asked(rule, field))}" for field in FIELDS
               if _asked(rule, field) and _facts(facts, field).isdisjoint(_asked(rule, field))]  # fmt: skip
    if facts.operation[0] == "delete":
        against.append("the content was deleted")
    known = facts.accounts or AccountFacts.unknown(1, len(policy.gates))
    said = list(_accounts(rule.when, known, policy.gates))
    against += [words for holds, words in said if not holds]
    if threshold is None:
        return "; ".join(against) or " and ".join(words for _, words in said)
    if score is None:
        against.append(f"there is no score: {statuses}")
    elif score < threshold:
        against.append(f"{score:.4f} is under {threshold:.4f}")
    return "; ".join(against) or " and ".join([f"{score:.4f} reaches {threshold:.4f}", *(w for _, w in said)])


def _accounts(when: RuleWhen, known: AccountFacts, gates: Sequence[int]) -> Iterator[tuple[bool, str]]:
    """Each condition on an account: whether it holds, and what was found."""
    for whose, years, found in (
        ("the author", when.author_age, known.author), ("a recipient", when.recipient_age, known.recipient)
    ):  # fmt: skip
        if years is None:
            continue
        gate = years.under or years.at_least or 0
        outcome = GateOutcome(int(found[0, gates.index(gate)]))
        side = GateOutcome.below if years.under else GateOutcome.reached
        holds = bool(outcome & (side | GateOutcome.unknown))
        yield holds, f"{whose}: {_sides(outcome, gate)}"
    if when.strikes is not None:
        strikes, least = float(known.strikes[0]), when.strikes.at_least
        holds = strikes >= least
        said = "of unknown strikes" if np.isnan(strikes) else f"{strikes:g} in strikes"
        yield holds, f"the author: {said}, {'which reaches' if holds else 'not'} {least:g}"


def _sides(outcome: GateOutcome, gate: int) -> str:
    if not outcome:
        return "there is none"
    words = {
        GateOutcome.unknown: f"of unknown age, so the stricter side of {gate}",
        GateOutcome.below: f"under {gate}",
        GateOutcome.reached: f"{gate} or over",
    }
    return ", ".join(said for side, said in words.items() if outcome & side)


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
