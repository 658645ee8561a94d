"""Reads the end of the audit stream: where does a chain stand, whatever the consumer group says."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.errors import Retriable
from schemas.leaf_header import BadLeaf, Header, Kind, parse
from schemas.topics import AUDIT
from stream.kafka_errors import error_of, translate

_ANSWER_SECONDS: Final = 10.0
_SETTLE_SECONDS: Final = 60.0  # a crashed worker's transaction ends after 10 to 20 s
_MOST: Final = 2000  # records of one call
_CHUNK: Final = 20_000  # offsets read at a time, backwards
_RECENT: Final = 50_000  # offsets after a chain's last leaf that are checked for one that shouldn't be there


@dataclass(frozen=True, slots=True)
class Found:
    """A leaf in the audit partition."""

    audit_offset: int
    header: Header
    leaf: bytes


class AuditTail:
    """Two readers of moderation.audit: one sees what is committed, the other everything."""

    def __init__(self, reader_properties: Mapping[str, Any]) -> None:
        prompt = {**reader_properties, "fetch.wait.max.ms": 10}
        self._committed = Consumer(prompt)
        self._all = Consumer({**prompt, "isolation.level": "read_uncommitted"})

    def close(self) -> None:
        """Close both readers."""
        self._committed.close()
        self._all.close()

    def at(self, partition: int, audit_offset: int) -> Found | None:
        """The leaf at an offset that is known to be committed; None where the log has none there.

        Read without waiting for other workers' open transactions.
        """
        for found in _read(self._all, partition, audit_offset, audit_offset + 1):
            return found if found.audit_offset == audit_offset else None
        return None

    def after(self, partition: int, audit_offset: int) -> Iterator[Found]:
        """Committed leaves shortly after an offset."""
        _, end = self._ends(self._committed, partition)
        return _read(self._committed, partition, audit_offset + 1, min(end, audit_offset + 1 + _RECENT))

    def last(self, partition: int, topic_ids: Iterable[bytes]) -> dict[bytes, Found]:
        """The last committed leaf of each chain, read backwards until all are found or the log begins.

        Leaves of other topics' chains that were begun on the way (genesis) are returned as well, under their topic ids:
        they tell a topic that was created again.

        Raises:
            Retriable: an open transaction hides the end of the log, and doesn't end.
        """
        begin, end = self._settled(partition)
        wanted, found = set(topic_ids), dict[bytes, Found]()
        while end > begin and wanted - found.keys():
            start = max(begin, end - _CHUNK)
            chunk = dict[bytes, Found]()
            for leaf in _read(self._committed, partition, start, end):
                topic_id = leaf.header.topic_id
                if topic_id in wanted or leaf.header.kind is Kind.genesis:
                    chunk[topic_id] = leaf
            found = chunk | found
            end = start
        return found

    def _settled(self, partition: int) -> tuple[int, int]:
        """The ends of the log once everything written up to now is either committed or aborted."""
        begin, end = self._ends(self._all, partition)
        deadline = time.monotonic() + _SETTLE_SECONDS
        while self._ends(self._committed, partition)[1] < end:
            if time.monotonic() > deadline:
                raise Retriable(f"an open transaction hides the end of {AUDIT} partition {partition}")
            time.sleep(0.2)
        return begin, end

    @staticmethod
    def _ends(reader: Consumer, partition: int) -> tuple[int, int]:
        try:
            ends = reader.get_watermark_offsets(TopicPartition(AUDIT, partition), timeout=_ANSWER_SECONDS)
        except KafkaException as raised:
            raise translate(error_of(raised), f"asking for the ends of {AUDIT} partition {partition}") from None
        if ends is None:
            raise Retriable(f"the broker does not say where {AUDIT} partition {partition} ends")
        return int(ends[0]), int(ends[1])


def _read(reader: Consumer, partition: int, start: int, end: int) -> Iterator[Found]:
    """Leaves with audit offsets in [start, end)."""
    if end <= start:
        return
    reader.assign([TopicPartition(AUDIT, partition, start)])
    try:
        deadline = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < deadline:
            for message in reader.consume(min(end - start, _MOST), 0.02):
                if (error := message.error()) is not None:
                    if error.code() == KafkaError._PARTITION_EOF:
                        return
                    raise translate(error, f"reading {AUDIT} partition {partition}")
                if int(message.offset() or 0) >= end:
                    return
                deadline = time.monotonic() + _SETTLE_SECONDS
                if (found := _found(message)) is not None:
                    yield found
        raise Retriable(f"{AUDIT} partition {partition} gives nothing from offset {start} on")
    finally:
        reader.unassign()


def _found(message: Message) -> Found | None:
    """A leaf; None for a record that is none (the verifier reports those, the worker does not build on them)."""
    value = message.value()
    try:
        return Found(int(message.offset() or 0), parse(value), value) if isinstance(value, bytes) else None
    except BadLeaf:
        return None
