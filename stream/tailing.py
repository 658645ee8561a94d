"""The records of one topic as they are committed, and each of ours as something to read."""

from collections.abc import Iterator
from typing import Any, Final

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from schemas import leaf_header, topics
from schemas.decode import Decoder
from schemas.errors import Poison
from schemas.json_lines import PLACE, jsonable
from schemas.leaf_header import BadLeaf
from stream.properties import reader_properties
from stream.reaching import ANSWER_SECONDS, Cluster
from stream.replay import headers_in

_BATCH: Final = 500
_LOST_ON_THE_WAY: Final = frozenset(
    {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._RESOLVE}
)


def follow(
    cluster: Cluster, topic: str, partitions: int, *, from_beginning: bool, until_end: bool
) -> Iterator[Message | None]:
    """Every committed record, in the order of its partition; None when nothing has come for a moment.

    Args:
        until_end: stop at what was the end when this was called, instead of waiting for more.

    Raises:
        UserMistake: not permitted to read, or nobody answers at the start.
    """
    # a topic that forgets while we read: go on with what is left
    properties = {**reader_properties(cluster.bootstrap_servers, cluster.properties), "auto.offset.reset": "earliest"}
    consumer = Consumer(properties)
    try:
        ends = _ends(cluster, consumer, topic, partitions) if until_end else {}
        start = OFFSET_BEGINNING if from_beginning else OFFSET_END
        consumer.assign([TopicPartition(topic, n, start) for n in range(partitions)])
        left = {n for n, (low, high) in ends.items() if high > low and from_beginning}
        while left or not until_end:
            yield from _some(cluster, consumer, topic, ends, left)
    finally:
        consumer.close()


def _ends(cluster: Cluster, consumer: Consumer, topic: str, partitions: int) -> dict[int, tuple[int, int]]:
    try:
        return {
            n: consumer.get_watermark_offsets(TopicPartition(topic, n), timeout=ANSWER_SECONDS)
            for n in range(partitions)
        }
    except KafkaException as raised:
        raise cluster.mistake(raised, f"can't read {topic}") from None


def _some(
    cluster: Cluster, consumer: Consumer, topic: str, ends: dict[int, tuple[int, int]], left: set[int]
) -> Iterator[Message | None]:
    """What has come; takes partitions out of `left` that have reached their end."""
    messages = consumer.consume(_BATCH, 0.5)
    if not messages:
        yield None
    for message in messages:
        error, partition, offset = message.error(), message.partition() or 0, message.offset() or 0
        if error is None:
            _, end = ends.get(partition, (0, None))
            if end is None or offset < end:
                yield message
            if end is not None and offset + 1 >= end:
                left.discard(partition)
        elif error.code() == KafkaError._PARTITION_EOF:  # what lies before the end may be aborted or compacted away
            left.discard(partition)
        elif error.code() not in _LOST_ON_THE_WAY:  # librdkafka connects again by itself
            raise cluster.mistake(KafkaException(error), f"can't read {topic}")


def readable(message: Message, decoder: Decoder) -> dict[str, Any]:
    """A record as JSON: its fields under their Avro names, and under `_kafka` where it lies.

    A leaf's header is parsed; a dead letter shows its headers, and its value in base64, like anything undecodable.

    Raises:
        Retriable: the schema registry does not answer.
    """
    topic, value = str(message.topic()), message.value()
    place = {PLACE: _place(message)}
    if topic == topics.DEAD_LETTERS:
        return place | {"headers": _headers(message), "value": jsonable(value)}
    if topic == topics.PIPELINE:
        return place | {"value": _text(value)}
    try:
        _, record = decoder.decode(topic, value)
    except Poison as poison:
        return place | {"error": poison.reason.value, "message": str(poison), "value": jsonable(value)}
    if topic == topics.AUDIT and value is not None:
        record = _leaf(value, record)
    return place | dict(jsonable(record))


def _place(message: Message) -> dict[str, Any]:
    kind, timestamp = message.timestamp()
    return {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "timestamp": None if kind == TIMESTAMP_NOT_AVAILABLE else timestamp,
        "key": _text(message.key()),
    }


def _leaf(value: bytes, record: dict[str, Any]) -> dict[str, Any]:
    try:
        header = leaf_header.parse(value)
    except BadLeaf as bad:
        return record | {"header": {"error": str(bad)}}
    parsed = header._asdict() | {
        "kind": header.kind.name,
        "cluster": header.cluster.hex(),
        "topic_id": header.topic_id.hex(),
        "previous": header.previous.hex(),
    }
    return record | {"header": parsed, "hash": leaf_header.leaf_hash(value).hex()}


def _headers(message: Message) -> list[list[Any]]:
    """Name and value of each, in order: a name may come twice."""
    return [[name, _text(data)] for name, data in headers_in(message)]


def _text(data: bytes | str | None) -> Any:
    """UTF-8 where it is, else an object that says base64."""
    if data is None or isinstance(data, str):
        return data
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": jsonable(data)}
