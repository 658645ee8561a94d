"""A batch on its way through the detectors: which cells are settled, and what was said."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.interface import Description
from detectors.pace import ROW_UNITS
from schemas.columns import Events, Score, Scores
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


class Batch:
    """`n` events. A cell is a row under a detector; the first answer settles it, a later one is ignored."""

    def __init__(self, number: int, events: Events, columns: Columns, max_attempts: int) -> None:
        self.number = number
        self.texts = events.texts
        self.units = np.fromiter(map(len, events.texts), np.float64, len(events)) + ROW_UNITS
        self._columns = columns
        shape = (len(events), len(columns.names))
        self._probability = np.full((len(events), len(columns.scores)), np.nan, np.float32)
        self._status = np.full(shape, Status.skipped, np.uint8)
        self._reason = np.zeros(shape, np.uint8)
        self._unsettled = np.ones(shape, np.bool_)
        self._left = self._unsettled.size
        worn = np.flatnonzero(events.attempts >= max_attempts)
        empty = np.flatnonzero(self.units == ROW_UNITS)
        for detector in range(len(columns.names)):
            self.fail(detector, worn, Reason.attempts)
            self._settle(detector, self.unsettled(detector, empty))

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def done(self) -> bool:
        """Every cell is settled."""
        return self._left == 0

    def unsettled(self, detector: int, rows: Rows | None = None) -> Rows:
        """Those of `rows` (of all) that nothing final is known of."""
        mask = self._unsettled[:, detector]
        found: Rows = np.flatnonzero(mask) if rows is None else rows[mask[rows]]
        return found

    def score(self, detector: int, rows: Rows, probability: NDArray[np.float32], status: NDArray[np.uint8]) -> None:
        """The detector's answer for `rows`; arrays as it gave them, without NaN where `scored`."""
        first = self._unsettled[rows, detector]
        rows, probability, status = rows[first], probability[first], status[first]
        known = np.where((status == Status.scored)[:, None], probability, np.float32(np.nan))
        self._probability[rows, self._columns.slices[detector]] = known
        self._status[rows, detector] = status
        self._reason[rows, detector] = np.where(status == Status.error, Reason.raised, Reason.none)
        self._settle(detector, rows)

    def fail(self, detector: int, rows: Rows, reason: Reason) -> None:
        """No score for `rows`, for `reason`."""
        rows = self.unsettled(detector, rows)
        self._status[rows, detector] = Status.error
        self._reason[rows, detector] = reason
        self._settle(detector, rows)

    def _settle(self, detector: int, rows: Rows) -> None:
        self._unsettled[rows, detector] = False
        self._left -= len(rows)

    def scores(self) -> Scores:
        """The result of a batch that is done."""
        c: Any = self._columns
        return Scores(c.scores, c.names, c.versions, self._probability, self._status, self._reason)
