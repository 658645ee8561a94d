"""A batch on its way through the detectors: which cells are settled, and what was said."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from detectors.interface import Answer, Description
from detectors.items import Items
from detectors.runtime.pace import ROW_UNITS
from schemas import ages
from schemas.columns import Events, Score, Scores
from schemas.evidence import Evidence
from schemas.roles import SIGNALS
from schemas.statuses import Reason, Status

Rows = NDArray[np.int64]


class Columns:
    """Where each detector's categories stand in the score columns."""

    def __init__(self, detectors: tuple[Description, ...]) -> None:
        self.names = tuple(d.name for d in detectors)
        self.versions = tuple(d.version for d in detectors)
        self.scores = tuple(Score(d.name, category) for d in detectors for category in d.categories)
        widths = [len(d.categories) for d in detectors]
        starts = np.cumsum([0, *widths]).tolist()
        self.slices = tuple(slice(start, start + width) for start, width in zip(starts, widths, strict=False))
        self.modalities = tuple(frozenset(d.modalities) for d in detectors)
        self.categories = tuple(widths)
        self.of_age = tuple(place for place, width in enumerate(widths) if not width)


class Batch:
    """`n` events. A cell is a row under a detector; the first answer settles it, a later one is ignored."""

    def __init__(self, number: int, events: Events, columns: Columns, max_attempts: int) -> None:
        self.number = number
        self.events = events
        self.items = Items(events.texts, events.languages, events.attachments, events.signals)
        units = {roles: self.items.units(roles) + ROW_UNITS for roles in set(columns.modalities)}
        self.units = [units[roles] for roles in columns.modalities]  # of each row, by detector
        self._columns = columns
        shape = (len(events), len(columns.names))
        self._probability = np.full((len(events), len(columns.scores)), np.nan, np.float32)
        self._age = {detector: ages.unknown(len(events)) for detector in columns.of_age}
        self._keys: dict[bool, list[Hashable]] = {}
        self._status = np.full(shape, Status.skipped, np.uint8)
        self._reason = np.zeros(shape, np.uint8)
        self.evidence: dict[tuple[int, int], Sequence[Evidence]] = {}
        self._reused: NDArray[np.bool_] | None = None
        self.on_settled: Callable[[Batch, int, Rows], None] | None = None  # told of cells as they are settled
        self._unsettled = np.ones(shape, np.bool_)
        self._left = self._unsettled.size
        worn = np.flatnonzero(events.attempts >= max_attempts)
        for detector, roles in enumerate(columns.modalities):
            self.fail(detector, worn, Reason.attempts)
            self.skip(detector, np.flatnonzero(~self.items.readable(roles)))

    def __len__(self) -> int:
        return len(self.items)

    @property
    def done(self) -> bool:
        """Every cell is settled."""
        return self._left == 0

    def unsettled(self, detector: int, rows: Rows | None = None) -> Rows:
        """Those of `rows` (of all) that nothing final is known of."""
        mask = self._unsettled[:, detector]
        found: Rows = np.flatnonzero(mask) if rows is None else rows[mask[rows]]
        return found

    def score(self, detector: int, rows: Rows, answer: Answer, valid: NDArray[np.bool_]) -> None:
        """The detector's answer for `rows`, as far as it is valid."""
        taken = valid & self._unsettled[rows, detector]
        rows, status, reason = rows[taken], answer.status[taken], answer.reason[taken]
        scored = status == Status.scored
        self._numbers(detector)[rows] = np.where(scored[:, None], answer.numbers[taken], np.float32(np.nan))
        self._status[rows, detector] = status
        unsaid = (status == Status.error) & (reason == Reason.none)
        self._reason[rows, detector] = np.where(unsaid, Reason.raised, np.where(scored, Reason.none, reason))
        if answer.evidence:
            place = dict(zip(np.flatnonzero(taken).tolist(), rows.tolist(), strict=True))
            found = {(place[at], detector): said for at, said in answer.evidence.items() if at in place}
            self.evidence |= found
        self._settle(detector, rows)

    def fail(self, detector: int, rows: Rows, reason: Reason) -> None:
        """No score for `rows`, for `reason`."""
        rows = self.unsettled(detector, rows)
        self._status[rows, detector] = Status.error
        self._reason[rows, detector] = reason
        self._settle(detector, rows)

    def skip(self, detector: int, rows: Rows) -> None:
        """`rows` are not asked about."""
        self._settle(detector, self.unsettled(detector, rows))

    def reuse(self, detector: int, rows: Rows, answer: Answer) -> None:
        """`rows` get the answer to identical ones."""
        if self._reused is None:
            self._reused = np.zeros(self._status.shape, np.bool_)
        told, self.on_settled = self.on_settled, None
        self._reused[self.unsettled(detector, rows), detector] = True
        self.score(detector, rows, answer, np.ones(len(rows), np.bool_))
        self.on_settled = told

    def keys(self, detector: int) -> list[Hashable]:
        """Rows with the same key are identical to the detector; None: a row that is never taken for another."""
        signals = SIGNALS in self._columns.modalities[detector] and bool(self.items.signals)
        if signals not in self._keys:
            self._keys[signals] = self._with_signals() if signals else self._of_text()
        return self._keys[signals]

    def _of_text(self) -> list[Hashable]:
        columns = zip(self.items.texts, self.items.languages, self.items.attachments, strict=True)
        return [None if found else (text, language) if language else text for text, language, found in columns]

    def _with_signals(self) -> list[Hashable]:
        signals = (repr(sorted(found.items())) for found in self.items.signals)
        return [key if key is None else (key, said) for key, said in zip(self._of_text(), signals, strict=True)]

    def numbers(self, detector: int, rows: Rows) -> NDArray[np.float32]:
        """What is known of `rows`, of each as many numbers as the detector says."""
        return self._numbers(detector)[rows]

    def _numbers(self, detector: int) -> NDArray[np.float32]:
        if detector in self._age:
            return self._age[detector]
        return self._probability[:, self._columns.slices[detector]]

    def answers(
        self, detector: int, numbers: NDArray[np.float32], status: NDArray[np.uint8], reason: NDArray[np.uint8]
    ) -> Answer:
        """As the detector would say it, without evidence."""
        return Answer.of(numbers, self._columns.categories[detector], status, reason, {})

    def outcome(self, detector: int, rows: Rows) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Status and reason of `rows`."""
        return self._status[rows, detector], self._reason[rows, detector]

    def answer(self, detector: int, row: int) -> Answer:
        """What is known of one row, as the detector would say it."""
        rows = np.array([row])
        found = self.evidence.get((row, detector))
        said = self.answers(detector, self.numbers(detector, rows), *self.outcome(detector, rows))
        return replace(said, evidence={0: found} if found else {})

    def _settle(self, detector: int, rows: Rows) -> None:
        self._unsettled[rows, detector] = False
        self._left -= len(rows)
        if self.on_settled and len(rows):
            self.on_settled(self, detector, rows)

    def scores(self) -> Scores:
        """The result of a batch; of one that is not done, as far as it is known."""
        c = self._columns
        said = self._probability, self._status, self._reason
        age = {c.names[detector]: numbers for detector, numbers in self._age.items()}
        return Scores(c.scores, c.names, c.versions, *said, self.evidence, self._reused, age)
