"""What goes wrong in a run, drawn from its seed, and the supervisor that starts again what died.

    kill      a worker, with -9, at a random moment: mostly in the middle of work, one in four wherever it is
    zombie    a worker is stopped past its session timeout and woken when others have its partitions
    usurped   the same, but a successor has taken over its slot: woken, one of the two must end as fenced (exit code 3)
              when it tries to write; idle, the woken one is killed
    broker    the broker, with -9, and started again on the same data
    cut       every worker's connections are cut and refused for a while
    pair      to two workers; grow: to three
    shrink    back to one, each other stopped by SIGTERM (exit code 0 within ten seconds)

Whatever a worker does of its own accord besides, such as ending with another code, is a violation. Two things are not,
and are counted: a worker that finds no broker while it starts says so and ends; one that was out of reach for longer
than its transaction may take can't know whether the broker timed it out or a successor fenced it, and ends as fenced.
"""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from tests.fault.cluster import SESSION_SECONDS, STOP_SECONDS, Cluster, Worker, wait_until

FENCED: Final = 3
FENCED_SECONDS: Final = 20.0
NO_BROKER: Final = (2, 4)
TIMED_OUT_SECONDS: Final = 60.0  # after a broker was out of reach, or a worker stopped
PROGRESS_SECONDS: Final = 60.0  # within which something must be committed again, whatever happened
GROWN: Final = ("0", "1", "2")

Plan = tuple[str, ...]


def plan(chance: random.Random, kills: int) -> Plan:
    """The order of faults: a third of the kills alone, the rest among three workers with everything else mixed in."""
    alone, after = kills // 4, kills // 4
    mixed = ["kill"] * (kills - alone - after) + ["zombie", "usurped", "broker", "broker", "cut", "cut"]
    chance.shuffle(mixed)
    return (*["kill"] * alone, "grow", *mixed, "shrink", *["kill"] * after)


class Chaos:
    """Carries out a plan on a cluster. One thread; every method blocks until its fault is over."""

    def __init__(self, cluster: Cluster, seed: int, say: Callable[[str], None]) -> None:
        self.counts: Counter[str] = Counter()
        self.violations: list[str] = []
        self._cluster, self._say = cluster, say
        self._chance = random.Random(seed)
        self._workers: dict[str, Worker] = {}
        self._committed = 0
        self._away = 0.0  # when something was last out of reach of something (time.monotonic)

    def run(self, faults: Plan) -> None:
        """Start a worker, do everything on the plan, drain, and stop."""
        self._start("0")
        for number, fault in enumerate(faults, 1):
            self._wait_for_moment(fault)
            committed, there = self._cluster.progress()
            self._say(f"{number}/{len(faults)} {fault} ({committed:,} of {there:,} offsets committed)")
            getattr(self, f"_{fault}")()
            self.counts[fault] += 1
            self.supervise()
            self._committed = self._cluster.progress()[0]

    def drain(self, seconds: float) -> None:
        """Wait until everything is committed, and stop all workers."""
        deadline = time.monotonic() + seconds
        while not self._cluster.drained():
            self.supervise()
            if time.monotonic() > deadline:
                self.violations.append(f"not drained within {seconds:g} s: {self._cluster.progress()}")
                break
            time.sleep(0.5)
        for slot in list(self._workers):
            self._stop(slot)

    def end(self) -> None:
        """Leave nothing running."""
        for worker in self._workers.values():
            worker.end()

    def supervise(self) -> None:
        """Start again what ended by itself; that is a violation."""
        for slot, worker in list(self._workers.items()):
            if worker.exit_code is None:
                continue
            if worker.exit_code in NO_BROKER and not worker.serving:
                self.counts["found no broker"] += 1
            elif worker.exit_code == FENCED and time.monotonic() < self._away + TIMED_OUT_SECONDS:
                self.counts["timed out by the broker"] += 1
            else:
                self._violated(worker, f"worker {slot} ended with code {worker.exit_code}")
            self._start(slot)

    # --- faults

    def _kill(self) -> None:
        slot = self._chance.choice(list(self._workers))
        self._workers[slot].kill()
        time.sleep(self._chance.choice((0.0, 0.3, 2.0)))
        self._start(slot)

    def _zombie(self) -> None:
        worker = self._workers[self._chance.choice(list(self._workers))]
        self._away = time.monotonic()
        worker.stop()
        time.sleep(SESSION_SECONDS * self._chance.uniform(1.4, 2))
        worker.wake()

    def _usurped(self) -> None:
        slot = self._chance.choice(list(self._workers))
        zombie = self._workers[slot]
        zombie.stop()
        time.sleep(SESSION_SECONDS * 1.2)
        self._start(slot)
        self._wait_for_progress()
        self._away = time.monotonic()
        zombie.wake()
        deadline = time.monotonic() + FENCED_SECONDS
        while zombie.exit_code is None and time.monotonic() < deadline:
            time.sleep(0.2)
        if zombie.exit_code is None:  # nobody is fenced who has nothing to write
            self.counts["usurped and idle"] += 1
        elif zombie.exit_code != FENCED:
            self._violated(zombie, f"usurped worker {slot} ended with code {zombie.exit_code}, not {FENCED}")
        zombie.end()

    def _broker(self) -> None:
        self._away = time.monotonic()
        self._cluster.broker.kill()
        time.sleep(self._chance.uniform(0, 3))
        self._cluster.broker.start()

    def _cut(self) -> None:
        self._away = time.monotonic()
        self._cluster.proxy.cut()
        time.sleep(self._chance.uniform(1, SESSION_SECONDS * 1.5))
        self._cluster.proxy.heal()

    def _pair(self) -> None:
        self._start(GROWN[1])

    def _grow(self) -> None:
        for slot in GROWN:
            if slot not in self._workers:
                self._start(slot)

    def _shrink(self) -> None:
        for slot in [slot for slot in self._workers if slot != GROWN[0]]:
            self._stop(slot)

    # --- workers

    def _start(self, slot: str) -> None:
        self._workers[slot] = self._cluster.worker(slot)

    def _stop(self, slot: str) -> None:
        worker = self._workers.pop(slot)
        code, seconds = worker.terminate()
        still_importing = code == -signal.SIGTERM and not worker.serving
        if (code != 0 and not still_importing) or seconds > STOP_SECONDS:
            self._violated(worker, f"worker {slot} ended with code {code}, {seconds:.1f} s after SIGTERM")
        worker.end()

    def _violated(self, worker: Worker, what: str) -> None:
        self.violations.append(f"{what}\n{worker.tail()}")
        self._say(f"VIOLATION {what}")

    # --- moments

    def _wait_for_moment(self, fault: str) -> None:
        """Somewhere within work that goes on; one kill in four comes wherever the worker is, also while it starts."""
        if fault == "kill" and self._chance.random() < 1 / 4:
            time.sleep(self._chance.uniform(0, 2))
            return
        self._wait_for_progress()
        time.sleep(self._chance.uniform(0, 1))

    def _wait_for_progress(self) -> None:
        def moved() -> bool:
            self.supervise()
            committed, there = self._cluster.progress()
            return committed > self._committed or committed == there

        wait_until("something is committed", moved, PROGRESS_SECONDS)
