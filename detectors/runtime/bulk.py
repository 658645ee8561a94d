"""What waits for the main process: the rows of batches, in submit order, a detector at a time."""

from collections import deque
from collections.abc import Iterable, Sequence

from detectors.runtime.children import Lane, Work
from detectors.runtime.outstanding import Batch, Rows
from detectors.runtime.pace import Pace
from detectors.runtime.reuse import Reuse


class Bulk:
    """A queue of work, given out in slices of a size that suits the detector. Falsy when it is empty."""

    def __init__(self, paces: Sequence[Pace], reuse: Reuse) -> None:
        self._paces = paces
        self._reuse = reuse
        self._works: deque[Work] = deque()

    def __bool__(self) -> bool:
        return bool(self._works)

    def add(self, batch: Batch, detector: int, rows: Rows) -> None:
        """After all else: those of `rows` whose answer nobody knows, nor is about to."""
        rows = self._reuse.sift(batch, detector, rows)
        if len(rows):
            self._works.append(Work(Lane.bulk, detector, batch, rows))

    def add_released(self) -> None:
        """Those that waited in vain for the answer to an identical row."""
        for batch, detector, rows in self._reuse.released():
            self.add(batch, detector, batch.unsettled(detector, rows))

    def put_back(self, works: Iterable[Work]) -> None:
        """Before all else, in this order: what was given out, or left over."""
        self._works.extendleft(reversed(list(works)))

    def clear(self) -> None:
        """Drop everything."""
        self._works.clear()
        self._reuse.forget()

    def next_slice(self) -> Work | None:
        """As many rows of the first work as are good for one task; None where they are all settled by now."""
        work = self._works.popleft()
        if work.batch is None or not len(rows := work.batch.unsettled(work.detector, work.rows)):
            return None
        count = self._paces[work.detector].rows(work.batch.units[work.detector][rows])
        if count < len(rows):
            self._works.appendleft(Work(work.lane, work.detector, work.batch, rows[count:]))
        return Work(work.lane, work.detector, work.batch, rows[:count])
