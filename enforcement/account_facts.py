"""What policy may know of the accounts behind events: on which side of an age gate they are, and their strikes.

A probability never gets here: `enforcement.accounts` compares it with the gate's threshold, and what comes of it is one
of three. An age that nobody knows may be any, so a condition on it holds: a rule restricts, and the stricter audience
is the safe one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Self

import numpy as np
from numpy.typing import NDArray

from enforcement.pack_model import RuleWhen, Years


class GateOutcome(IntFlag):
    """On which side of a gate. A message has as many as its recipients differ."""

    unknown = 1  # no estimate, or one that abstains
    below = 2
    reached = 4


AUTHOR, RECIPIENT = "author", "recipient"
VERIFIED = "verified"  # in place of a detector: a proof of age decided


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of one account, for the leaf."""

    who: str  # AUTHOR or RECIPIENT
    in_force: str | None  # the detector whose outcomes decide, where no proof does; None: the pack has no gates
    outcomes: tuple[tuple[str, int, str], ...]  # detector or VERIFIED, gate, outcome's name
    strikes: float
    marks: tuple[tuple[str, int], ...]  # source topic → the last offset that this state has seen
    caught_up: bool  # whether the state could be read, and its partition had been read to the end


@dataclass(frozen=True, slots=True, eq=False)
class AccountFacts:
    """Of the accounts behind `n` events.

    author     uint8 (n, gates), bits of `GateOutcome`; 0 where nobody asked
    recipient  uint8 (n, gates), those of all recipients together; 0 where there is none
    strikes    float32 (n,), of the author; NaN where nobody asked
    behind     bool (n,), whether something was read from a state that was not caught up, or can't be read
    readings   row → what was read
    stopped    whether the candidate decides for nobody, because it would change too much
    """

    author: NDArray[np.uint8]
    recipient: NDArray[np.uint8]
    strikes: NDArray[np.float32]
    behind: NDArray[np.bool_]
    readings: Mapping[int, tuple[Reading, ...]] = field(default_factory=dict)
    stopped: bool = False

    @classmethod
    def unknown(cls, n: int, gates: int) -> Self:
        """Where nothing could be read: any age, and no strikes that anybody knows of."""
        column = np.full((n, gates), GateOutcome.unknown, np.uint8)
        return cls(column, column, np.full(n, np.nan, np.float32), np.zeros(n, np.bool_))

    @classmethod
    def stated(cls, gates: Sequence[int], age: int | None, strikes: float, recipients: Sequence[int | None]) -> Self:
        """Of one event, as a case or a user states it.

        Args:
            age: the author's, completed years; None: unknown.
            recipients: the same, of each.
        """
        found = np.zeros((1, len(gates)), np.uint8)
        for each in recipients:
            found |= _sides(each, gates)
        return cls(_sides(age, gates), found, np.array([strikes], np.float32), np.zeros(1, np.bool_))

    def row(self, i: int) -> "AccountFacts":
        """One event alone."""
        readings = {0: self.readings[i]} if i in self.readings else {}
        at = slice(i, i + 1)
        return AccountFacts(
            self.author[at], self.recipient[at], self.strikes[at], self.behind[at], readings, self.stopped
        )


def _sides(age: int | None, gates: Sequence[int]) -> NDArray[np.uint8]:
    """On which side of each gate an age is; shape (1, gates)."""
    sides = [GateOutcome.reached if (age or 0) >= gate else GateOutcome.below for gate in gates]
    return np.array([[GateOutcome.unknown] * len(gates) if age is None else sides], np.uint8)


class AccountConditions:
    """The conditions of all rules on accounts."""

    def __init__(self, whens: Sequence[RuleWhen], gates: Sequence[int]) -> None:
        """`gates`: of the pack, in the order of these columns."""
        self._gates = len(gates)
        authors = [(rule, *_asked(w.author_age, gates)) for rule, w in enumerate(whens) if w.author_age]
        recipients = [(rule, *_asked(w.recipient_age, gates)) for rule, w in enumerate(whens) if w.recipient_age]
        self._strikes = [(rule, np.float32(w.strikes.at_least)) for rule, w in enumerate(whens) if w.strikes]
        self._ages = (("author", authors), ("recipient", recipients))
        self.author_rules = sorted({each[0] for each in authors} | {each[0] for each in self._strikes})
        self.recipient_rules = [each[0] for each in recipients]
        self._rules = len(whens)

    def __bool__(self) -> bool:
        return bool(self.author_rules or self.recipient_rules)

    def hold(self, known: AccountFacts | None, n: int) -> NDArray[np.bool_]:
        """For which events which rule's conditions on accounts hold; shape (n, rules)."""
        held = np.ones((n, self._rules), dtype=bool)
        known = known or AccountFacts.unknown(n, self._gates)
        for whose, asked in self._ages:
            found: NDArray[np.uint8] = getattr(known, whose)
            for rule, gate, wanted in asked:
                held[:, rule] &= (found[:, gate] & wanted) != 0
        for rule, least in self._strikes:
            held[:, rule] &= known.strikes >= least  # NaN holds nothing against anybody
        return held


def _asked(years: Years, gates: Sequence[int]) -> tuple[int, np.uint8]:
    """A gate's place, and the outcomes for which the condition holds."""
    side = GateOutcome.below if years.under else GateOutcome.reached
    return gates.index(years.under or years.at_least or 0), np.uint8(side | GateOutcome.unknown)
