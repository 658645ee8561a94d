"""Reads whole partitions for those who check: what is committed, from one offset to another, and nothing is stored.

For the verifier (the audit topic) and for the census (the input topics).
"""

import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.errors import Fatal, Retriable
from stream import positions
from stream.kafka_errors import error_of, translate
from stream.positions import Position
from stream.properties import consumer_properties, reader_properties
from stream.reaching import ANSWER_SECONDS, Cluster

_BATCH: Final = 1000
_SILENCE_SECONDS: Final = 30.0
_SETTLE_SECONDS: Final = 60.0  # a crashed worker's transaction ends after 10 to 20 s
_COORDINATOR_IN_THE_MAKING: Final = frozenset(
    {KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS}
)
_TUNING: Final[Mapping[str, Any]] = {
    "queued.max.messages.kbytes": 32_768,  # memory; the default is twice that
    "fetch.queue.backoff.ms": 5,  # after a full queue go on at once, not in a second
}


class Record(NamedTuple):
    """A record, as far as those who check need it."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


class PartitionReader:
    """A consumer without a group: assigns, reads committed records, commits nothing."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        properties = reader_properties(cluster.bootstrap_servers, cluster.properties) | dict(_TUNING)
        self._consumer = Consumer(properties)
        self._consumer_of_all = Consumer(properties | {"isolation.level": "read_uncommitted"})  # reads nothing

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()
        self._consumer_of_all.close()

    def ends(self, topic: str, partition: int) -> tuple[int, int]:
        """The log's first offset, and the offset up to which every transaction is decided.

        Raises:
            UserMistake: not permitted, or nobody answers.
        """
        try:
            ends = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=ANSWER_SECONDS)
        except KafkaException as raised:
            raise self._cluster.mistake(raised, f"can't read {topic}") from None
        if ends is None:
            raise Retriable(f"the broker doesn't say where {topic} partition {partition} ends")
        return int(ends[0]), int(ends[1])

    def settled_ends(self, topic: str, partition: int) -> tuple[int, int]:
        """`ends`, once everything written up to now is committed or aborted.

        A transaction's offsets can be seen a moment before its leaves are.

        Raises:
            Retriable: a transaction stays open.
        """
        try:
            written = self._consumer_of_all.get_watermark_offsets(
                TopicPartition(topic, partition), timeout=ANSWER_SECONDS
            )
        except KafkaException as raised:
            raise self._cluster.mistake(raised, f"can't read {topic}") from None
        deadline = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < deadline:
            start, end = self.ends(topic, partition)
            if written is not None and end >= written[1]:
                return start, end
            time.sleep(0.05)
        raise Retriable(f"an open transaction hides the end of {topic} partition {partition}: try again")

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[list[Record]]:
        """Committed records with offsets in [start, end), in batches. `end` must not be beyond what `ends` said.

        Raises:
            Fatal: the log no longer has `start`.
            Retriable: the broker stopped answering.
        """
        if start >= end:
            return
        self._consumer.assign([TopicPartition(topic, partition, start)])
        try:
            deadline = time.monotonic() + _SILENCE_SECONDS
            while time.monotonic() < deadline:
                records, ended = self._batch(topic, partition, end)
                if records:
                    deadline = time.monotonic() + _SILENCE_SECONDS
                    yield records
                if ended:
                    return
            raise Retriable(f"{topic} partition {partition} gave nothing for {_SILENCE_SECONDS:.0f} s")
        finally:
            self._consumer.unassign()

    def _batch(self, topic: str, partition: int, end: int) -> tuple[list[Record], bool]:
        """Some records, and whether the end is reached."""
        records: list[Record] = []
        for message in self._consumer.consume(_BATCH, 0.1):
            error, offset = message.error(), message.offset() or 0
            if error is None:
                if offset >= end:
                    return records, True
                records.append(Record(offset, message.timestamp()[1], message.key(), message.value()))
            elif error.code() == KafkaError._PARTITION_EOF:
                return records, True
            elif error.code() in {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}:
                raise Fatal(f"{topic} partition {partition} was shortened while it was read: {error.str()}")
            elif not error.retriable() and error.code() not in {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN}:
                raise translate(error, f"reading {topic} partition {partition}")
        return records, bool(records) and records[-1].offset + 1 >= end


def committed_positions(cluster: Cluster, group: str, topics: Mapping[str, int]) -> dict[tuple[bytes, int], Position]:
    """Where the worker's group stands: topic id and partition → position. Empty for a group that never committed.

    Asked by a consumer that doesn't join: the administrative client's `list_consumer_group_offsets` crashes (librdkafka
    2.16.0) when the group's coordinator is just being made.

    Args:
        topics: topic → number of partitions.

    Raises:
        UserMistake: not permitted, or nobody answers.
    """
    wanted = [TopicPartition(topic, n) for topic, partitions in topics.items() for n in range(partitions)]
    consumer = Consumer(consumer_properties(cluster.bootstrap_servers, cluster.properties, group))
    try:
        committed = _committed(consumer, wanted) if wanted else []
    except KafkaException as raised:
        raise cluster.mistake(raised, f"can't ask for the offsets of the group {group}") from None
    finally:
        consumer.close()
    found: dict[tuple[bytes, int], Position] = {}
    for partition in committed:
        position = positions.read(partition.offset, partition.metadata)
        if position is not None:
            found[position.topic_id, partition.partition] = position
    return found


def _committed(consumer: Consumer, wanted: list[TopicPartition]) -> list[TopicPartition]:
    """Asked again for a while where the group's coordinator is just being made, as on a new cluster."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            return consumer.committed(wanted, timeout=ANSWER_SECONDS)
        except KafkaException as raised:
            if error_of(raised).code() not in _COORDINATOR_IN_THE_MAKING or time.monotonic() > deadline:
                raise
        time.sleep(0.2)
