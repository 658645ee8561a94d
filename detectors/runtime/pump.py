"""The thread between the worker and the detector process: it waits for whatever happens next, and hands it on."""

import os
import queue
import selectors
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog

from detectors.interface import Description, DetectorSpec, ProcessSettings
from detectors.runtime.breaker import AWAY
from detectors.runtime.children import Birth, Child, Death, Note, Zygote
from detectors.runtime.docket import Counts
from detectors.runtime.outstanding import Batch, Columns
from detectors.runtime.scheduler import Scheduler
from detectors.runtime.stages import Ask
from schemas.errors import Fatal, UserMistake
from schemas.statuses import Reason

_TICK: Final = 0.02  # seconds between looks at silence and memory, while something is under way
_REST: Final = 0.25  # … while nothing is
_STANDSTILL: Final = 1.0  # seconds between two looks which show that this process itself stood still
_DEATH_REPORT: Final = 2.0  # seconds from a closed socket to the zygote's word on why
_TROUBLE: Final = 60.0  # seconds: a zygote lost again within them, or while loading, means the device, not chance
_FORK_LASTS: Final = 10.0  # seconds without a word from a zygote that owes a child: it is stuck
_RETRY: Final = 5.0  # seconds until the next attempt to start a zygote then

Outbox = queue.SimpleQueue[Batch | Fatal]
Notes = queue.SimpleQueue[str | Exception | None]  # progress of the start; None: started

log = structlog.get_logger(__name__)


class Pump:
    """Owns the processes and their sockets. `put` and `stop` may be called by another thread, `run` and `end` not."""

    def __init__(
        self,
        specs: Sequence[DetectorSpec],
        settings: ProcessSettings,
        outbox: Outbox,
        notes: Notes,
        ask: Ask | None,
        later: Sequence[str],
    ) -> None:
        self.columns = Columns(())
        self.counts = Counts()
        self._specs, self._settings, self._outbox, self._notes = specs, settings, outbox, notes
        self._ask, self._later = ask, later
        self._inbox: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._woken, selectors.EVENT_READ, self._obey)
        self._ending = False
        self._started = False
        self._zygote: Zygote | None = None
        self._zygote_loaded = False
        self._zygote_lost = float("-inf")
        self._zygote_due = float("-inf")
        self._zygote_silent = 0.0  # seconds, while it owes a child
        self._loading_until = float("inf")
        self._descriptions: tuple[Description, ...] = ()
        self._scheduler: Scheduler | None = None
        self._children: dict[int, Child] = {}  # pid → a child whose socket is ours
        self._closed: dict[int, float] = {}  # pid of a child whose socket has ended → when
        self._looked = time.monotonic()

    @property
    def healthy(self) -> bool:
        """Started, the detector process is there, and no breaker is open."""
        return self._started and self._zygote_loaded and self._scheduler is not None and self._scheduler.healthy

    def put(self, batch: Batch | None) -> None:
        """Score a batch; None: forget them all."""
        self._inbox.put(batch)
        self._awake()

    def stop(self) -> None:
        """Make `run` return soon."""
        self._ending = True
        self._awake()

    def release(self) -> None:
        """Close what wakes `run`, once it has returned. Called by whoever calls `put`, so that neither outlives it."""
        os.close(self._woken)
        os.close(self._wake)

    def _awake(self) -> None:
        try:
            os.write(self._wake, b"x")
        except BlockingIOError:  # enough wakes are waiting
            return

    def run(self) -> None:
        """Until `stop`.

        Raises:
            UserMistake, Fatal: the detectors could not be started in the first place.
        """
        while not self._ending:
            now = time.monotonic()
            self._ensure_zygote(now)
            self._watch(now)
            if self._scheduler:
                self._scheduler.advance()
                if self._zygote_loaded:
                    self._scheduler.dispatch(now)
            self._deliver()
            self._want_writes()
            busy = self._scheduler is not None and self._scheduler.busy
            for key, _ in self._selector.select(_TICK if busy else _REST):
                handle: Callable[[], None] = key.data
                handle()

    def end(self) -> None:
        """End every process and socket."""
        if self._zygote:
            self._drop_zygote(self._zygote)
        self._selector.close()

    # --- the worker's side

    def _obey(self) -> None:
        os.read(self._woken, 4096)
        while not self._inbox.empty():
            batch = self._inbox.get()
            assert self._scheduler is not None  # the client submits once started
            if batch is None:
                self._scheduler.forget()
            else:
                self._scheduler.submit(batch)

    def _deliver(self) -> None:
        if self._scheduler is None:
            return
        for batch in self._scheduler.take_done():
            self._outbox.put(batch)
        if not self._started:
            self._report_start(self._scheduler)

    def _report_start(self, scheduler: Scheduler) -> None:
        if faults := [fault for fault in scheduler.faults if fault[1] != AWAY]:
            raise Fatal(f"detector {faults[0][0]!r} failed its first batch: {faults[0][1]}")
        if scheduler.ready:
            self._started = True
            self._notes.put(None)

    # --- the zygote's side

    def _ensure_zygote(self, now: float) -> None:
        if self._zygote is None and now >= self._zygote_due:
            self._zygote_loaded = False
            self._zygote = Zygote(self._specs, self._settings)
            self._loading_until = now + self._settings.start_seconds
            self._selector.register(self._zygote.control, selectors.EVENT_READ, self._hear)
        elif self._zygote and not self._zygote_loaded and now > self._loading_until:
            self._lost_zygote(f"loading takes over {self._settings.start_seconds:.0f} s")

    def _hear(self) -> None:
        assert self._zygote is not None
        self._zygote_silent = 0.0
        events = self._zygote.receive(time.monotonic())
        if events is None:
            self._lost_zygote("it ended")
            return
        for event in events:
            if isinstance(event, Note):
                self._noted(event.content)
            elif isinstance(event, Birth):
                self._born(event.child)
            else:
                self._died(event)

    def _noted(self, content: dict[str, Any]) -> None:
        if "loading" in content:
            self._notes.put(f"loading detector {content['loading']}")
        elif "failed" in content:
            if not self._started:
                raise UserMistake(content["failed"]) if content["mistake"] else Fatal(content["failed"])
            log.error("detector_not_loaded", where=content["failed"].partition(": ")[0])
        else:
            self._loaded([Description.from_json(each) for each in content["loaded"]])

    def _loaded(self, found: Sequence[Description]) -> None:
        if self._scheduler is None:
            self._descriptions = tuple(found)
            self.columns = Columns(self._descriptions)
            self._scheduler = Scheduler(
                self._descriptions, self._settings, self._fork, self._end_child, self._ask, self._later
            )
            self.counts = self._scheduler.counts
            self._notes.put("warming up")
        elif tuple(found) != self._descriptions:  # scores of one column would be of two models
            raise Fatal("a detector came back in another version: its files were changed under a running worker")
        self._zygote_loaded = True

    def _lost_zygote(self, why: str) -> None:
        assert self._zygote is not None
        if not self._started:
            raise Fatal(f"the detector process was lost while starting: {why}")
        now = time.monotonic()
        again = not self._zygote_loaded or now - self._zygote_lost < _TROUBLE
        log.error("detector_process_lost", why=why, again=again)
        self._drop_zygote(self._zygote)
        self._zygote, self._zygote_lost, self._zygote_loaded = None, now, False
        self._zygote_due = now + _RETRY if again else now
        if self._scheduler:
            self._scheduler.zygote_lost(now, blame=again)

    def _drop_zygote(self, zygote: Zygote) -> None:
        for child in list(self._children.values()):
            self._unwatch(child)
        self._closed.clear()
        self._selector.unregister(zygote.control)
        zygote.end()

    # --- the children's side

    def _fork(self) -> bool:
        if self._zygote is None or not self._zygote.room:
            return False
        self._zygote.fork()
        return True

    def _born(self, child: Child | None) -> None:
        assert self._scheduler is not None
        if child:
            self._children[child.pid] = child
            self._selector.register(child.sock, selectors.EVENT_READ, lambda: self._ready(child))
        self._scheduler.born(child, time.monotonic())

    def _ready(self, child: Child) -> None:
        """Its socket has something for us, or takes something from us."""
        child.flush()
        self._answers(child)
        if child.closed and child.pid in self._children:
            self._selector.unregister(child.sock)
            self._closed[child.pid] = time.monotonic()

    def _answers(self, child: Child) -> None:
        assert self._scheduler is not None
        for frame in child.receive(time.monotonic()):
            if child.pid in self._children:  # an answer may end it
                self._scheduler.answered(child, frame, time.monotonic())

    def _died(self, death: Death) -> None:
        child = self._children.get(death.pid)
        if child is None:  # we ended it
            return
        self._answers(child)  # what it said before it died
        if child.pid in self._children:
            self._lost(child, death.reason)

    def _lost(self, child: Child, reason: Reason) -> None:
        assert self._scheduler is not None
        self._unwatch(child)
        self._scheduler.died(child, reason, time.monotonic())

    def _end_child(self, child: Child) -> None:
        """Kill it and hear no more of it."""
        self._unwatch(child)
        if self._zygote:
            self._zygote.kill(child.pid)

    def _unwatch(self, child: Child) -> None:
        if self._children.pop(child.pid, None) is None:
            return
        if self._closed.pop(child.pid, None) is None:
            self._selector.unregister(child.sock)
        child.close()

    def _watch(self, now: float) -> None:
        """Look for those that are silent, too big, or closed without a word from the zygote."""
        asleep = now - self._looked
        if asleep < _TICK / 2:
            return
        self._looked = now
        self._watch_zygote(asleep)
        if self._scheduler is None:
            return
        lost = self._scheduler.watch(now, asleep if asleep > _STANDSTILL else 0.0)
        late = [self._children[pid] for pid, closed in self._closed.items() if now - closed > _DEATH_REPORT]
        for child, reason in [*lost, *((each, Reason.crashed) for each in late)]:
            if child.pid in self._children:  # the loss of one may end the others
                self._end_child(child)
                self._scheduler.died(child, reason, now)

    def _watch_zygote(self, asleep: float) -> None:
        """One that is asked for a child and says nothing, neither of births nor of deaths, forks no more."""
        owing = self._zygote is not None and self._zygote.owing
        self._zygote_silent = self._zygote_silent + min(asleep, _STANDSTILL) if owing else 0.0
        if self._zygote_silent > _FORK_LASTS:
            self._lost_zygote(f"no child within {_FORK_LASTS:.0f} s")

    def _want_writes(self) -> None:
        for child in self._children.values():
            if child.pid in self._closed:
                continue
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if child.unsent else 0)
            key = self._selector.get_key(child.sock)
            if key.events != wanted:
                self._selector.modify(child.sock, wanted, key.data)
