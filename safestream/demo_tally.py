"""What the demo has seen so far: each event that was produced, and what became of it.

Two threads tell: the producer's what was sent and where the broker put it, the reader's what became visible. A decision
may be seen before the producer hears that its event has arrived; both orders are fine.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

from safestream.sample_ages import is_of_ages
from schemas.errors import PoisonReason

Place = tuple[str, int, int]  # source topic, partition, offset
_RATE_SECONDS: Final = 60
_REMEMBERED: Final = 30


@dataclass(frozen=True, slots=True)
class Sent:
    """One produced record: when (monotonic seconds), what it says, and how it was spoilt, if it was."""

    at: float
    topic: str
    text: str
    spoilt: PoisonReason | None
    kind: str = ""  # what is special about it, see `SampleEvent`


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became visible about one record: a decision, or a dead letter by its reason."""

    at: float
    action: str | None = None
    category: str | None = None
    score: float | None = None
    rule: str | None = None
    degraded: bool = False
    reason: str | None = None
    sequence: int = 0
    provisional: bool = False
    gates: tuple[str, ...] = ()  # on which side of an age gate the author was, as policy read it


@dataclass(frozen=True, slots=True)
class Shown:
    """An outcome worth a line in the view."""

    outcome: Outcome
    topic: str
    text: str


@dataclass(slots=True)
class Numbers:
    """Everything that the view and the summary count.

    produced, settled   per topic: in the log, and with a visible decision or dead letter
    actions             (action, category) → decisions
    seconds             whole second since the start → (produced, settled) in it
    """

    produced: Counter[str] = field(default_factory=Counter)
    settled: Counter[str] = field(default_factory=Counter)
    actions: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)  # (kind, action) → decisions
    ages: dict[str, Outcome] = field(default_factory=dict)  # kind, of `sample_ages` → what was decided
    provisional: int = 0  # decided while somebody is still to look
    again: Counter[tuple[str, str]] = field(default_factory=Counter)  # (action before, action after a second look)
    degraded: int = 0
    doubled: int = 0
    mistaken: int = 0  # decided though it was spoilt, or the other way round, or for another reason
    failed: int = 0  # never acknowledged by the broker
    latencies: list[float] = field(default_factory=list)  # seconds from produce to visible
    sent_in: Counter[int] = field(default_factory=Counter)
    settled_in: Counter[int] = field(default_factory=Counter)
    first: float = 0.0
    last: float = 0.0

    @property
    def lag(self) -> dict[str, int]:
        """Per topic: in the log, and nothing visible about it yet."""
        return {topic: count - self.settled[topic] for topic, count in self.produced.items()}


class Tally:
    """The numbers, kept from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._lock = Lock()
        self._numbers = Numbers()
        self._sent: dict[Place, Sent] = {}
        self._outcomes: dict[Place, Outcome] = {}
        self._again: dict[Place, Outcome] = {}
        self._shown: deque[Shown] = deque(maxlen=_REMEMBERED)

    def produced(self, place: Place, sent: Sent) -> None:
        """The broker has it."""
        with self._lock:
            numbers = self._numbers
            numbers.first = min(numbers.first or sent.at, sent.at)
            numbers.produced[sent.topic] += 1
            numbers.sent_in[int(sent.at)] += 1
            self._sent[place] = sent
            if place in self._outcomes:
                self._settle(place, sent, self._outcomes[place])

    def not_produced(self) -> None:
        """The broker has refused it, or never answered."""
        with self._lock:
            self._numbers.failed += 1

    def became(self, place: Place, outcome: Outcome) -> None:
        """A decision or a dead letter is visible."""
        with self._lock:
            if outcome.sequence:
                self._look_again(place, outcome)
                return
            if place in self._outcomes:
                self._numbers.doubled += 1
                return
            self._outcomes[place] = outcome
            if place in self._sent:
                self._settle(place, self._sent[place], outcome)

    def _look_again(self, place: Place, outcome: Outcome) -> None:
        """A second decision comes after the first, on another topic's way: the first may be seen later."""
        if place in self._again:
            self._numbers.doubled += 1
            return
        self._again[place] = outcome
        if place in self._outcomes and place in self._sent:
            self._settle_again(self._sent[place], self._outcomes[place], outcome)

    def _settle_again(self, sent: Sent, before: Outcome, outcome: Outcome) -> None:
        self._numbers.again[before.action or "", outcome.action or ""] += 1
        if outcome.action != "allow":
            self._shown.append(Shown(outcome, sent.topic, sent.text))

    def _settle(self, place: Place, sent: Sent, outcome: Outcome) -> None:
        numbers = self._numbers
        numbers.last = max(numbers.last, outcome.at)
        numbers.settled[sent.topic] += 1
        numbers.settled_in[int(outcome.at)] += 1
        numbers.latencies.append(max(0.0, outcome.at - sent.at))
        numbers.mistaken += outcome.reason != (sent.spoilt.value if sent.spoilt else None)
        numbers.degraded += outcome.degraded
        if outcome.action is None:
            numbers.reasons[outcome.reason or ""] += 1
        else:
            numbers.actions[outcome.action, outcome.category] += 1
            numbers.provisional += outcome.provisional
            if is_of_ages(sent.kind):
                numbers.ages[sent.kind] = outcome
            elif sent.kind:
                numbers.kinds[sent.kind, outcome.action] += 1
        if outcome.action != "allow":
            self._shown.append(Shown(outcome, sent.topic, sent.text))
        if place in self._again:
            self._settle_again(sent, outcome, self._again[place])

    def read(self) -> tuple[Numbers, list[Shown]]:
        """A copy of the numbers, and the last outcomes worth showing, newest first."""
        with self._lock:
            mine: Mapping[str, Any] = {name: getattr(self._numbers, name) for name in Numbers.__slots__}
            copied = {name: value.copy() if hasattr(value, "copy") else value for name, value in mine.items()}
            return Numbers(**copied), list(reversed(self._shown))

    def missing(self) -> list[Place]:
        """Where the records lie of which nothing is visible."""
        with self._lock:
            return sorted(self._sent.keys() - self._outcomes.keys())

    def kinds_of_ages(self) -> frozenset[str]:
        """Which of the comments of `sample_ages` are decided."""
        with self._lock:
            return frozenset(self._numbers.ages)

    @property
    def settled(self) -> int:
        """Records with a visible decision or dead letter."""
        with self._lock:
            return self._numbers.settled.total()

    @property
    def waiting(self) -> int:
        """Provisional decisions that no later one has followed yet."""
        with self._lock:
            return self._numbers.provisional - self._numbers.again.total()

    @property
    def failed(self) -> int:
        """Records that the broker did not take."""
        with self._lock:
            return self._numbers.failed


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of all are at most (nearest rank); 0 where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
