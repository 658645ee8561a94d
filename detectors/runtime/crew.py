"""The scoring processes: which of them is the main one, which may take what, and how many there should be."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from detectors.interface import Description, ProcessSettings
from detectors.items import ATTACHMENT_UNITS
from detectors.runtime.canary import canary
from detectors.runtime.children import Child, Lane, Task, Work
from detectors.runtime.frames import encode_items
from detectors.runtime.pace import ROW_UNITS, Pace
from schemas.statuses import Reason

_CANARY_SLACK: Final = 5.0  # seconds more than the deadline: a busy machine is no broken device
_LONGEST_ROW: Final = 30  # times what a row alone may be silent
_LONGEST_ATTACHED: Final = 7200.0  # seconds
_IDLE_LASTS: Final = 5.0  # seconds until a process that nothing needs is ended


class Crew:
    """Owns the children, and sends them their tasks."""

    def __init__(
        self,
        detectors: Sequence[Description],
        paces: Sequence[Pace],
        settings: ProcessSettings,
        fork: Callable[[], bool],
        end: Callable[[Child], None],
    ) -> None:
        """`fork` asks for a child, if there is room, and says so; `end` drops a child and kills it."""
        self.children: dict[int, Child] = {}
        self.main: Child | None = None
        self.births_due = 0
        self.restart_seconds = 0.0  # from a fork to the first canary passed
        self._modalities = [each.modalities for each in detectors]
        self._canaries = [canary(each.modalities) for each in detectors]
        self._paces = paces
        self._settings = settings
        self._allowance = settings.memory_mb << 20
        self._fork = fork
        self._end = end
        self._next_task = 1

    @property
    def occupied(self) -> set[int]:
        """Process ids of those that have something other than a canary to do."""
        return {pid for pid, child in self.children.items() if not _free(child)}

    def choose_main(self) -> Child | None:
        """The main process; if there is none, the readiest becomes it, a used one before one that a trial may need."""
        if self.main is None:
            free = filter(_free, self.children.values())
            self.main = max(free, key=lambda c: (len(c.canaried), not c.fresh), default=None)
        return self.main

    def choose_side(self, detector: int, taken: set[int], *, fresh: bool) -> Child | None:
        """One for a suspect or a trial, used rather than fresh unless it must be fresh."""
        free = [c for c in self.children.values() if c.pid not in taken and _free(c) and (c.fresh or not fresh)]
        return max(free, key=lambda c: (not c.fresh, detector in c.canaried), default=None)

    def choose_fresh(self, taken: set[int]) -> Child | None:
        """One that has scored nothing but canaries."""
        return next((c for c in self.children.values() if c.pid not in taken and c.fresh), None)

    def canary_passed(self, child: Child, detector: int, now: float, lasts: float | None = None) -> bool:
        """Whether it has, `lasts` seconds ago at most; if not, and it has nothing else to do, it is asked."""
        passed = child.canaried.get(detector)
        if passed is not None and (lasts is None or now - passed <= lasts):
            return True
        if not child.tasks:
            self.send(child, Work(Lane.canary, detector), now)
        return False

    def next_canary(self, child: Child, detectors: Iterable[int], now: float) -> None:
        """Ask the first of these detectors that has not passed here."""
        for detector in detectors:
            if not self.canary_passed(child, detector, now):
                return

    def send(self, child: Child, work: Work, now: float) -> None:
        """Give it a task."""
        if work.batch is None:
            items = self._canaries[work.detector]
            units = items.units() + ROW_UNITS
        else:
            items = work.batch.items.take(work.rows).seen_by(self._modalities[work.detector])
            units = work.batch.units[work.detector][work.rows]
        task = Task(self._next_task, work, float(units.sum()), float(units.max(initial=0.0)), child.fresh)
        self._next_task += 1
        child.send(task, encode_items(work.detector, task.number, items), now)

    def remove(self, child: Child) -> list[Work]:
        """Forget a child; returns what it had to do, for another."""
        self.children.pop(child.pid, None)
        if self.main is child:
            self.main = None
        works = [task.work for task in child.tasks]
        child.tasks.clear()
        return works

    def give_up(self, child: Child) -> list[Work]:
        """End a child; returns what it had to do, for another."""
        self._end(child)
        return self.remove(child)

    def resize(self, missing: int, taken: set[int], now: float) -> None:
        """Fork those that are missing, end those that nobody wants."""
        most = 2 + self._settings.trials
        unwanted = [c for c in self.children.values() if c.pid not in taken and not c.tasks]
        for child in unwanted:  # a used one makes room for a fresh one; the others have a while
            crowded = not child.fresh and len(self.children) + missing > most
            if crowded or now - child.idle_since > _IDLE_LASTS:
                self.give_up(child)
        while self.births_due < missing and len(self.children) + self.births_due < most and self._fork():
            self.births_due += 1

    def lost(self, now: float, slept_over: float) -> list[tuple[Child, Reason]]:
        """Who has been silent too long or grown too big. `slept_over`: seconds the worker itself stood still."""
        lost = []
        for child in self.children.values():
            if slept_over:
                child.forgive(slept_over)
            if not child.tasks:
                continue
            lane = child.tasks[0].work.lane
            grown = 0 if lane is Lane.canary else child.grown(now, self._allowance, alive=lane is Lane.trial)
            if grown > self._allowance:
                lost.append((child, Reason.memory))
            elif child.silent(now) > self._patience(child) or child.at_row(now) > self._longest(child):
                lost.append((child, Reason.hung))
        return lost

    def _longest(self, child: Child) -> float:
        """Seconds that one row may take, whatever signs of life it gives: an endless loop may give them too."""
        task = child.tasks[0]
        attached = task.largest >= ATTACHMENT_UNITS  # a recording of an hour is one row
        return _LONGEST_ATTACHED if attached else _LONGEST_ROW * self._paces[task.work.detector].limit(task.largest)

    def _patience(self, child: Child) -> float:
        task = child.tasks[0]
        pace = self._paces[task.work.detector]
        if task.work.lane is Lane.canary:
            warm = task.work.detector in child.canaried
            return pace.deadline + (_CANARY_SLACK if warm else self._settings.start_seconds)
        if task.work.lane in {Lane.bulk, Lane.suspect}:
            return pace.patience(task.units, task.largest, len(task.work.rows), self.restart_seconds)
        return pace.limit(task.units)


def _free(child: Child) -> bool:
    """It has nothing to do, or a canary only."""
    return not child.tasks or child.tasks[0].work.lane is Lane.canary
