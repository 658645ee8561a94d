"""Fetching begins anew where the log has left a running worker behind (against librdkafka's mock broker)."""

import time

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from schemas.leaf_header import Kind
from stream.intake import Intake
from stream.lanes import Lane
from stream.positions import Position

TOPIC = "content.comments"


def consumed(consumer: Consumer, wanted: int) -> list[Message]:
    found: list[Message] = []
    deadline = time.monotonic() + 10
    while len(found) < wanted and time.monotonic() < deadline:
        found += consumer.consume(wanted, 0.1)
    return found


def test_a_partition_whose_offset_the_log_no_longer_has_is_read_again() -> None:
    """`auto.offset.reset=error` ends fetching; seeking is refused then, and all partitions would stop."""
    broker = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0})
    servers = ",".join(f"{b.host}:{b.port}" for b in broker.list_topics(TOPIC, timeout=10).brokers.values())
    for number in range(3):
        broker.produce(TOPIC, str(number).encode(), partition=0)
    assert broker.flush(10) == 0
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "g", "auto.offset.reset": "error", "log_level": 0})
    intake = Intake(consumer, {TOPIC: 1.0}, 10, 1.0, 1.0)
    lane = Lane(TOPIC, 0, Kind.decision, Position(bytes(16), 1))
    consumer.assign([TopicPartition(TOPIC, 0, 100)])
    (left_behind,) = consumed(consumer, 1)
    error = left_behind.error()
    assert error is not None
    assert error.code() == KafkaError._AUTO_OFFSET_RESET
    for _ in range(2):  # the second time seeking is enough
        intake.restart([lane], consumer.assign)
        assert [message.offset() for message in consumed(consumer, 2)] == [1, 2]
    consumer.close()
