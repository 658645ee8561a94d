"""Rows under suspicion: which tasks will clear or convict them, and what came of it. The rules are in `guilt`."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from detectors.runtime import guilt
from detectors.runtime.children import Lane, Task, Work
from detectors.runtime.guilt import GUILTY, Span, Trial
from detectors.runtime.outstanding import Batch, Rows
from detectors.runtime.pace import Pace
from schemas.statuses import Reason


@dataclass(slots=True)
class Counts:
    """What happened since the start, for metrics. Written by one thread, read by any."""

    restarts: int = 0  # deaths of scoring processes, trials included
    convictions: dict[Reason, int] = field(default_factory=lambda: dict.fromkeys(GUILTY, 0))
    acquittals: int = 0  # rows that stood trial and came back
    breaker_openings: int = 0


class Docket:
    """The suspects of all batches, and their trials."""

    def __init__(self, paces: list[Pace], counts: Counts) -> None:
        self.waiting: deque[Work] = deque()  # suspects and trials that no process has taken
        self._paces = paces
        self._counts = counts
        self._trials: dict[tuple[Batch, int, int], Trial] = {}

    def forget(self) -> None:
        """Drop all cases."""
        self.waiting.clear()
        self._trials.clear()

    def dismiss(self, detector: int) -> None:
        """The device is at fault: drop the cases of this detector, whose rows are settled."""
        self._trials = {key: trial for key, trial in self._trials.items() if key[1] != detector}

    def take(self, work: Work) -> None:
        """A process has taken this work."""
        self.waiting.remove(work)

    def open_works(self) -> list[Work]:
        """What is waiting, oldest first; what has been settled meanwhile is dropped."""
        self.waiting = deque(w for w in self.waiting if w.batch and len(w.batch.unsettled(w.detector, w.rows)))
        return list(self.waiting)

    def needs_fresh(self, work: Work) -> bool:
        """Whether only a process that has scored nothing but the canary will do."""
        return work.lane is Lane.trial and self._trials[_key(work)].fresh

    def task_failed(self, task: Task, reason: Reason, hint: int | None) -> list[Work]:
        """A task of a live batch failed for `reason`; its suspects wait from now on. Returns the rest, for the bulk."""
        work, pace = task.work, self._paces[task.work.detector]
        if len(work.rows) == 1:
            self.row_failed(task, work.rows, reason)
            return []
        pace.fault()
        if reason is Reason.hung and work.lane is Lane.bulk:
            pace.impatient()
        split = guilt.narrow(len(work.rows), hint, pace.step)
        if split.certain:
            start, end = split.suspects[0]
            self.row_failed(task, work.rows[start:end], reason)
        else:
            self.waiting.extend(_parts(work, Lane.suspect, split.suspects))
        return _parts(work, Lane.bulk, split.bulk)

    def row_failed(self, task: Task, rows: Rows, reason: Reason) -> None:
        """One row of `task` failed, in its trial or on the way to it."""
        work = Work(Lane.trial, task.work.detector, task.work.batch, rows)
        key = _key(work)
        if not len(key[0].unsettled(work.detector, rows)):
            return
        before = self._trials.get(key)
        trial = guilt.failed(before, reason, fresh=task.fresh) if before else guilt.accused(reason)
        others = before.wanted - 1 if before else 0  # trials of this row that wait or are under way
        if trial.verdict is not None:
            self._convict(key, trial.verdict)
            return
        self._trials[key] = trial
        self.waiting.extend(Work(Lane.trial, work.detector, work.batch, rows) for _ in range(trial.wanted - others))

    def _convict(self, key: tuple[Batch, int, int], reason: Reason) -> None:
        batch, detector, row = key
        del self._trials[key]
        batch.fail(detector, np.array([row]), reason)
        self._counts.convictions[reason] += 1
        if reason is Reason.hung:
            self._paces[detector].hung()

    def acquit(self, work: Work) -> None:
        """The row on trial came back."""
        if self._trials.pop(_key(work), None):
            self._counts.acquittals += 1


def _key(work: Work) -> tuple[Batch, int, int]:
    assert work.batch is not None
    return work.batch, work.detector, int(work.rows[0])


def _parts(work: Work, lane: Lane, spans: Iterable[Span]) -> list[Work]:
    return [Work(lane, work.detector, work.batch, work.rows[start:end]) for start, end in spans]
