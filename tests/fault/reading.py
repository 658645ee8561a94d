"""Kafka, read as an outsider would: own consumer, `read_committed`, Avro by fastavro and the released schemas.

Nothing of the worker's code is used, so that a mistake in it can't hide itself.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from tests.fault.avro import decode
from tests.fault.history import DeadLetter, Decision, Headers, History, Input, Leaf, LedgerInput, Position, Source

SETTLE_SECONDS: Final = 60.0  # for the broker to abort what a killed worker left open


_T = TypeVar("_T")


class Unsettled(AssertionError):
    """A transaction is still open long after its worker died, or the log can't be read to its end."""


def read_history(bootstrap: str, group: str, inputs: tuple[str, ...], acknowledged: Mapping[Source, int]) -> History:
    """Everything that there is after a run, as generators that read when walked.

    Raises:
        Unsettled: a transaction stays open.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap})
    described = admin.describe_topics(TopicCollection(list(inputs)))
    topics = {name: future.result(30) for name, future in described.items()}
    ids = {uuid_bytes(topic.topic_id): name for name, topic in topics.items()}
    return History(
        cluster_id=str(admin.list_topics(timeout=30).cluster_id),
        topic_ids=ids,
        partitions=len(next(iter(topics.values())).partitions),
        leaves=map(leaf, read(bootstrap, "moderation.audit")),
        decisions=map(decision, read(bootstrap, "moderation.decisions")),
        dead_letters=map(dead_letter, read(bootstrap, "moderation.dead-letters")),
        ledger_inputs=map(ledger_input, read(bootstrap, "moderation.ledger-inputs")),
        inputs=map(input_record, read(bootstrap, *inputs)),
        positions=positions(bootstrap, group, inputs),
        acknowledged=acknowledged,
    )


def uuid_bytes(topic_id: Any) -> bytes:
    """Kafka's UUID as its 16 bytes."""
    halves = (topic_id.get_most_significant_bits(), topic_id.get_least_significant_bits())
    return b"".join((half & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "big") for half in halves)


# --- records


def input_record(message: Message) -> Input:
    """A content topic's record."""
    source = Source(message.topic(), message.partition())
    return Input(source, message.offset(), message.key(), message.value(), headers(message), message.timestamp()[1])


def leaf(message: Message) -> Leaf:
    """An audit leaf; the commitment is in whichever body it has."""
    bodies = [body for name, body in decoded(message).items() if name != "header" and body is not None]
    commitment = bodies[0].get("commitment") if len(bodies) == 1 else None
    return Leaf(message.partition(), message.offset(), message.value(), commitment)


def decision(message: Message) -> Decision:
    """A decision."""
    of = decoded(message)
    return Decision(
        partition=message.partition(),
        position=message.offset(),
        key=message.key(),
        source=Source(of["source_topic"], of["source_partition"]),
        offset=of["source_offset"],
        decision_id=of["decision_id"],
        sequence=of["sequence"],
        event_id=of["event_id"],
        account_id=of["account_id"],
        action=of["action"],
        salt=of["commitment_salt"],
    )


def dead_letter(message: Message) -> DeadLetter:
    """A dead letter, as it is."""
    position, timestamp = message.offset(), message.timestamp()[1]
    return DeadLetter(message.partition(), position, message.key(), message.value(), headers(message), timestamp)


def ledger_input(message: Message) -> LedgerInput:
    """A ledger input's source."""
    of = decoded(message)
    return LedgerInput(Source(of["source_topic"], of["source_partition"]), of["source_offset"])


def headers(message: Message) -> Headers:
    """A record's headers in their order."""
    return tuple(message.headers() or ())


def decoded(message: Message) -> dict[str, Any]:
    """The Avro body by its writer's schema."""
    return decode(message.value(), f"{message.topic()}-{message.partition()}@{message.offset()}")


# --- Kafka


def read(bootstrap: str, *topics: str) -> Iterator[Message]:
    """Every committed record of some topics up to their ends as of now, each partition in its order.

    Raises:
        Unsettled: an open transaction hides the end, or the end can't be reached.
    """
    settings = {"bootstrap.servers": bootstrap, "group.id": "oracle", "enable.auto.commit": False}
    settings |= {"isolation.level": "read_committed", "enable.partition.eof": True, "auto.offset.reset": "error"}
    ends = settled_ends(AdminClient({"bootstrap.servers": bootstrap}), *topics)
    consumer = Consumer(settings)
    consumer.assign([TopicPartition(source.topic, source.partition, 0) for source in ends])
    unfinished = {source for source, end in ends.items() if end}
    deadline = time.monotonic() + SETTLE_SECONDS
    try:
        while unfinished:
            for message in consumer.consume(5000, 1.0):
                error = message.error()
                if error is None:
                    deadline = time.monotonic() + SETTLE_SECONDS
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    unfinished.discard(Source(message.topic(), message.partition()))
                elif not error.retriable() and error.code() != KafkaError._TRANSPORT:
                    raise Unsettled(str(error))
            if time.monotonic() > deadline:
                raise Unsettled(f"no end of {sorted(unfinished)}")
    finally:
        consumer.close()


def settled_ends(admin: AdminClient, *topics: str) -> dict[Source, int]:
    """The end of each partition, once no open transaction stands before it.

    Raises:
        Unsettled: one stays open.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        visible = ends(admin, IsolationLevel.READ_COMMITTED, *topics)
        written = ends(admin, IsolationLevel.READ_UNCOMMITTED, *topics)
        if visible == written:
            return visible
        if time.monotonic() > deadline:
            raise Unsettled(f"open transactions: visible up to {visible}, written up to {written}")
        time.sleep(0.5)


def ends(admin: AdminClient, isolation: IsolationLevel, *topics: str) -> dict[Source, int]:
    """The latest offset of each partition under an isolation level."""
    return patiently(lambda: _ends(admin, isolation, *topics))


def _ends(admin: AdminClient, isolation: IsolationLevel, *topics: str) -> dict[Source, int]:
    found = admin.list_topics(timeout=30).topics
    partitions = [TopicPartition(topic, number) for topic in topics for number in found[topic].partitions]
    latest = admin.list_offsets(dict.fromkeys(partitions, OffsetSpec.latest()), isolation_level=isolation)
    return {Source(each.topic, each.partition): future.result(30).offset for each, future in latest.items()}


def patiently(call: Callable[[], _T]) -> _T:
    """The result of a call to Kafka, tried again while a broker that has just come up finds its leaders."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            return call()
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def positions(bootstrap: str, group: str, topics: tuple[str, ...]) -> dict[Source, Position]:
    """Where a group stands on each partition, and where that ends. It is asked as a reader, without joining."""
    last = ends(AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}), IsolationLevel.READ_COMMITTED, *topics)
    # AdminClient.list_consumer_group_offsets crashes (librdkafka 2.16.0) while the group's coordinator is unknown
    settings = {"bootstrap.servers": bootstrap, "group.id": group, "isolation.level": "read_committed", "log_level": 0}
    reader = Consumer(settings)
    try:
        found = patiently(lambda: reader.committed([TopicPartition(*source) for source in last], timeout=10))
    finally:
        reader.close()
    committed = {Source(each.topic, each.partition): each.offset for each in found if each.offset >= 0}
    return {source: Position(committed.get(source), end) for source, end in last.items()}
