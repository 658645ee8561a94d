"""Our worker against what a user would use instead, on one broker and the same events, as ratios.

    make bench-stream [ARGS="--events 60000 --repeats 3"]

Rivals: (a) the plainest exactly-once loop of confluent-kafka and fastavro, (b) faust-streaming exactly-once, (c)
quixstreams exactly-once. Each decodes the same comments and writes a decision and a leaf of the same fields; ours
chains and hashes the leaves as well, and looks for what is malformed. Medians of the repeats, in turns. Then ours
alone: one worker and two before a simulated device, latency at 30 % and 70 % of the maximum, the pause of a
rebalance, peak memory, and where the time goes.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.stream.contenders import HEALTH_PORT, PARTITIONS, ROOT, Contender, ours, rivals, running
from benchmarks.stream.load import produce
from benchmarks.stream.watching import Memory, Watch, stages
from schemas.topics import COMMENTS
from stream.local_broker import own_broker
from stream.reaching import Cluster
from stream.topics import create, plans

AIMS = {"raw loop": 0.6, "faust": 4.0, "quixstreams": 1.5}
LATENCY_SECONDS = 15
JOIN_SECONDS = 6  # for a worker to start, join and take its partitions


def say(line: str) -> None:
    print(line, flush=True)


def fresh_topics(bootstrap: str) -> None:
    """Empty topics under our names: each repeat begins its chains anew."""
    cluster = Cluster(bootstrap, {})
    wanted = plans([COMMENTS], PARTITIONS, 1, 1)
    there = [plan.name for plan in wanted if plan.name in cluster.topics()]
    for future in cluster.admin.delete_topics(there).values() if there else ():
        future.result(30)
    while set(there) & cluster.topics().keys():
        time.sleep(0.1)
    create(cluster, wanted)


def measure(bootstrap: str, contender: Contender, events: int, folder: Path) -> float:
    """Decisions a second, as a consumer of the decisions sees them appear."""
    count = min(events, contender.limit or events)
    with Watch(bootstrap, contender.decisions, PARTITIONS) as watch, running(contender, folder):
        watch.wait(count, 300)
        return watch.rate(count)


def compare(bootstrap: str, options: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Everyone's median rate."""
    rates: defaultdict[str, list[float]] = defaultdict(list)
    for repeat in range(options.repeats):
        fresh_topics(bootstrap)
        produce(bootstrap, options.events, repeat)
        others = rivals(bootstrap, repeat, options.batch, options.slow_events)
        outputs = [NewTopic(name, PARTITIONS, 1) for each in others for name in (each.decisions, each.audit)]
        admin = AdminClient({"bootstrap.servers": bootstrap})
        for future in admin.create_topics(outputs).values():
            future.result(30)
        for contender in [ours(bootstrap, folder, options.batch), *others]:
            rates[contender.name].append(measure(bootstrap, contender, options.events, folder))
            say(f"  repeat {repeat + 1}: {contender.name:<12} {rates[contender.name][-1]:>9,.0f} events/s")
    return {name: statistics.median(found) for name, found in rates.items()}


def scale(bootstrap: str, options: argparse.Namespace, folder: Path, maximum: float) -> tuple[float, float]:
    """One worker and two, before a device whose latency halves one worker's rate."""
    device = {"detectors": {"null": {"ms_per_event": 2000.0 / maximum}}}
    found: list[list[float]] = [[], []]
    for repeat in range(options.repeats):
        for workers in (1, 2):
            fresh_topics(bootstrap)
            with ExitStack() as stack:
                watch = stack.enter_context(Watch(bootstrap, "moderation.decisions", PARTITIONS))
                for slot in range(workers):
                    stack.enter_context(running(ours(bootstrap, folder, options.batch, str(slot), **device), folder))
                    time.sleep(JOIN_SECONDS)
                count = 2 * options.events
                steady(bootstrap, 1e6, count / 1e6, 100 + repeat).wait()
                watch.wait(count, 300)
                found[workers - 1].append(watch.rate(count, since=0.5))  # all of it is there by then
            say(f"  repeat {repeat + 1}: {workers} worker(s) {found[workers - 1][-1]:>9,.0f} events/s")
    return statistics.median(found[0]), statistics.median(found[1])


def latency(bootstrap: str, options: argparse.Namespace, folder: Path, rate: float) -> np.ndarray:
    """Seconds from the broker's timestamp of a comment to its visible decision, at a steady rate."""
    fresh_topics(bootstrap)
    with running(ours(bootstrap, folder, options.batch), folder):
        time.sleep(JOIN_SECONDS)
        steady(bootstrap, rate, 5, 200).wait()  # caches are warm
        time.sleep(2)
        with Watch(bootstrap, "moderation.decisions", PARTITIONS, latency=True) as watch:
            steady(bootstrap, rate, LATENCY_SECONDS, 201).wait()
            watch.wait(int(rate * LATENCY_SECONDS * 0.99), 60)
            return np.array(watch.latencies)


def steady(bootstrap: str, rate: float, seconds: float, seed: int) -> "subprocess.Popen[bytes]":
    """A producer of its own process."""
    arguments = [bootstrap, str(round(rate * seconds)), str(seed), str(rate)]
    return subprocess.Popen([sys.executable, "-m", "benchmarks.stream.load", *arguments], cwd=ROOT)


def rebalance(bootstrap: str, options: argparse.Namespace, folder: Path, rate: float) -> tuple[float, float]:
    """The longest gap in the decisions of a partition while a second worker joins, and while it leaves."""
    fresh_topics(bootstrap)
    with running(ours(bootstrap, folder, options.batch), folder):
        time.sleep(JOIN_SECONDS)
        load = steady(bootstrap, rate, 40, 301)
        second = ours(bootstrap, folder, options.batch, "1")
        time.sleep(3)
        with Watch(bootstrap, "moderation.decisions", PARTITIONS) as joining, running(second, folder):
            time.sleep(15)
            joined = joining.longest_gap()
            leaving = Watch(bootstrap, "moderation.decisions", PARTITIONS)
            time.sleep(2)
        time.sleep(6)
        left = leaving.longest_gap()
        leaving.__exit__()
        load.wait()
    return joined, left


def profile(bootstrap: str, options: argparse.Namespace, folder: Path) -> None:
    """Where the time goes, and the most memory held."""
    fresh_topics(bootstrap)
    produce(bootstrap, options.events, 400)
    with running(ours(bootstrap, folder, options.batch), folder) as process:
        memory = Memory(process.pid)
        with Watch(bootstrap, "moderation.decisions", PARTITIONS) as watch:
            watch.wait(options.events, 300)
        found = stages(HEALTH_PORT)
        say(f"peak memory of a worker and its detectors' processes: {memory.close():,.0f} MiB (PSS)")
    say("where a batch's time goes (stages overlap: they don't add up)")
    for stage, (seconds, batches) in found.items():
        each, whole = seconds / options.events * 1e6, seconds / max(1, batches) * 1e3
        say(f"  {stage:<8} {each:>7.1f} µs an event {whole:>8.1f} ms a batch")


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--slow-events", type=int, default=10_000, help="for faust")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, default=1000)
    options = parser.parse_args()
    with own_broker(say) as broker, tempfile.TemporaryDirectory() as where:
        folder, bootstrap = Path(where), broker.bootstrap
        say(f"== throughput: {options.events:,} comments, batches of {options.batch:,}, medians of {options.repeats}")
        rates = compare(bootstrap, options, folder)
        mine = rates.pop("safestream")
        say(f"safestream   {mine:>9,.0f} events/s")
        for name, rate in rates.items():
            say(f"{name:<12} {rate:>9,.0f} events/s   ratio {mine / rate:>6.2f}   aim {AIMS[name]}")
        say("== one worker and two, a device of half that rate simulated")
        one, two = scale(bootstrap, options, folder, mine)
        say(f"1 worker {one:,.0f} events/s, 2 workers {two:,.0f} events/s, ratio {two / one:.2f}, aim 1.8")
        say("== latency from the broker's timestamp to the visible decision, batch window 100 ms")
        for share in (0.3, 0.7):
            found = latency(bootstrap, options, folder, mine * share) * 1000
            p50, p99 = np.percentile(found, [50, 99])
            say(f"at {share:.0%} ({mine * share:,.0f} events/s): p50 {p50:,.0f} ms, p99 {p99:,.0f} ms; aim p99 200 ms")
        say("== rebalance")
        joined, left = rebalance(bootstrap, options, folder, mine * 0.3)
        say(f"longest gap of a partition: {joined:.2f} s while a worker joins, {left:.2f} s while it leaves; aim 3 s")
        say("== profile")
        profile(bootstrap, options, folder)


if __name__ == "__main__":
    main()
