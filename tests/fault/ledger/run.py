"""`python -m tests.fault.ledger.run`: the account ledger loses nothing and doubles nothing while everything goes wrong.

Two ledger processes on a broker of their own, transactional inputs of which a tenth are aborted, faults drawn from a
seed. At the end every account's state must be, byte for byte, what the inputs say, folded again by the oracle.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Final

from confluent_kafka import KafkaException

from schemas import topics
from stream.local_broker import Broker, own_broker
from stream.reaching import Cluster
from stream.topics import create, plans
from tests.fault.ledger.cluster import SESSION_SECONDS, LedgerProcess, wait_drained, write_config
from tests.fault.ledger.oracle import PARTITIONS, Verdict, judge
from tests.fault.ledger.workload import Flow

GROUP: Final = "ledger-faults"
Say = Callable[[str], None]


@dataclass
class Outcome:
    """What a run came to."""

    verdict: Verdict
    faults: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)  # seconds from kill -9 to ready
    exits: Counter[int] = field(default_factory=Counter)  # after SIGTERM (-9: not within 30 s) or by themselves
    seconds: float = 0.0

    def report(self) -> str:
        said = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        found = sorted(self.recoveries)
        times = f"{found[0]:.1f}-{found[-1]:.1f} s, median {found[len(found) // 2]:.1f} s" if found else "none"
        return (
            f"faults: {said}\nfrom kill -9 to ready: {times}; exit codes: {dict(self.exits)}\n"
            f"{self.verdict.report()}\n{self.seconds:.0f} s"
        )


class Run:
    """One run: a broker, one or two ledgers, a flow, and faults."""

    def __init__(self, broker: Broker, folder: Path, seed: int, rate: float, say: Say) -> None:
        self.broker, self.folder, self.rate, self.say = broker, folder, rate, say
        self.draw = random.Random(seed)
        self.config = write_config(folder, self.broker.bootstrap, GROUP)
        self.processes: list[LedgerProcess] = []
        self.outcome = Outcome(Verdict())
        self.flow = Flow(self.broker.bootstrap, seed, 200)
        self._quiet = Event()
        self._thread = Thread(target=self._produce, name="flow", daemon=True)

    def _produce(self) -> None:
        while not self._quiet.is_set():
            began = time.monotonic()
            try:
                self.flow.send(40)
            except (KafkaException, RuntimeError):
                time.sleep(1)
                self._renew()
            time.sleep(max(0.0, 40 / self.rate - (time.monotonic() - began)))

    def _renew(self) -> None:
        """After the broker was away: what was under way is aborted."""
        while not self._quiet.is_set():
            try:
                self.flow.renew()
            except KafkaException:
                time.sleep(1)
            else:
                return

    def begin(self, slots: int) -> None:
        self.processes = [self._process(str(slot)) for slot in range(slots)]
        self._thread.start()
        for each in self.processes:
            each.wait_ready()

    def _process(self, slot: str) -> LedgerProcess:
        return LedgerProcess(self.config, slot, self.folder / f"ledger-{slot}.log")

    def fault(self, name: str) -> None:
        """One fault, and all processes ready again."""
        self.say(f"{name} after {self.flow.sent} inputs")
        self.outcome.faults[name] += 1
        getattr(self, f"_{name}")()
        for each in self.processes:
            each.wait_ready(120)
        time.sleep(self.draw.uniform(0.2, 2.0))

    def _kill(self) -> None:
        victim = self.draw.choice(self.processes)
        victim.kill()
        self.outcome.recoveries.append(victim.wait_ready())

    def _restart(self) -> None:
        victim = self.draw.choice(self.processes)
        self.outcome.exits[victim.terminate()] += 1
        victim.supervise()

    def _freeze(self) -> None:
        """Frozen past its session, its partitions taken over by the other, which then dies; and it wakes."""
        frozen, other = self.draw.sample(self.processes, 2)
        frozen.stop()
        time.sleep(SESSION_SECONDS * 2.5)
        frozen.wake()
        other.kill()
        self.outcome.recoveries.append(other.wait_ready())

    def _join_and_leave(self) -> None:
        """1 → 2 → 1."""
        second = self.processes.pop()
        second.terminate()
        time.sleep(SESSION_SECONDS + 4)  # a static member is gone when its session is
        self.processes.append(self._process(second.slot))
        self.processes[-1].exits = second.exits
        self.processes[-1].wait_ready(120)

    def _lose_the_disk(self) -> None:
        victim = self.draw.choice(self.processes)
        victim.process.kill()
        victim.process.wait()
        shutil.rmtree(self.folder / "states" / victim.slot)
        victim.supervise()

    def _broker(self) -> None:
        self.broker.kill()
        time.sleep(8)
        self.broker.start()

    def finish(self, drain_seconds: float) -> Outcome:
        self._quiet.set()
        self._thread.join(120)
        self.flow.close()
        wait_drained(self.broker.bootstrap, GROUP, self.processes, drain_seconds)
        for each in self.processes:
            self.outcome.exits.update(each.exits)
            self.outcome.exits[each.terminate()] += 1
        self.outcome.verdict = judge(self.broker.bootstrap)
        return self.outcome

    def close(self) -> None:
        self._quiet.set()
        for each in self.processes:
            each.end()


def execute(
    broker: Broker, folder: Path, seed: int, faults: list[str], rate: float, say: Say, slots: int = 2
) -> Outcome:
    """A run with these faults, one after the other, on a broker with our topics, empty."""
    began = time.monotonic()
    run = Run(broker, folder, seed, rate, say)
    try:
        run.begin(slots)
        for name in faults:
            run.fault(name)
        outcome = run.finish(180)
    finally:
        run.close()
    outcome.seconds = time.monotonic() - began
    return outcome


def plan(seed: int, kills: int) -> list[str]:
    """The faults of a long run, in an order drawn from the seed."""
    faults = ["kill"] * kills + ["restart"] * 2 + ["freeze"] * 2 + ["join_and_leave"] * 2 + ["broker", "lose_the_disk"]
    random.Random(seed).shuffle(faults)
    return faults


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    """The command."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seed", type=int, default=random.randrange(10**6))
    arguments.add_argument("--kills", type=int, default=20)
    arguments.add_argument("--rate", type=float, default=150.0, help="inputs a second")
    told = arguments.parse_args()
    print(f"seed {told.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="safestream-ledger-"))
    with own_broker(_say) as broker:
        create(Cluster(broker.bootstrap, {}), plans(list(topics.CONTENT), PARTITIONS, 1, 1))
        outcome = execute(broker, folder, told.seed, plan(told.seed, told.kills), told.rate, _say)
    print(outcome.report())
    if outcome.verdict.wrong:
        print(f"logs: {folder}", file=sys.stderr)
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
