"""Latency of what needs no second look, while the detector of the second look stands still: it must not matter.

Half of the comments are asked about (surface live_chat), half are not. A worker decides; one that looks again has a
detector that is stalled for the whole time. Compared: the same load, with nobody who looks again.
"""

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import yaml

from benchmarks.stream.__main__ import JOIN_SECONDS, fresh_topics, say, steady
from benchmarks.stream.contenders import PARTITIONS, ours, running
from benchmarks.stream.watching import Watch
from stream.local_broker import own_broker

AIM = 1.1
RATE, SECONDS, STALL_MS = 500.0, 30, 30_000.0
PACK = {
    "name": "stalled",
    "thresholds": {},
    "rules": [],
    "detectors": {"null": {"when": {"surface": ["track"]}, "second_look": True}},
    "hold": {"deadline_hours": 1},
}


def run(repeats: int) -> None:
    """Print p99 with and without, and their ratio."""
    with own_broker(say) as broker, tempfile.TemporaryDirectory() as where:
        folder = Path(where)
        (folder / "pack").mkdir()
        (folder / "pack" / "pack.yaml").write_text(yaml.safe_dump(PACK))
        found: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(repeats):
            for stalled in (False, True):
                found[stalled].append(p99(broker.bootstrap, folder, stalled=stalled))
                say(f"  {'stalled' if stalled else 'nobody looks again'}: p99 {found[stalled][-1]:,.0f} ms")
        calm, stall = (float(np.median(found[each])) for each in (False, True))
        say(f"{RATE:,.0f} events/s for {SECONDS} s, each asked about; the second look is stalled all the time")
        say(f"  p99 of the first decision: {calm:,.0f} ms alone, {stall:,.0f} ms beside it")
        say(f"  ratio {stall / calm:.2f}, aim {AIM}")


def p99(bootstrap: str, folder: Path, *, stalled: bool) -> float:
    """Milliseconds from the broker's timestamp to the visible first decision."""
    fresh_topics(bootstrap)
    detectors = {"lexicon": {}, "null": {"delay_ms_per_batch": STALL_MS}}
    changes = {"detectors": detectors, "policy": {"pack": str(folder / "pack")}}
    with ExitStack() as stack:
        first = ours(bootstrap, folder, 1000, **changes)
        stack.enter_context(running(first, folder))
        if stalled:
            again = ours(bootstrap, folder, 1000, "1", **changes, detector_process={"deadline_ms": 60_000})
            again.command.append("--second-look")
            stack.enter_context(running(again, folder))
        time.sleep(JOIN_SECONDS)
        steady(bootstrap, RATE, 4, 200).wait()
        time.sleep(1)
        with Watch(bootstrap, first.decisions, PARTITIONS, latency=True) as watch:
            steady(bootstrap, RATE, SECONDS, 201).wait()
            watch.wait(int(RATE * SECONDS * 0.99), 60)
            return float(np.percentile(watch.latencies, 99)) * 1000
