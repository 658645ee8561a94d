"""Who scores what next: one main process for the bulk, others beside it for suspects and trials.

    bulk      ──► main, two tasks in flight, in submit order
    suspects  ──► any process beside it, one task at a time
    trials    ──► a process that has scored nothing but the canary, which it has just passed
    breaker   ──► open: every row `error`/`device`; due: a canary in a fresh process

Not a thread and not a loop: `detectors.client` calls it with what happened and the time, and waits for what it wants
next. Its rules on guilt are in `guilt`, on the device in `breaker`, on size and patience in `pace`.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
import structlog

from detectors import breaker
from detectors.breaker import Breaker
from detectors.canary import canary
from detectors.children import Child, Lane, Task, Work
from detectors.docket import Counts, Docket
from detectors.frames import Frame, Kind, decode_answer, decode_raised, encode_items
from detectors.interface import Description, ProcessSettings
from detectors.outstanding import Batch
from detectors.pace import ROW_UNITS, Pace
from schemas.statuses import Reason, Status

_IN_FLIGHT: Final = 2  # tasks at the main process: one scored, one waiting
_CANARY_LASTS: Final = 1.0  # seconds until a canary is stale for a trial
_CANARY_SLACK: Final = 5.0  # seconds more than the deadline: a busy machine is no broken device
_IDLE_LASTS: Final = 5.0  # seconds until a process that nothing needs is ended
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
    ) -> None:
        """`fork` asks for a child, if there is room, and says so; `end` drops a child and kills it."""
        self.counts = Counts()
        self._detectors = detectors
        self._settings = settings
        self._fork = fork
        self._end = end
        self._allowance = settings.memory_mb << 20
        self._paces = [Pace(settings.deadline_ms / 1000) for _ in detectors]
        self._breakers = [Breaker() for _ in detectors]
        self._canaries = [canary(d.modalities) for d in detectors]
        self._cheap_first = sorted(range(len(detectors)), key=lambda d: detectors[d].cost_ms)
        self._batches: dict[Batch, None] = {}
        self._bulk: deque[Work] = deque()
        self._docket = Docket(self._paces, self.counts)
        self._children: dict[int, Child] = {}
        self._main: Child | None = None
        self._births_due = 0
        self._next_task = 1
        self._restart_seconds = 0.0
        self._last_death = float("-inf")
        self._faults: dict[int, str] = {}

    # --- what comes in

    def submit(self, batch: Batch) -> None:
        """Score this batch after those before it."""
        self._batches[batch] = None
        for detector in self._cheap_first:
            rows = batch.unsettled(detector)
            if self._breakers[detector].is_open:
                batch.fail(detector, rows, Reason.device)
            elif len(rows):
                self._bulk.append(Work(Lane.bulk, detector, batch, rows))

    def forget(self) -> None:
        """Drop every batch. Tasks under way end unheard."""
        self._batches.clear()
        self._bulk.clear()
        self._docket.forget()

    def take_done(self) -> Iterable[Batch]:
        """The batches that are done and have none before them that isn't, in submit order."""
        while self._batches and (batch := next(iter(self._batches))).done:
            del self._batches[batch]
            yield batch

    def born(self, child: Child | None, now: float) -> None:
        """A fork succeeded, or did not: then there is no device to speak of."""
        self._births_due = max(0, self._births_due - 1)
        if child:
            self._children[child.pid] = child
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
        for child in list(self._children.values()):
            self._remove(child)
        self._births_due = 0
        if blame:
            self._device_failed(range(len(self._detectors)), now, "the detector process can't be started")

    # --- what it wants

    @property
    def healthy(self) -> bool:
        """No breaker is open. Without a main process for a moment, as after a guilty record, it is healthy still."""
        return not any(b.is_open for b in self._breakers)

    @property
    def ready(self) -> bool:
        """The main process has passed every canary."""
        return self._main is not None and len(self._main.canaried) == len(self._detectors)

    @property
    def busy(self) -> bool:
        """Something is under way whose silence or size must be watched."""
        return any(child.tasks for child in self._children.values())

    @property
    def faults(self) -> list[tuple[str, str]]:
        """The detectors whose breaker is open, and where they failed."""
        return [(self._detectors[d].name, self._faults[d]) for d, b in enumerate(self._breakers) if b.is_open]

    def watch(self, now: float, slept_over: float) -> list[tuple[Child, Reason]]:
        """Who has been silent too long or grown too big. `slept_over`: seconds the worker itself stood still."""
        lost = []
        for child in self._children.values():
            if slept_over:
                child.forgive(slept_over)
            if not child.tasks:
                continue
            lane = child.tasks[0].work.lane
            grown = 0 if lane is Lane.canary else child.grown(now, self._allowance, alive=lane is Lane.trial)
            if grown > self._allowance:
                lost.append((child, Reason.memory))
            elif child.silent(now) > self._patience(child):
                lost.append((child, Reason.hung))
        return lost

    def dispatch(self, now: float) -> None:
        """Give every idle process what it may do, ask for those that lack, end those that are not needed."""
        if not any(not b.is_open or b.due(now) for b in self._breakers):
            return
        taken = {c.pid for c in self._children.values() if c.tasks and c.tasks[0].work.lane is not Lane.canary}
        missing = self._feed_main(now, taken) + self._feed_sides(now, taken) + self._probe(now, taken)
        missing += self._keep_spare(now, taken)
        self._fork_for(missing, taken)
        self._end_idle(now, taken)

    # --- giving out work

    def _feed_main(self, now: float, taken: set[int]) -> int:
        closed = [d for d, b in enumerate(self._breakers) if not b.is_open]
        if not closed:
            return 0
        if self._main is None:
            self._main = self._choose_main()
            if self._main is None:
                return 1
        taken.add(self._main.pid)
        if not self._main.tasks and not self._bulk:
            for detector in closed:
                if not self._canary_passed(self._main, detector, now):
                    break
        while len(self._main.tasks) < _IN_FLIGHT and self._bulk:
            work = self._next_slice()
            if work is None:
                continue
            if not self._canary_passed(self._main, work.detector, now):
                self._bulk.appendleft(work)
                break
            self._send(self._main, work, now)
        return 0

    def _choose_main(self) -> Child | None:
        """The one that is readiest; a used one before a fresh one, which a trial may need."""
        idle = [c for c in self._children.values() if not c.tasks or c.tasks[0].work.lane is Lane.canary]
        return max(idle, key=lambda c: (len(c.canaried), not c.fresh), default=None)

    def _next_slice(self) -> Work | None:
        """As many rows of the first work as are good for one task; the rest stays first."""
        work = self._bulk.popleft()
        if work.batch is None or not len(rows := work.batch.unsettled(work.detector, work.rows)):
            return None
        count = self._paces[work.detector].rows(work.batch.units[work.detector][rows])
        if count < len(rows):
            self._bulk.appendleft(Work(work.lane, work.detector, work.batch, rows[count:]))
        return Work(work.lane, work.detector, work.batch, rows[:count])

    def _feed_sides(self, now: float, taken: set[int]) -> int:
        """Suspects and trials; returns how many processes they lack."""
        missing = 0
        for work in self._docket.open_works():
            if len(taken) + missing > self._settings.trials:
                break
            child = self._choose_side(work, taken)
            if child is None:
                missing += 1
                continue
            taken.add(child.pid)
            lasts = _CANARY_LASTS if work.lane is Lane.trial else None
            if not child.tasks and self._canary_passed(child, work.detector, now, lasts):
                self._docket.take(work)
                self._send(child, work, now)
        return missing

    def _choose_side(self, work: Work, taken: set[int]) -> Child | None:
        fresh = self._docket.needs_fresh(work)
        idle = [
            c
            for c in self._children.values()
            if c.pid not in taken and (not c.tasks or c.tasks[0].work.lane is Lane.canary) and (c.fresh or not fresh)
        ]
        return max(idle, key=lambda c: (not c.fresh, work.detector in c.canaried), default=None)

    def _probe(self, now: float, taken: set[int]) -> int:
        """Half-open breakers: a canary in a fresh process."""
        missing = 0
        for detector, state in enumerate(self._breakers):
            if not state.due(now):
                continue
            free = [c for c in self._children.values() if c.pid not in taken and c.fresh]
            if not free:
                missing += 1
                continue
            taken.add(free[0].pid)
            self._canary_passed(free[0], detector, now)
        return missing

    def _keep_spare(self, now: float, taken: set[int]) -> int:
        """In unrest the next main process stands ready, warmed."""
        if now - self._last_death > _UNREST or any(b.is_open for b in self._breakers):
            return 0
        for child in self._children.values():
            if child.pid not in taken and child.fresh:
                taken.add(child.pid)
                for detector in range(len(self._detectors)):
                    if not self._canary_passed(child, detector, now):
                        break
                return 0
        return 1

    def _fork_for(self, missing: int, taken: set[int]) -> None:
        # A used process that nobody wants now makes room for a fresh one.
        most = 2 + self._settings.trials
        for child in [c for c in self._children.values() if c.pid not in taken and not c.tasks and not c.fresh]:
            if len(self._children) + missing <= most:
                break
            self._give_up(child)
        while self._births_due < missing and len(self._children) + self._births_due < most and self._fork():
            self._births_due += 1

    def _end_idle(self, now: float, taken: set[int]) -> None:
        for child in [c for c in self._children.values() if c.pid not in taken and not c.tasks]:
            if now - child.idle_since > _IDLE_LASTS:
                self._give_up(child)

    def _canary_passed(self, child: Child, detector: int, now: float, lasts: float | None = None) -> bool:
        """Whether it has; if not, and it has nothing else to do, it is asked."""
        passed = child.canaried.get(detector)
        if passed is not None and (lasts is None or now - passed <= lasts):
            return True
        if not child.tasks:
            self._send(child, Work(Lane.canary, detector), now)
        return False

    def _send(self, child: Child, work: Work, now: float) -> None:
        if work.batch is None:
            items = self._canaries[work.detector]
            units = items.units() + ROW_UNITS
        else:
            items = work.batch.items.take(work.rows)
            units = work.batch.units[work.detector][work.rows]
        task = Task(self._next_task, work, float(units.sum()), float(units.max(initial=0)), child.fresh)
        self._next_task += 1
        child.send(task, encode_items(work.detector, task.number, items), now)

    # --- answers

    def _scored(self, child: Child, task: Task, frame: Frame, now: float) -> None:
        work, pace = task.work, self._paces[task.work.detector]
        answer, timing = decode_answer(frame, len(self._detectors[work.detector].categories))
        with np.errstate(invalid="ignore"):
            within = ((answer.probability >= 0) & (answer.probability <= 1)).all(axis=1)
        valid = within | (answer.status != Status.scored)
        if work.lane is Lane.canary:
            well = bool(valid.all()) and not (answer.status == Status.error).any()
            self._canary_answered(child, task, well, "not a number", now)
        if work.lane is not Lane.trial:
            pace.measured(task.units, timing.seconds, timing.step)
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
            self._restart_seconds = now - child.born
        child.canaried[detector] = now
        if self._breakers[detector].is_open:
            log.info("detector_back", detector=self._detectors[detector].name)
            self._breakers[detector] = Breaker()

    def _task_failed(self, task: Task, reason: Reason, hint: int | None) -> None:
        if task.work.batch in self._batches and not self._breakers[task.work.detector].is_open:
            self._bulk.extendleft(reversed(self._docket.task_failed(task, reason, hint)))

    def _device_failed(self, detectors: Iterable[int], now: float, where: str) -> None:
        """Open the breakers: nobody is blamed, nobody waits."""
        for detector in detectors:
            was_open = self._breakers[detector].is_open
            self._faults[detector] = where
            self._breakers[detector] = breaker.canary_failed(self._breakers[detector], now)
            if was_open:
                continue
            self.counts.breaker_openings += 1
            log.error("detector_at_fault", detector=self._detectors[detector].name, where=where)
            for batch in self._batches:
                batch.fail(detector, batch.unsettled(detector), Reason.device)
            self._docket.dismiss(detector)
            for child in list(self._children.values()):  # what they hold may be what the device lacks
                self._give_up(child)

    def _give_up(self, child: Child) -> None:
        self._end(child)
        self._remove(child)

    def _remove(self, child: Child) -> None:
        """Forget a child; its tasks are done by another, and nobody is blamed."""
        self._children.pop(child.pid, None)
        if self._main is child:
            self._main = None
        for task in reversed(child.tasks):
            if task.work.batch in self._batches:
                (self._bulk if task.work.lane is Lane.bulk else self._docket.waiting).appendleft(task.work)
        child.tasks.clear()

    def _patience(self, child: Child) -> float:
        task = child.tasks[0]
        pace = self._paces[task.work.detector]
        if task.work.lane is Lane.canary:
            warm = task.work.detector in child.canaried
            return pace.deadline + (_CANARY_SLACK if warm else self._settings.start_seconds)
        if task.work.lane in {Lane.bulk, Lane.suspect}:
            return pace.patience(task.units, task.largest, len(task.work.rows), self._restart_seconds)
        return pace.limit(task.units)
