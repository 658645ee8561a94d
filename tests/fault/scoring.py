"""Clients of real detector processes, for tests: how to start one, what to send it, what comes back."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psutil

from detectors.interface import DetectorSpec, ProcessSettings
from detectors.runtime.client import DetectorClient
from schemas.columns import Events, Scores

SETTINGS = ProcessSettings(deadline_ms=1000, memory_mb=100)

Start = Callable[..., DetectorClient]


def tripwire(name: str = "tripwire", **options: object) -> DetectorSpec:
    """A tripwire with these options."""
    return DetectorSpec(name, options, "tests.fault.tripwire:build")


@contextmanager
def clients() -> Iterator[Start]:
    """Starts clients, and sees to it that nothing of them is left."""
    with ExitStack() as stack:

        def start(*specs: DetectorSpec, settings: ProcessSettings = SETTINGS, **cascade: Any) -> DetectorClient:
            client = DetectorClient(specs or [tripwire()], settings, **cascade)
            stack.callback(client.close)
            client.start()
            return client

        yield start
    assert not detector_processes(os.getpid())


def detector_processes(worker: int) -> list[psutil.Process]:
    """The zygote and the scoring processes of a worker."""
    return [p for p in psutil.Process(worker).children(recursive=True) if "detectors.runtime.process" in p.cmdline()]


def texts(n: int, guilty: dict[int, str] | None = None) -> list[str]:
    """`n` different texts; at the rows in `guilty` the tripwire fails in that way."""
    marked = guilty or {}
    return [f"text {row}" + (f" TRIP:{marked[row]}" if row in marked else "") for row in range(n)]


def collect(client: DetectorClient, number: int, seconds: float = 60) -> Scores:
    """The next batch, which must be this one."""
    result = client.collect(seconds)
    assert result is not None, "nothing came back in time"
    assert result[0] == number
    return result[1]


def score(client: DetectorClient, batch: Events) -> Scores:
    """Submit a batch and wait for it."""
    client.submit(1, batch)
    return collect(client, 1)


def zygote(worker: int) -> psutil.Process:
    """The process that forks, of a worker."""
    return next(p for p in psutil.Process(worker).children() if "detectors.runtime.process" in p.cmdline())


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """It comes true within so long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
