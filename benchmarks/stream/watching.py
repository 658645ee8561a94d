"""What a consumer of the decisions sees: how many, when, how late; and what the worker takes of the machine."""

import io
import re
import threading
import time
import urllib.request
from collections import defaultdict
from typing import Self

import fastavro
import numpy as np
import psutil
from confluent_kafka import OFFSET_END, Consumer, TopicPartition

from schemas.registry import open_registry
from schemas.topics import DECISIONS

SAMPLE = 20  # one decision in so many is decoded for its latency


class Watch:
    """Counts committed decisions as they become visible, from now on, on a thread of its own."""

    def __init__(self, bootstrap: str, topic: str, partitions: int, *, latency: bool = False) -> None:
        self.count = 0
        self.first = self.last = 0.0
        self.seen: list[tuple[float, int]] = []  # (time, decisions up to then)
        self.arrivals: defaultdict[int, list[float]] = defaultdict(list)
        self.latencies: list[float] = []  # seconds
        self._latency = latency
        self._schema = open_registry().latest(DECISIONS).parsed
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "bench-watch",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 10,
            }
        )
        self._consumer.assign([TopicPartition(topic, n, OFFSET_END) for n in range(partitions)])
        for n in range(partitions):  # OFFSET_END is resolved by the first fetch
            self._consumer.get_watermark_offsets(TopicPartition(topic, n), 10)
        self._consumer.poll(1.0)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._consumer.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            messages = self._consumer.consume(2000, 0.01)
            if not messages:
                continue
            now = time.time()
            for message in messages:
                self.arrivals[message.partition()].append(now)
            if self._latency:
                self.latencies += [now - self._event_time(message.value()) for message in messages[::SAMPLE]]
            self.count += len(messages)
            self.first = self.first or now
            self.last = now
            self.seen.append((now, self.count))

    def _event_time(self, value: bytes) -> float:
        body = io.BytesIO(value)
        body.seek(5)
        return float(fastavro.schemaless_reader(body, self._schema, None)["event_time"].timestamp())

    def wait(self, count: int, seconds: float) -> None:
        """Until `count` decisions are visible, or an AssertionError."""
        deadline = time.time() + seconds
        while self.count < count:
            assert time.time() < deadline, f"only {self.count} of {count} decisions after {seconds} s"
            time.sleep(0.02)

    def rate(self, count: int, since: float = 0.2) -> float:
        """Decisions a second, between the share `since` of `count` and all: without start-up and first batches."""
        begun = next((at, n) for at, n in self.seen if n >= count * since)
        ended = next((at, n) for at, n in self.seen if n >= count)
        return (ended[1] - begun[1]) / (ended[0] - begun[0])

    def longest_gap(self) -> float:
        """Seconds; the longest time in which a partition that is always fed showed no decision."""
        return max(float(np.diff(times).max()) for times in self.arrivals.values() if len(times) > 1)


class Memory:
    """The most that a process and all under it held at once, MiB, shared pages counted once (PSS)."""

    def __init__(self, pid: int) -> None:
        self.peak = 0.0
        self._process = psutil.Process(pid)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(0.5):
            try:
                tree = [self._process, *self._process.children(recursive=True)]
                self.peak = max(self.peak, sum(each.memory_full_info().pss for each in tree) / 2**20)
            except psutil.Error:
                continue

    def close(self) -> float:
        """Stop looking; the peak."""
        self._ended.set()
        self._thread.join()
        return self.peak


def stages(port: int) -> dict[str, tuple[float, int]]:
    """Stage → seconds in it, batches; from the worker's own metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    found: dict[str, tuple[float, int]] = {}
    for stage, seconds in re.findall(r'safestream_stage_seconds_sum{stage="(\w+)"} ([\d.e+-]+)', text):
        count = re.search(rf'safestream_stage_seconds_count{{stage="{stage}"}} ([\d.e+-]+)', text)
        found[stage] = float(seconds), int(float(count[1])) if count else 0
    return found
