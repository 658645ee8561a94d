"""A header's name is the producer's to choose, also if it is no text."""

import ctypes
import time
from pathlib import Path

import confluent_kafka
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from stream.replay import headers_in

_TOPIC, _PARTITION, _VALUE, _FLAGS, _HEADER, _END = 1, 3, 4, 7, 9, 0  # rd_kafka_vtype_t
_COPY = 2  # RD_KAFKA_MSG_F_COPY


def produce_with_header(servers: str, name: bytes) -> None:
    """By librdkafka itself: its Python client encodes names as UTF-8."""
    (library,) = (Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs").glob("librdkafka*")
    rdkafka, said = ctypes.CDLL(str(library)), ctypes.create_string_buffer(512)
    rdkafka.rd_kafka_conf_new.restype = rdkafka.rd_kafka_new.restype = ctypes.c_void_p
    conf = ctypes.c_void_p(rdkafka.rd_kafka_conf_new())
    rdkafka.rd_kafka_conf_set(conf, b"bootstrap.servers", servers.encode(), said, 512)
    client = ctypes.c_void_p(rdkafka.rd_kafka_new(0, conf, said, 512))
    place = (_TOPIC, b"t", _PARTITION, ctypes.c_int32(0), _FLAGS, ctypes.c_int(_COPY))
    value = (_VALUE, b"value", ctypes.c_size_t(5))
    header = (_HEADER, name, b"data", ctypes.c_ssize_t(4))
    assert rdkafka.rd_kafka_producev(client, *place, *value, *header, _END) == 0
    assert rdkafka.rd_kafka_flush(client, 10_000) == 0
    rdkafka.rd_kafka_destroy(client)


def consumed(servers: str, count: int) -> list[Message]:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "g", "log_level": 0})
    consumer.assign([TopicPartition("t", 0, 0)])
    deadline, found = time.monotonic() + 10, list[Message]()
    while len(found) < count:
        assert time.monotonic() < deadline
        found += consumer.consume(count, 0.1)
    consumer.close()
    return found


def test_a_name_that_is_not_utf8_stops_nobody() -> None:
    """The client raises a SystemError, and hands out null pointers when it is asked again.

    Nor after many that are text: the interpreter then calls the client in a way that doesn't look for errors.
    """
    broker = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0})
    servers = ",".join(f"{b.host}:{b.port}" for b in broker.list_topics("t", timeout=10).brokers.values())
    for name in (b"text", b"\xff\xfe"):
        produce_with_header(servers, name)
    good, bad = consumed(servers, 2)
    for _ in range(200):
        assert headers_in(good) == [("text", b"data")]
    assert list(headers_in(bad)) == list(headers_in(bad)) == []
    assert bad.value() == b"value"
