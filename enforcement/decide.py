"""The decision: a pure function of arrays. The same one serves the worker, `policy test` and `policy explain`.

Everything that can decide about an event is an outcome, and they stand in one row, strictest first:

    deletion                       nothing is left to judge: allowed, whatever else applies
    a rule of the pack             its score, if it reads one, reached its threshold and its conditions hold
    on_missing.DETECTOR.STATUS     a score is missing, and this is what the pack says of it
    second_look.DETECTOR           a detector that works elsewhere is still to look, and this holds meanwhile
    allowed                        applies always

The first that applies decides. Where a rule and a missing score are equally strict, the rule does: it says more; among
rules the pack's order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from enforcement.account_facts import AccountConditions
from enforcement.cascade import Cascade
from enforcement.conditions import DELETE, Conditions, Facts, check
from enforcement.pack_model import Rule, Threshold
from enforcement.packs import Pack
from schemas.actions import Action
from schemas.columns import Score, Scores
from schemas.errors import UserMistake
from schemas.statuses import Status

NO_DEADLINE: Final = -1  # where a deadline would be: this is no hold
MISSING: Final = (Status.abstained, Status.error)  # `skipped` was not asked, so nothing is missing

_HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """One thing that can decide."""

    action: Action
    rule: str | None = None
    category: str | None = None
    threshold: float | None = None  # a float32's value: what is compared, and what is recorded
    reason: str | None = None
    review: bool = False


ALLOWED: Final = Outcome(Action.allow)
DELETION: Final = Outcome(Action.allow, "deletion", reason="The content was deleted by its account.")
POLICY_ERROR: Final = Outcome(
    Action.hold, "policy_error", reason="Our check failed on this content. It is not shown until it has been checked."
)
_MISSING_REASON: Final = "Our check of this content is not complete yet."


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """What was decided about `n` events.

    outcome      intp (n,), an index into the policy's `outcomes`
    score        float32 (n,), what the deciding rule compared; NaN where no rule decided
    fired        bool (n, rules), every rule that fired
    missing      bool (n, detectors)
    later        bool (n, policy.second_look), who is still to look at it: then the decision is provisional
    degraded     bool (n,)
    deadline_ms  int64 (n,), by when a hold must end, milliseconds since 1970; NO_DEADLINE for what is no hold
    """

    outcome: NDArray[np.intp]
    score: NDArray[np.float32]
    fired: NDArray[np.bool_]
    missing: NDArray[np.bool_]
    later: NDArray[np.bool_]
    degraded: NDArray[np.bool_]
    deadline_ms: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.outcome)


class Policy:
    """A pack bound to the detectors that a worker runs.

    Attributes:
        rules: those that can fire; the columns of `Decisions.fired`.
        outcomes: everything that can decide, strictest first, and POLICY_ERROR as the last.
        second_look: detectors that are asked later, by a worker that has them.
        notices: rules that can't fire here, because no detector gives what they read.

    Raises:
        UserMistake: a threshold is for another version of a model.
    """

    def __init__(self, pack: Pack, columns: Sequence[Score], detectors: Sequence[str], versions: Sequence[str]) -> None:
        self.pack, self.columns = pack, tuple(columns)
        self.detectors, self.versions = tuple(detectors), tuple(versions)
        check_versions(pack, dict(zip(detectors, versions, strict=True)))
        elsewhere = {n: a for n, a in pack.file.detectors.items() if a.second_look and n not in self.detectors}
        self.second_look = tuple(elsewhere)
        self.cascade = Cascade(list(elsewhere.values()), self.columns, self.detectors)
        self._detector_of = [self.detectors.index(column.detector) for column in self.columns]
        reads = [(rule, read) for rule in pack.file.rules if (read := self._read_by(rule)) or rule.category is None]
        self.rules = [rule for rule, _ in reads]
        inert = [r for r in pack.file.rules if r not in self.rules and self._only(r) not in self.second_look]
        self.notices = [f"rule {rule.id}: no detector gives {rule.detector or rule.category}; inert" for rule in inert]
        distinct = list(dict.fromkeys(read for _, read in reads))
        self.signals = [list(read) for read in distinct]  # columns of which a signal is the largest
        self.signal_of = np.array([distinct.index(read) for _, read in reads], dtype=np.intp)  # (rules,)
        self.scoreless = np.array([rule.category is None for rule in self.rules], dtype=bool)  # (rules,)
        self.thresholds = np.array([self._threshold(rule) for rule in self.rules], dtype=np.float32)
        self.conditions = Conditions([rule.when for rule in self.rules])
        self.gates = tuple(pack.file.age.gates) if pack.file.age else ()
        self.accounts = AccountConditions([rule.when for rule in self.rules], self.gates)
        self.can_miss = np.array([self._can_miss(pack, i) for i in range(len(self.detectors))], dtype=bool)
        self.outcomes, self.order = _strictest_first(self)
        self.holds = np.array([outcome.action is Action.hold for outcome in self.outcomes])
        self.hold_ms = round(pack.file.hold.deadline_hours * _HOUR_MS)

    def _read_by(self, rule: Rule) -> tuple[int, ...]:
        """Indices of the columns that a rule reads."""
        only = self._only(rule)
        return tuple(
            i for i, c in enumerate(self.columns) if c.category == rule.category and only in (None, c.detector)
        )

    def _only(self, rule: Rule) -> str | None:
        """The one detector that a rule reads, if it is one."""
        return rule.detector or (self.pack.file.thresholds[rule.threshold].detector if rule.threshold else None)

    def _threshold(self, rule: Rule) -> float:
        """NaN for a rule without a score: nothing reaches it."""
        return self.pack.file.thresholds[rule.threshold].value if rule.threshold else np.nan

    def _can_miss(self, pack: Pack, detector: int) -> bool:
        """Whether policy waits for its score. Who only tells ages gives none: an unknown age is the stricter audience.

        One that nobody here has, so that it has no version, is waited for.
        """
        name = self.detectors[detector]
        if detector in self._detector_of:
            return True
        if name in {model.detector for model in pack.age_models}:
            return False
        return not self.versions[detector] or name in pack.named_detectors

    def asking(self, facts: Facts) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Of which events a rule asks about the author, and about the recipients; both of shape (n,).

        Raises:
            TypeError: as `decide`.
        """
        held = np.broadcast_to(self.conditions.hold(facts), (len(facts), len(self.rules)))
        kept = np.fromiter((operation != DELETE for operation in facts.operation), bool, len(facts))
        author = held[:, self.accounts.author_rules].any(axis=1) & kept
        return author, held[:, self.accounts.recipient_rules].any(axis=1) & kept

    def check(self, scores: Scores) -> None:
        """Refuse scores that can't be read as what they say they are: a NaN that counts as a score would allow.

        Raises:
            ValueError: other columns or detectors, or a detector that says `scored` and gives no number.
        """
        if scores.columns != self.columns or scores.detectors != self.detectors:
            raise ValueError("the scores have other columns than the policy is bound to")
        said = scores.status[:, self._detector_of] == Status.scored
        if (said & np.isnan(scores.probability)).any():
            raise ValueError("a detector's status is scored, and its score is not a number")

    @property
    def thresholds_by_name(self) -> list[tuple[str, Threshold]]:
        """All thresholds of the pack, in its order."""
        return list(self.pack.file.thresholds.items())

    @property
    def policy_error(self) -> int:
        """Index of POLICY_ERROR: no event's arrays lead there."""
        return len(self.outcomes) - 1


def decide(policy: Policy, facts: Facts, scores: Scores, as_of_ms: int) -> Decisions:
    """Decide about `n` events.

    Raises:
        TypeError: a fact that the policy asks about is not a string.
        ValueError: scores that can't be read, see `Policy.check`.
    """
    policy.check(scores)
    check("operation", facts.operation)
    deleted = np.fromiter((operation == DELETE for operation in facts.operation), bool, len(facts))
    seen = signals(policy, scores)
    fired = (seen[:, policy.signal_of] >= policy.thresholds) | policy.scoreless  # NaN, which is no score, never fires
    fired &= policy.conditions.hold(facts)
    fired &= ~deleted[:, None]
    if policy.accounts:
        fired &= policy.accounts.hold(facts.accounts, len(facts))
    absent = [(scores.status == status) & policy.can_miss for status in MISSING]
    missing = np.logical_or(*absent) & ~deleted[:, None]
    later = policy.cascade.asked(facts, scores)
    always = np.ones((len(facts), 1), dtype=bool)
    applies = np.concatenate((deleted[:, None], fired, *absent, later, always), axis=1)[:, policy.order]
    outcome = applies.argmax(axis=1)
    return Decisions(
        outcome,
        _deciding_score(policy, outcome, seen),
        fired,
        missing,
        later,
        missing.any(axis=1) | (facts.accounts.behind if facts.accounts else False),
        np.where(policy.holds[outcome], as_of_ms + policy.hold_ms, NO_DEADLINE),
    )


def failed(policy: Policy, detectors: int, as_of_ms: int) -> Decisions:
    """The decision about one event on which the policy itself fails: held, whatever its scores are."""
    return Decisions(
        np.array([policy.policy_error], dtype=np.intp),
        np.array([np.nan], dtype=np.float32),
        np.zeros((1, len(policy.rules)), dtype=bool),
        np.zeros((1, detectors), dtype=bool),
        np.zeros((1, len(policy.second_look)), dtype=bool),
        np.ones(1, dtype=bool),
        np.array([as_of_ms + policy.hold_ms], dtype=np.int64),
    )


def signals(policy: Policy, scores: Scores) -> NDArray[np.float32]:
    """What the rules compare: the largest score over the columns of each signal; shape (n, signals)."""
    seen = np.empty((len(scores), len(policy.signals)), dtype=np.float32)
    for i, columns in enumerate(policy.signals):
        # fmax: what is NaN does not count; NaN for a rule that reads no score
        np.fmax.reduce(scores.probability[:, columns], axis=1, out=seen[:, i], initial=np.nan)
    return seen


def _deciding_score(policy: Policy, outcome: NDArray[np.intp], seen: NDArray[np.float32]) -> NDArray[np.float32]:
    """The score of the rule that decided, NaN where none did."""
    score = np.full(len(outcome), np.nan, dtype=np.float32)
    place = policy.order[np.minimum(outcome, len(policy.order) - 1)]  # 0 is deletion, then the rules
    rows = np.flatnonzero((place >= 1) & (place <= len(policy.rules)))
    score[rows] = seen[rows, policy.signal_of[place[rows] - 1]]
    return score


def _strictest_first(policy: Policy) -> tuple[list[Outcome], NDArray[np.intp]]:
    """All outcomes in the order in which they decide, and where each stands in `applies` as `decide` builds it."""
    rules = [
        Outcome(r.action, r.id, r.category and str(r.category), float(t) if r.threshold else None, r.reason, r.review)
        for r, t in zip(policy.rules, policy.thresholds, strict=True)
    ]
    gone = [_missing(policy.pack, detector, status) for status in MISSING for detector in policy.detectors]
    later = [_later(policy.pack, detector) for detector in policy.second_look]
    built = [DELETION, *rules, *gone, *later, ALLOWED]
    middle = sorted(range(1, len(built) - 1), key=lambda i: -built[i].action)  # stable: rules before what is missing
    order = [0, *middle, len(built) - 1]
    return [*(built[i] for i in order), POLICY_ERROR], np.array(order, dtype=np.intp)


def _missing(pack: Pack, detector: str, status: Status) -> Outcome:
    action = pack.on_missing(detector, status.name)
    return Outcome(action, f"on_missing.{detector}.{status.name}", reason=_MISSING_REASON if action else None)


def _later(pack: Pack, detector: str) -> Outcome:
    action = pack.file.detectors[detector].meanwhile
    return Outcome(action, f"second_look.{detector}", reason=_MISSING_REASON if action else None)


def check_versions(pack: Pack, versions: Mapping[str, str]) -> None:
    """Refuse thresholds and bands of other versions than run here, detector → version.

    Raises:
        UserMistake: one is for another version of a model.
    """
    for what, detector, version in pack.bound:
        running = versions.get(detector, version)
        if running != version:
            raise UserMistake(
                f"{pack.folder}: {what} is for version {version} of the detector {detector!r}, and {running} runs: "
                f"check it against that model's card, and name that version in the pack, or in a copy of it that "
                f"policy.pack names"
            )
