"""`python -m tests.fault.run`: never lost, never doubled, shown on a real broker while everything goes wrong.

Under both group protocols, on a fresh broker each: traffic flows from a seed, workers die as `chaos.py` draws it, and
at the end the oracle and `safestream audit verify` judge. Then a worker is killed exactly at each transactional request
(`kill_points.py`). Prints what it does, what was counted, and the seed that repeats it.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from schemas.errors import UserMistake
from tests.fault import kill_points
from tests.fault.chaos import Chaos, plan
from tests.fault.cluster import Protocol, cluster
from tests.fault.oracle import Verdict, judge
from tests.fault.workload import Flow, records

FAST: dict[str, Any] = {"lexicon": {}}
TRAINED: dict[str, Any] = {"text": {}}


@dataclass(frozen=True)
class Run:
    """What is to be run."""

    protocol: Protocol
    seed: int
    events: int  # at least: traffic flows until the last fault is over
    kills: int
    rate: float  # events a second
    detectors: dict[str, Any]
    drain_seconds: float
    faults: tuple[str, ...] | None = None  # instead of a plan drawn from the seed


SHORT: Final = Run(
    protocol="consumer",
    seed=20,
    events=800,
    kills=0,
    rate=15.0,
    detectors=TRAINED,
    drain_seconds=60.0,
    faults=("kill", "pair", "zombie", "broker", "cut", "shrink"),
)
"""One of each fault, in at most 90 seconds on two cores: part of `make test`."""


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    verdict: Verdict
    violations: list[str]
    faults: dict[str, int]
    requests: dict[str, int]
    seconds: float

    @property
    def clean(self) -> bool:
        return not self.violations and not self.verdict.anomalies

    def report(self) -> str:
        lines = [f"faults: {_counted(self.faults)}", f"transactional requests seen: {_counted(self.requests)}"]
        lines += [f"VIOLATION {each}" for each in self.violations]
        return "\n".join([*lines, self.verdict.report(), f"{self.seconds:.0f} s"])


def execute(run: Run, folder: Path, say: Callable[[str], None]) -> Outcome:
    """One run on a fresh broker."""
    began = time.monotonic()
    with cluster(folder, run.protocol, run.detectors, say) as pipeline:
        flow = Flow(pipeline.broker.bootstrap, records(run.seed), run.rate)
        chaos = Chaos(pipeline, run.seed, say)
        flow.start()
        try:
            chaos.run(run.faults or plan(random.Random(run.seed), run.kills))
            say("no more faults: draining")
            flow.finish(run.events)
            flow.join(run.drain_seconds + run.events / run.rate)
            chaos.drain(run.drain_seconds)
        except AssertionError as failure:  # the rest can't be done, but what there is can be judged
            chaos.violations.append(str(failure))
        finally:
            chaos.end()
            flow.finish(0)
            flow.join(run.drain_seconds)
        say("the oracle reads")
        verdict = judge(pipeline.history(flow.acknowledged))
        verified = pipeline.attempt("audit", "verify")
        violations = [*chaos.violations, *([] if verified is None else [verified])]
        return Outcome(verdict, violations, chaos.counts, pipeline.proxy.seen, time.monotonic() - began)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fault.run", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31), help="repeats a run; drawn if not given")
    parser.add_argument("--events", type=int, default=200_000, help="at least, for each protocol")
    parser.add_argument("--kills", type=int, default=30, help="for each protocol")
    parser.add_argument("--rate", type=float, default=700, help="events a second")
    parser.add_argument("--protocol", choices=("classic", "consumer"), help="only this one")
    parser.add_argument("--short", action="store_true", help="the version of `make test`, with the trained detector")
    parser.add_argument("--keep", type=Path, help="a folder for the workers' logs; else they go when all is well")
    chosen = parser.parse_args()
    folder = chosen.keep or Path(tempfile.mkdtemp(prefix="safestream-faults-"))
    clean = _one(replace(SHORT, seed=chosen.seed), folder) if chosen.short else _all(chosen, folder)
    print(f"repeat with: python -m tests.fault.run {_repeat(chosen)}")
    print("never lost, never doubled" if clean else f"VIOLATED; the workers' logs: {folder}")
    if clean and not chosen.keep:
        shutil.rmtree(folder)
    sys.exit(0 if clean else 1)


def _all(chosen: argparse.Namespace, folder: Path) -> bool:
    protocols: tuple[Protocol, ...] = (chosen.protocol,) if chosen.protocol else ("classic", "consumer")
    clean = True
    for protocol in protocols:
        run = Run(protocol, chosen.seed, chosen.events, chosen.kills, chosen.rate, FAST, 180)
        clean &= _one(run, folder / protocol)
        clean &= _kill_points(protocol, chosen.seed, folder / f"{protocol}-kill-points")
    return clean


def _repeat(chosen: argparse.Namespace) -> str:
    if chosen.short:
        return f"--seed {chosen.seed} --short"
    only = f" --protocol {chosen.protocol}" if chosen.protocol else ""
    return f"--seed {chosen.seed} --events {chosen.events} --kills {chosen.kills} --rate {chosen.rate:g}{only}"


def _kill_points(protocol: Protocol, seed: int, folder: Path) -> bool:
    say, clean = _clock(protocol), True
    try:
        with cluster(folder, protocol, FAST, say) as pipeline:
            for point, verdict in kill_points.each(pipeline, seed):
                say(f"killed at {point}: {verdict.report()}")
                clean &= not verdict.anomalies
    except AssertionError as failure:
        say(f"VIOLATION {failure}")
        return False
    return clean


def _clock(protocol: Protocol) -> Callable[[str], None]:
    began = time.monotonic()
    return lambda line: print(f"[{time.monotonic() - began:6.1f} s] {protocol}: {line}", flush=True)


def _one(run: Run, folder: Path) -> bool:
    say = _clock(run.protocol)
    say(f"{run.events:,} events, seed {run.seed}, {run.kills} kills")
    outcome = execute(run, folder, say)
    print(outcome.report(), flush=True)
    return outcome.clean


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in counts.items())


if __name__ == "__main__":
    try:
        main()
    except UserMistake as mistake:
        sys.exit(f"{mistake}")
