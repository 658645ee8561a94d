"""What guilty records cost: throughput with 1 % of them against throughput without, in one run, side by side.

    python -m benchmarks.guilty [--events 10000] [--ms-per-event 2] [--share 0.01] [--deadline-ms 300] [--repeats 3]

The detector sleeps as a device would compute; every guilty record really raises, crashes, hangs in a loop or eats
memory, in turn. What the figure depends on: the cores (hanging records burn one while they are tried), the deadline,
and the latency of an event (a hang costs the same whether it displaces ten events or a thousand).
"""

import argparse
import os
import statistics
import time
from collections.abc import Iterator

import numpy as np

from detectors.interface import DetectorSpec, ProcessSettings
from detectors.runtime.client import DetectorClient
from schemas.columns import Events
from schemas.statuses import Reason, Status
from tests.event_columns import events

WAYS = {"raise": Reason.raised, "segv": Reason.crashed, "spin": Reason.hung, "memory": Reason.memory}


def texts(n: int, share: float, ways: list[str]) -> tuple[list[str], dict[int, str]]:
    """`n` texts, and which rows are guilty of what."""
    random = np.random.default_rng(1)
    rows = sorted(random.choice(n, round(n * share), replace=False).tolist())
    guilty = {row: ways[place % len(ways)] for place, row in enumerate(rows)}
    return [f"text {row}" + (f" TRIP:{guilty[row]}" if row in guilty else "") for row in range(n)], guilty


def batches(said: list[str], size: int) -> Iterator[Events]:
    for start in range(0, len(said), size):
        yield events(said[start : start + size])


def run(client: DetectorClient, said: list[str], size: int) -> tuple[float, list[Reason], float]:
    """Events per second, the reason of each row, and the worker's CPU µs an event."""
    began, cpu = time.perf_counter(), time.process_time()
    reasons: list[Reason] = []
    waiting = batches(said, size)
    submitted = 0
    more = True
    while len(reasons) < len(said):
        while more and client.room:
            if (batch := next(waiting, None)) is None:
                more = False
                break
            client.submit(submitted, batch)
            submitted += 1
        if (result := client.collect(1)) is not None:
            scores = result[1]
            assert ((scores.status[:, 0] == Status.error) == (scores.reason[:, 0] != Reason.none)).all()
            reasons += [Reason(reason) for reason in scores.reason[:, 0].tolist()]
    seconds = time.perf_counter() - began
    return len(said) / seconds, reasons, (time.process_time() - cpu) / len(said) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--ms-per-event", type=float, default=2.0)
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument("--deadline-ms", type=int, default=300)
    parser.add_argument("--memory-mb", type=int, default=128)
    parser.add_argument("--hints", default="rows", help="rows, a number of rows, or none")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    settings = ProcessSettings(deadline_ms=options.deadline_ms, memory_mb=options.memory_mb)
    detector = {"ms_per_event": options.ms_per_event, "hints": options.hints}
    ratios = []
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for _ in range(options.repeats):
        client = DetectorClient([DetectorSpec("tripwire", detector, "tests.fault.tripwire:build")], settings)
        client.start()
        clean, guilty = texts(options.events, 0, []), texts(options.events, options.share, options.ways.split(","))
        without, _, cpu_without = run(client, clean[0], options.batch)
        with_guilty, reasons, cpu_with = run(client, guilty[0], options.batch)
        wrong = [row for row, reason in enumerate(reasons) if reason != WAYS.get(guilty[1].get(row, ""), Reason.none)]
        ratios.append(with_guilty / without)
        print(
            f"{without:7.0f}/s without, {with_guilty:7.0f}/s with {options.share:.1%} guilty: {ratios[-1]:.0%};"
            f" worker CPU {cpu_without:.1f} and {cpu_with:.1f} µs an event; {client.counts};"
            f" otherwise judged: {[(r, guilty[1].get(r), reasons[r].name) for r in wrong][:5]}"
        )
        client.close()
    print(f"median ratio {statistics.median(ratios):.0%}")


if __name__ == "__main__":
    main()
