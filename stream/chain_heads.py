"""The life cycle of a chain head: what a worker finds when it takes a partition over, and what follows from it.

committed offset with our metadata   the leaf it names is there, and none of the chain after it → go on
otherwise → Fatal: the log and the chain contradict each other
committed offset without it, or none the chain's last leaf says where to go on: an operator's reset changes nothing
… and no leaf of this topic id     another id under this topic's name → Fatal: the topic was created again
none → a genesis leaf, from the log's start
then: offset before the log's start  → a lost-to-retention leaf for what is gone, and on from the log's start
offset after the log's end     → Fatal: the log was truncated
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from schemas.errors import Fatal, Retriable
from schemas.leaf_header import Head, Kind, leaf_hash
from stream.audit_tail import AuditTail, Found
from stream.kafka_errors import error_of, translate
from stream.lanes import Lane
from stream.ports import Judge
from stream.positions import Position, read
from stream.topic_ids import TopicIds

_ANSWER_SECONDS: Final = 10.0
_log = structlog.get_logger(__name__)


class ChainHeads:
    """Resolves where assigned partitions go on; what this worker itself committed last it need not read again."""

    def __init__(
        self,
        tail: AuditTail,
        ask: Callable[[], TopicIds],
        judge: Judge,
        kinds: Mapping[str, Kind],
        batch_size: int,
        accepted: Collection[str],
    ) -> None:
        """Nothing is asked yet.

        Args:
            ask: what the topics' ids are now; Fatal where their partition counts changed.
            kinds: topic → what its records become.
            accepted: topic ids (hexadecimal) that may begin a chain anew under an old name.
        """
        self._tail = tail
        self._ask = ask
        self._ids = ask()
        self._judge = judge
        self._kinds = kinds
        self._batch_size = batch_size
        self._accepted = accepted
        self._own: dict[tuple[str, int], Position] = {}

    def remember(self, lane: Lane) -> None:
        """Keep a position that this worker committed itself: it need not be checked if it comes back."""
        self._own[lane.topic, lane.partition] = lane.position

    def resolve(
        self, consumer: Consumer, partitions: Sequence[TopicPartition], survived: Collection[tuple[str, int]] = ()
    ) -> list[Lane]:
        """A lane for each partition.

        Args:
            survived: those whose last dispatch was this worker's own: whatever failed, it is alive.

        Raises:
            Fatal: log and chain contradict each other; going on would double, lose or falsify a leaf.
            Retriable: the broker doesn't answer, or an open transaction hides the end of the audit.
        """
        self._ids = self._ask()
        committed = _committed(consumer, partitions)
        positions = [read(each.offset, each.metadata) for each in committed]
        known = [(each, at) for each, at in zip(committed, positions, strict=True) if at is not None]
        try:
            self._check([(each.topic, each.partition, at) for each, at in known])
        except Fatal:
            # A worker that was stopped long enough asks about partitions that others own by now, and go on with.
            if [each.offset for each in _committed(consumer, partitions)] != [each.offset for each in committed]:
                raise Retriable("the positions moved while they were read: another worker has the partitions") from None
            raise
        return [
            self._lane(consumer, each, at, died=(each.topic, each.partition) not in survived)
            for each, at in zip(committed, positions, strict=True)
        ]

    def _lane(self, consumer: Consumer, committed: TopicPartition, position: Position | None, *, died: bool) -> Lane:
        topic, partition = committed.topic, committed.partition
        topic_id = self._ids.of[topic]
        begin, end = _ends(consumer, committed)
        opening: list[tuple[Kind, int, bytes]] = []
        if position is None:
            position, opening = self._recover(topic, partition, topic_id, begin, committed.offset)
        if position.offset > end:
            raise Fatal(
                f"{topic} partition {partition} was truncated: it ends at {end}, the chain stands at {position.offset};"
                " restore the log, or create the topic anew"
            )
        if position.offset < begin:
            opening.append(self._lost(topic, partition, position.offset, begin))
            position = Position(topic_id, begin, position.head, position.audit_offset)
        caution = position.caution.loaded(self._batch_size) if died else position.caution.handed_back()
        position = Position(topic_id, position.offset, position.head, position.audit_offset, caution)
        return Lane(topic, partition, self._kinds[topic], position, opening, tail=position.offset)

    def _check(self, committed: Sequence[tuple[str, int, Position]]) -> None:
        """Each head that was committed is its chain's last leaf. One look at the end of each audit partition."""
        newest: dict[int, int] = {}
        ids: set[tuple[bytes, int]] = set()
        for topic, partition, position in committed:
            if position.topic_id != self._ids.of[topic]:
                raise self._created_again(topic, position.topic_id)
            if position.audit_offset < 0 or self._own.get((topic, partition)) == position:
                continue
            self._check_last(topic, partition, position)
            newest[partition] = max(newest.get(partition, -1), position.audit_offset)
            ids.add((position.topic_id, partition))
        for partition, audit_offset in newest.items():
            for later in self._tail.after(partition, audit_offset):
                if (later.header.topic_id, partition) in ids:
                    raise Fatal(
                        f"audit partition {partition} has a leaf at {later.audit_offset} that the committed offsets"
                        " know nothing of: they were set back; delete the group's offsets, and the worker goes on from"
                        " the chain's last leaf"
                    )

    def _check_last(self, topic: str, partition: int, position: Position) -> None:
        found = self._tail.at(partition, position.audit_offset)
        if found is None or leaf_hash(found.leaf) != position.head.hash:
            raise Fatal(
                f"the audit of {topic} partition {partition} lacks the leaf that was committed last"
                f" (sequence {position.head.sequence - 1}, audit offset {position.audit_offset}):"
                " run `safestream audit verify`"
            )

    def _recover(
        self, topic: str, partition: int, topic_id: bytes, begin: int, committed: int
    ) -> tuple[Position, list[tuple[Kind, int, bytes]]]:
        """No metadata of ours: the chain's own last leaf says where to go on; without one the chain begins."""
        found = self._tail.last(partition, [topic_id])
        if (last := found.get(topic_id)) is not None:
            position = self._after(last)
            _log.warning(
                "offsets missing or reset; going on after the last leaf",
                topic=topic,
                partition=partition,
                committed=committed,
                offset=position.offset,
            )
            return position, []
        previous = self._former_id(topic, found)
        if previous is not None and topic_id.hex() not in self._accepted:
            raise self._created_again(topic, previous)
        body = self._judge.genesis_body(
            topic=topic, cluster_id=self._ids.cluster_id, previous_topic_id=previous, now_ms=_now_ms()
        )
        return Position(topic_id, begin), [(Kind.genesis, begin, body)]

    def _former_id(self, topic: str, found: dict[bytes, Found]) -> bytes | None:
        """The id that a former topic of this name had when its chain began."""
        named = [leaf for leaf in found.values() if self._judge.topic_of_genesis(leaf.leaf) == topic]
        return max(named, key=lambda leaf: leaf.audit_offset).header.topic_id if named else None

    def _after(self, last: Found) -> Position:
        head = Head(last.header.sequence + 1, leaf_hash(last.leaf))
        return Position(last.header.topic_id, self._judge.next_offset(last.leaf), head, last.audit_offset)

    def _lost(self, topic: str, partition: int, first: int, begin: int) -> tuple[Kind, int, bytes]:
        _log.error(
            "records were deleted before they were decided", topic=topic, partition=partition, first=first, next=begin
        )
        body = self._judge.lost_body(topic=topic, first=first, next_offset=begin, now_ms=_now_ms())
        return Kind.lost_to_retention, first, body

    def _created_again(self, topic: str, previous: bytes) -> Fatal:
        now = self._ids.of[topic].hex()
        return Fatal(
            f"{topic} was created again: its id is {now}, its chain belongs to {previous.hex()};"
            f" to begin a new chain, add {now} to worker.accepted_topic_ids"
        )


def _ends(consumer: Consumer, partition: TopicPartition) -> tuple[int, int]:
    try:
        ends = consumer.get_watermark_offsets(partition, timeout=_ANSWER_SECONDS)
    except KafkaException as raised:
        raise translate(error_of(raised), f"asking for the ends of {partition.topic}") from None
    if ends is None:
        raise Retriable(f"the broker does not say where {partition.topic} partition {partition.partition} ends")
    return int(ends[0]), int(ends[1])


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _committed(consumer: Consumer, partitions: Sequence[TopicPartition]) -> list[TopicPartition]:
    try:
        return list(consumer.committed(list(partitions), timeout=_ANSWER_SECONDS))
    except KafkaException as raised:
        raise translate(error_of(raised), "asking for the committed offsets") from None
