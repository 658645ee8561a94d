"""A pipeline of a test's own on the session's broker: fresh topics, a fresh group, workers as processes."""

import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from confluent_kafka import Message, Producer
from confluent_kafka.admin import AdminClient

from schemas import topics
from stream.reaching import Cluster
from stream.topics import create, plans
from tests.fault.avro import encode
from tests.fault.cluster import SAFESTREAM, Worker, wait_until
from tests.fault.oracle import ACCOUNT_ID, EVENT_ID, EXPECTED, Verdict, judge
from tests.fault.reading import positions, read, read_history

PARTITIONS = 3
SIGNING_KEY = "a key that only tests use"


class Pipeline:
    """What a test does to a pipeline, and what it sees of it."""

    made_here = False  # whether the topics on the session's broker are the tests' own

    @staticmethod
    def exists(bootstrap: str) -> bool:
        """Whether a broker holds a pipeline."""
        return topics.DECISIONS in Cluster(bootstrap, {}).topics()

    def __init__(self, bootstrap: str, folder: Path, group: str, content: Iterable[str] = topics.CONTENT) -> None:
        self.bootstrap, self.folder, self.group = bootstrap, folder, group
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        self.content = tuple(content)
        self.workers: list[Worker] = []
        self.acknowledged: dict[Any, int] = {}
        self._fresh_topics()

    @property
    def inputs(self) -> tuple[str, ...]:
        return (*self.content, topics.CONTROLS, topics.REVIEWS, topics.ACCOUNT_ACTIONS)

    def _fresh_topics(self) -> None:
        cluster = Cluster(self.bootstrap, {})
        wanted = plans(list(self.content), PARTITIONS, 1, 1)
        names = {plan.name for plan in wanted} & cluster.topics().keys()
        if names:
            for future in self.admin.delete_topics(sorted(names)).values():
                future.result(30)
            wait_until("the old topics are gone", lambda: not names & cluster.topics().keys(), 30, 0.1)
        create(cluster, wanted)
        Pipeline.made_here = True

    def config(self, **changes: Any) -> Path:
        """A configuration file; `changes` are merged into its sections."""
        settings: dict[str, Any] = {
            "kafka": {"bootstrap_servers": self.bootstrap},
            "topics": {"partitions": PARTITIONS, "content": list(self.content)},
            "worker": {"group": self.group},
            "detectors": {"lexicon": {}},
            "dead_letters": {"signing_key": SIGNING_KEY},
            "log": {"format": "json"},
        }
        for section, values in changes.items():
            settings[section] = values if section == "detectors" else {**settings.get(section, {}), **values}
        path = self.folder / f"safestream-{len(list(self.folder.iterdir()))}.yaml"
        path.write_text(yaml.safe_dump(settings))
        return path

    def worker(self, slot: str = "0", config: Path | None = None, *arguments: str, **changes: Any) -> Worker:
        """Start a worker, with these arguments more."""
        log = self.folder / f"worker-{len(self.workers)}.log"
        self.workers.append(Worker(config or self.config(**changes), slot, log, *arguments))
        return self.workers[-1]

    def run_until_drained(self, seconds: float = 60, **changes: Any) -> None:
        """A worker decides all that is there, and leaves."""
        worker = self.worker(**changes)
        self.wait_drained(seconds)
        code, _ = worker.terminate()
        assert code == 0, worker.tail()

    def wait_drained(self, seconds: float = 60) -> None:
        """Until every input is committed."""

        def drained() -> bool:
            dead = [worker.tail() for worker in self.workers if worker.exit_code not in {None, 0} and not worker.killed]
            assert not dead, dead[0]
            return all(p.committed == p.end or (not p.end and p.committed is None) for p in self.positions().values())

        wait_until("everything is decided", drained, seconds, 0.2)

    def positions(self) -> dict[Any, Any]:
        return positions(self.bootstrap, self.group, self.inputs)

    def command(self, *arguments: str, config: Path | None = None) -> "subprocess.CompletedProcess[str]":
        """Run one of our commands."""
        line = [*SAFESTREAM, *arguments, "--config", str(config or self.config())]
        return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)

    def produce(self, rows: Iterable[dict[str, Any]], topic: str = topics.COMMENTS) -> None:
        """Produce events as a platform team would; the oracle's headers on each."""
        self.produce_raw(
            (topic, row["account_id"].encode(), encode(topic, row), oracle_headers(row["event_id"], row["account_id"]))
            for row in rows
        )

    def produce_raw(self, records: Iterable[tuple[Any, ...]], **where: Any) -> None:
        """(topic, key, value, headers), as they are."""
        settings = {"partitioner": "murmur2_random", "linger.ms": 5, "message.max.bytes": 2_000_000}
        producer = Producer({"bootstrap.servers": self.bootstrap, **settings})
        failed: list[str] = []

        def delivered(error: Any, message: Message) -> None:
            if error is not None:
                failed.append(str(error))
            else:
                source = message.topic(), message.partition()
                self.acknowledged[source] = self.acknowledged.get(source, 0) + 1

        for topic, key, value, headers in records:
            producer.produce(topic, value, key, headers=headers, on_delivery=delivered, **where)
            producer.poll(0)
        producer.flush(60)
        assert not failed, failed[0]

    def read(self, topic: str) -> list[Message]:
        """Every committed record of a topic."""
        return list(read(self.bootstrap, topic))

    def verdict(self) -> Verdict:
        """What the oracle says."""
        return judge(read_history(self.bootstrap, self.group, self.inputs, self.acknowledged))

    def close(self) -> None:
        for worker in self.workers:
            if worker.exit_code is None:
                worker.end()


def comments(count: int, text: str = "what a lovely song", accounts: int = 20) -> Iterator[dict[str, Any]]:
    """Comments of a few accounts."""
    now = time.time_ns() // 1_000_000
    for number in range(count):
        yield {
            "event_id": f"event-{number}",
            "account_id": f"account-{number % accounts}",
            "content_id": f"content-{number}",
            "created_at": now,
            "text": text,
        }


def oracle_headers(event_id: str, account_id: str, expected: str = "") -> list[tuple[str, bytes]]:
    """What the oracle wants to know of a record."""
    return [(EXPECTED, expected.encode()), (EVENT_ID, event_id.encode()), (ACCOUNT_ID, account_id.encode())]
