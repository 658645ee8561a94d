"""Who scores what next: one main process for the bulk, others beside it for suspects and trials.

    bulk      ──► main, two tasks in flight, in submit order; cheap detectors first, then the cascade (`stages`)
    suspects  ──► any process beside it, one task at a time
    trials    ──► a process that has scored nothing but the canary, which it has just passed
    breaker   ──► open: every row `error`/`device`; due: a canary in a fresh process

Not a thread and not a loop: `detectors.runtime.pump` calls it with what happened and the time, and waits for what it
wants next. Its rules on guilt are in `guilt`, on the device in `breaker`, on size and patience in `pace`, on processes
in `crew`, on what each does next in `dispatch`, on identical events in `reuse`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from detectors.interface import Answer, Description, ProcessSettings
from detectors.runtime.breaker import AWAY, Breakers
from detectors.runtime.bulk import Bulk
from detectors.runtime.children import Child, Lane, Task, Work
from detectors.runtime.crew import Crew
from detectors.runtime.dispatch import Dispatch
from detectors.runtime.docket import Counts, Docket
from detectors.runtime.frames import Frame, Kind, decode_answer, decode_raised
from detectors.runtime.outstanding import Batch
from detectors.runtime.pace import Pace
from detectors.runtime.reuse import Reuse, window_for
from detectors.runtime.stages import Ask, Stages
from schemas.ages import plausible
from schemas.statuses import Reason, Status

_LOG_EVERY: Final = 1.0  # seconds without a death after which the next one is a line in the log
_UNREST: Final = 30.0  # seconds after a death in which a spare process is kept ready

log = structlog.get_logger(__name__)


class Scheduler:
    """Tasks, processes and the rules between them."""

    def __init__(
        self,
        detectors: Sequence[Description],
        settings: ProcessSettings,
        fork: Callable[[], bool],
        end: Callable[[Child], None],
        ask: Ask | None = None,
        later: Sequence[str] = (),
    ) -> None:
        """`fork` and `end` as for `Crew`; `ask` and `later` as for `Stages`."""
        self.counts = Counts()
        self._detectors = detectors
        self._paces = [Pace(settings.deadline_ms / 1000) for _ in detectors]
        self._breakers = Breakers([each.name for each in detectors])
        self._batches: dict[Batch, None] = {}
        self._reuse = Reuse([window_for(each, settings) for each in detectors])
        self._bulk = Bulk(self._paces, self._reuse)
        self._stages = Stages(detectors, ask, later)
        self._docket = Docket(self._paces, self.counts)
        self._crew = Crew(detectors, self._paces, settings, fork, end)
        self._dispatch = Dispatch(self._crew, self._bulk, self._docket, self._breakers, settings.trials)
        self._last_death = float("-inf")

    # --- what comes in

    def submit(self, batch: Batch) -> None:
        """Score this batch after those before it."""
        self._batches[batch] = None
        batch.on_settled = self._reuse.settled
        self._stages.begin(batch)
        for detector in self._stages.first:
            self._open(batch, detector)

    def forget(self) -> None:
        """Drop every batch. Tasks under way end unheard."""
        self._batches.clear()
        self._stages.forget()
        self._bulk.clear()
        self._docket.forget()

    def take_done(self) -> Iterable[Batch]:
        """The batches that are done and have none before them that isn't, in submit order."""
        while self._batches and (batch := next(iter(self._batches))).done:
            del self._batches[batch]
            yield batch

    def born(self, child: Child | None, now: float) -> None:
        """A fork succeeded, or did not: then there is no device to speak of."""
        self._crew.births_due = max(0, self._crew.births_due - 1)
        if child:
            self._crew.children[child.pid] = child
        else:
            self._device_failed(range(len(self._detectors)), now, "no process can be forked")

    def answered(self, child: Child, frame: Frame, now: float) -> None:
        """The first task of `child` came back."""
        task = child.tasks.popleft()
        child.idle_since = now
        if frame.kind is Kind.raised:
            self._raised(child, task, frame, now)
        else:
            self._scored(child, task, frame, now)

    def died(self, child: Child, reason: Reason, now: float) -> None:
        """`child` is gone, or was just given up and killed for `reason`."""
        hint = child.hint()
        task = child.tasks.popleft() if child.tasks else None
        self.counts.restarts += 1
        if now - self._last_death > _LOG_EVERY:  # a flood of guilty records is no flood of lines
            lane = task.work.lane.name if task else "idle"
            log.warning("scoring_process_lost", reason=reason.name, lane=lane, restarts=self.counts.restarts)
        self._last_death = now
        self._remove(child)
        if task is None:
            return
        if task.work.lane is Lane.canary:
            if task.fresh:
                self._device_failed([task.work.detector], now, f"a fresh process {reason.name} on the canary")
        else:
            self._task_failed(task, reason, hint)

    def zygote_lost(self, now: float, *, blame: bool) -> None:
        """All processes are gone with it, and no record is to blame; `blame`: it keeps failing, so the device is."""
        for child in list(self._crew.children.values()):
            self._remove(child)
        self._crew.births_due = 0
        if blame:
            self._device_failed(range(len(self._detectors)), now, "the detector process can't be started")

    # --- what it wants

    @property
    def healthy(self) -> bool:
        """No breaker is open. Without a main process for a moment, as after a guilty record, it is healthy still."""
        return self._breakers.all_closed

    @property
    def ready(self) -> bool:
        """The main process has passed the canary of every detector whose breaker is closed."""
        main, closed = self._crew.main, self._breakers.closed
        return not closed or (main is not None and all(detector in main.canaried for detector in closed))

    @property
    def busy(self) -> bool:
        """Something is under way whose silence or size must be watched."""
        return any(child.tasks for child in self._crew.children.values())

    @property
    def faults(self) -> list[tuple[str, str]]:
        """The detectors whose breaker is open, and where they failed."""
        return self._breakers.faults

    def watch(self, now: float, slept_over: float) -> list[tuple[Child, Reason]]:
        """Who is lost, and why. `slept_over`: seconds the worker itself stood still."""
        return self._crew.lost(now, slept_over)

    def advance(self) -> None:
        """Queue what has come due: who waited in vain for the answer to its like, and the later stages."""
        self._bulk.add_released()
        for batch, detector in self._stages.due():
            self._open(batch, detector)

    def dispatch(self, now: float) -> None:
        """Give every idle process what it may do, ask for those that lack, end those that are not needed."""
        self._dispatch(now, unrest=now - self._last_death <= _UNREST)

    def _open(self, batch: Batch, detector: int) -> None:
        rows = batch.unsettled(detector)
        if self._breakers.is_open(detector):
            batch.fail(detector, rows, Reason.device)
        else:
            self._bulk.add(batch, detector, rows)

    # --- answers

    def _scored(self, child: Child, task: Task, frame: Frame, now: float) -> None:
        work = task.work
        answer, timing = decode_answer(frame, len(self._detectors[work.detector].categories))
        valid = _valid(answer)
        if work.lane is Lane.canary:
            failed = answer.status == Status.error
            where = AWAY if (answer.reason[failed] == Reason.remote).any() else "no score for the canary"
            self._canary_answered(child, task, bool(valid.all()) and not failed.any(), where, now)
        if work.lane is not Lane.trial:
            self._paces[work.detector].measured(task.units, timing.seconds, timing.step)
        if work.batch is None:
            return
        work.batch.score(work.detector, work.rows, answer, valid)
        if work.lane is Lane.trial and valid.any():
            self._docket.acquit(work)
        if work.batch in self._batches:
            for position in np.flatnonzero(~valid).tolist():
                self._docket.row_failed(task, work.rows[position : position + 1], Reason.not_a_number)

    def _raised(self, child: Child, task: Task, frame: Frame, now: float) -> None:
        reason, hint, where = decode_raised(frame)
        child.canaried.pop(task.work.detector, None)  # a device may not be itself after an error
        if task.work.lane is Lane.canary:
            self._canary_answered(child, task, False, where, now)
        else:
            self._task_failed(task, reason, hint)

    def _canary_answered(self, child: Child, task: Task, well: bool, where: str, now: float) -> None:
        detector = task.work.detector
        if not well:
            self._give_up(child)  # if it was not fresh, a record may have harmed it: a fresh one will tell
            if task.fresh:
                self._device_failed([detector], now, where)
            return
        if detector not in child.canaried:
            child.weigh()
        if len(child.canaried) == 0 and task.fresh:
            self._crew.restart_seconds = now - child.born
        child.canaried[detector] = now
        if self._breakers.passed(detector):
            log.info("detector_back", detector=self._detectors[detector].name)

    def _task_failed(self, task: Task, reason: Reason, hint: int | None) -> None:
        if task.work.batch in self._batches and not self._breakers.is_open(task.work.detector):
            self._bulk.put_back(self._docket.task_failed(task, reason, hint))

    def _device_failed(self, detectors: Iterable[int], now: float, where: str) -> None:
        """Open the breakers: nobody is blamed, nobody waits."""
        for detector in detectors:
            if not self._breakers.failed(detector, now, where):
                continue
            self.counts.breaker_openings += 1
            log.error("detector_at_fault", detector=self._detectors[detector].name, where=where)
            for batch in self._batches:
                if not self._stages.withheld(batch, detector):
                    batch.fail(detector, batch.unsettled(detector), Reason.device)
            self._docket.dismiss(detector)
            for child in list(self._crew.children.values()):  # what they hold may be what the device lacks
                self._give_up(child)

    def _give_up(self, child: Child) -> None:
        self._put_back(self._crew.give_up(child))

    def _remove(self, child: Child) -> None:
        self._put_back(self._crew.remove(child))

    def _put_back(self, works: Iterable[Work]) -> None:
        """The tasks of a process that is gone are done by another, and nobody is blamed."""
        live = [work for work in works if work.batch in self._batches]
        self._bulk.put_back(work for work in live if work.lane is Lane.bulk)
        self._docket.waiting.extendleft(work for work in reversed(live) if work.lane is not Lane.bulk)


def _valid(answer: Answer) -> NDArray[np.bool_]:
    """Which rows have numbers wherever they are `scored`: (n,)."""
    with np.errstate(invalid="ignore"):
        valid: NDArray[np.bool_] = np.all((answer.probability >= 0) & (answer.probability <= 1), axis=1)
    if answer.age is not None:
        valid = plausible(answer.age)
    valid |= answer.status != Status.scored
    return valid
