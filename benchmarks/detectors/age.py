"""Ages of profiles: through the detector process in batches, and with the same detector one profile at a time."""

import time
from contextlib import closing
from typing import Any

import numpy as np

from detectors.age.detector import build
from detectors.interface import DetectorSpec, ProcessSettings
from detectors.items import Items
from detectors.runtime.client import DetectorClient
from detectors.training.age.population.assumptions import STATED, read_assumptions
from detectors.training.age.population.signals import population
from schemas.columns import Events

AIM, BATCH, ALONE = 5.0, 1000, 500


def run(profiles: int, repeats: int) -> None:
    """Print profiles a second of each, and the ratio of medians."""
    columns = population(profiles, read_assumptions(STATED), 1)
    unknown = {"true_age", "age", "age_verified"}  # of the table: no producer knows these
    names = [name for name in columns if name not in unknown]
    rows: list[dict[str, Any]] = [
        {name: cell for name, cell in zip(names, cells, strict=True) if cell is not None}
        for cells in zip(*(columns[name] for name in names), strict=True)
    ]
    rates = {"batched": [batched(rows) for _ in range(repeats)], "alone": [alone(rows[:ALONE]) for _ in range(repeats)]}
    medians = {name: float(np.median(found)) for name, found in rates.items()}
    print(f"{profiles:,} simulated profiles, one thread, nothing reused, medians of {repeats}")
    print(f"  through the detector process, batches of {BATCH:,}: {medians['batched']:,.0f} profiles/s")
    print(f"  one at a time, without a process: {medians['alone']:,.0f} profiles/s")
    print(f"  ratio {medians['batched'] / medians['alone']:.1f}, aim {AIM}")


def batched(rows: list[dict[str, Any]]) -> float:
    """Profiles a second through the runtime."""
    with closing(DetectorClient([DetectorSpec("age")], ProcessSettings(reuse_entries=0))) as client:
        client.start()
        began, sent, done = time.perf_counter(), 0, 0
        while done < len(rows):
            while client.room and sent < len(rows):
                some = rows[sent : sent + BATCH]
                client.submit(sent, events(some))
                sent += len(some)
            if (result := client.collect(1.0)) is not None:
                assert result[1].status.max() < 3
                done += len(result[1])
        return len(rows) / (time.perf_counter() - began)


def alone(rows: list[dict[str, Any]]) -> float:
    """Profiles a second, each by a call of its own."""
    detector = build({})
    detector.warm()
    began = time.perf_counter()
    for row in rows:
        detector.score(Items([""], [""], [()], [row]), lambda _: None)
    return len(rows) / (time.perf_counter() - began)


def events(rows: list[dict[str, Any]]) -> Events:
    n = len(rows)
    return Events.unplaced([""] * n, [""] * n, [()] * n, rows)
