"""Who is asked about what: an expensive detector only where policy wants it, and a cheap one left the matter open.

    when      the event is of a kind that the detector is for
    unsure    a cheap detector's score lies in a band, or it has none to give: abstained, failed, not running here

A detector that is not listed in the pack is asked about everything. Nothing here softens a decision: what is not asked
is `skipped`, and the rules of the detectors that were asked stand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enforcement.conditions import DELETE, Conditions, Facts, facts
from enforcement.pack_model import Asking, Band
from enforcement.packs import Pack
from schemas.columns import Events, Score, Scores
from schemas.statuses import Status


@dataclass(frozen=True, slots=True)
class _Bound:
    """A band bound to the scores it is about; `column` is None where no detector here gives them."""

    detector: int | None
    column: int | None
    low: np.float32
    high: np.float32

    def holds(self, scores: Scores) -> NDArray[np.bool_]:
        """Shape (n,)."""
        if self.detector is None or self.column is None:
            return np.ones(len(scores), dtype=bool)
        seen, status = scores.probability[:, self.column], scores.status[:, self.detector]
        within: NDArray[np.bool_] = (seen >= self.low) & (seen < self.high)  # NaN is in no band
        within |= (status == Status.abstained) | (status == Status.error)
        return within


class Cascade:
    """The asking rules of some detectors, bound to the columns of the scores that they look at."""

    def __init__(self, asking: Sequence[Asking], columns: Sequence[Score], detectors: Sequence[str]) -> None:
        self._conditions = Conditions([each.when for each in asking])
        self._bands = [[_bind(band, columns, detectors) for band in each.unsure] for each in asking]

    def asked(self, facts: Facts, scores: Scores) -> NDArray[np.bool_]:
        """Which events each detector is asked about; shape (n, len(asking)).

        Raises:
            TypeError: a fact that a condition asks about is not a string.
        """
        shape = (len(facts), len(self._bands))
        asked: NDArray[np.bool_] = np.broadcast_to(self._conditions.hold(facts), shape).copy()
        for place, bands in enumerate(self._bands):
            if bands:
                asked[:, place] &= np.logical_or.reduce([band.holds(scores) for band in bands])
        deleted: Any = np.fromiter((operation == DELETE for operation in facts.operation), bool, len(facts))
        asked[deleted] = False
        return asked


class Asker:
    """The cascade of a pack, for whoever has events and scores; bound to the scores' columns when first asked."""

    def __init__(self, pack: Pack, detectors: Sequence[str]) -> None:
        """`detectors`: those to decide about, all of them in the pack's `detectors`."""
        self._asking = [pack.file.detectors[name] for name in detectors]
        self._cascade: Cascade | None = None

    def __call__(self, events: Events, scores: Scores) -> NDArray[np.bool_]:
        """Which events each detector is asked about; shape (n, detectors)."""
        if self._cascade is None:
            self._cascade = Cascade(self._asking, scores.columns, scores.detectors)
        asked = facts(events)
        try:
            return self._cascade.asked(asked, scores)
        except TypeError:  # an event says something odd: its neighbours are asked about as they are
            return np.concatenate([self._one(asked.row(i), scores.take([i])) for i in range(len(asked))])

    def _one(self, event: Facts, scores: Scores) -> NDArray[np.bool_]:
        assert self._cascade is not None
        try:
            return self._cascade.asked(event, scores)
        except TypeError:  # asked in vain it is dear, not asked it is blind
            return np.full((1, len(self._asking)), event.operation[0] != DELETE)


def _bind(band: Band, columns: Sequence[Score], detectors: Sequence[str]) -> _Bound:
    wanted = Score(band.detector, band.category.value)
    detector = list(detectors).index(band.detector) if band.detector in detectors else None
    column = list(columns).index(wanted) if wanted in columns else None
    return _Bound(detector, column, np.float32(band.low), np.float32(band.high))
