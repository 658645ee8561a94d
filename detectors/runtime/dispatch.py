"""Gives every process what it may do now: the bulk, suspects and trials, canaries for breakers that are due."""

from typing import Final

from detectors.runtime.breaker import Breakers
from detectors.runtime.bulk import Bulk
from detectors.runtime.children import Lane
from detectors.runtime.crew import Crew
from detectors.runtime.docket import Docket

_IN_FLIGHT: Final = 2  # tasks at the main process: one scored, one waiting
_CANARY_LASTS: Final = 1.0  # seconds until a canary is stale for a trial


class Dispatch:
    """Each step marks in `taken` the processes that it uses, and returns how many it lacks."""

    def __init__(self, crew: Crew, bulk: Bulk, docket: Docket, breakers: Breakers, trials: int) -> None:
        """`trials`: processes beside the main one."""
        self._crew = crew
        self._bulk = bulk
        self._docket = docket
        self._breakers = breakers
        self._trials = trials

    def __call__(self, now: float, *, unrest: bool) -> None:
        """Do all that can be done now; `unrest`: processes die, so that the next main process stands ready."""
        if not self._breakers.anything_to_do(now):
            return
        taken = self._crew.occupied
        missing = self._feed_main(now, taken) + self._feed_sides(now, taken) + self._probe(now, taken)
        if unrest and self._breakers.all_closed:
            missing += self._keep_spare(now, taken)
        self._crew.resize(missing, taken, now)

    def _feed_main(self, now: float, taken: set[int]) -> int:
        closed = self._breakers.closed
        if not closed:
            return 0
        main = self._crew.choose_main()
        if main is None:
            return 1
        taken.add(main.pid)
        if not main.tasks and not self._bulk:
            self._crew.next_canary(main, closed, now)
        while len(main.tasks) < _IN_FLIGHT and self._bulk:
            work = self._bulk.next_slice()
            if work is None:
                continue
            if not self._crew.canary_passed(main, work.detector, now):
                self._bulk.put_back([work])
                break
            self._crew.send(main, work, now)
        return 0

    def _feed_sides(self, now: float, taken: set[int]) -> int:
        missing = 0
        for work in self._docket.open_works():
            if len(taken) + missing > self._trials:
                break
            child = self._crew.choose_side(work.detector, taken, fresh=self._docket.needs_fresh(work))
            if child is None:
                missing += 1
                continue
            taken.add(child.pid)
            lasts = _CANARY_LASTS if work.lane is Lane.trial else None
            if not child.tasks and self._crew.canary_passed(child, work.detector, now, lasts):
                self._docket.take(work)
                self._crew.send(child, work, now)
        return missing

    def _probe(self, now: float, taken: set[int]) -> int:
        missing = 0
        for detector in self._breakers.due(now):
            child = self._crew.choose_fresh(taken)
            if child is None:
                missing += 1
                continue
            taken.add(child.pid)
            self._crew.canary_passed(child, detector, now)
        return missing

    def _keep_spare(self, now: float, taken: set[int]) -> int:
        spare = self._crew.choose_fresh(taken)
        if spare is None:
            return 1
        taken.add(spare.pid)
        self._crew.next_canary(spare, self._breakers.closed, now)
        return 0
