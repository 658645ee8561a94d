"""librdkafka properties: ours win, the user's pass through."""

import pytest
from confluent_kafka import Consumer, Producer

from stream.properties import (
    REFUSED,
    admin_properties,
    consumer_properties,
    is_secret,
    producer_properties,
    reader_properties,
    refusal,
)


def test_every_producer_partitions_by_murmur2() -> None:
    """librdkafka's own default is CRC32, which Java and Faust don't share."""
    for transactional_id in (None, "group-0"):
        assert producer_properties("b:1", {}, transactional_id)["partitioner"] == "murmur2_random"


def test_ours_win_over_whatever_was_configured() -> None:
    """Even if a refused name got past the configuration."""
    configured = {"isolation.level": "read_uncommitted", "acks": "0", "linger.ms": "50", "partitioner": "random"}
    consumer = consumer_properties("b:1", configured, "g")
    producer = producer_properties("b:1", configured, "g-0")
    assert consumer["isolation.level"] == "read_committed"
    assert (producer["acks"], producer["partitioner"], producer["linger.ms"]) == ("all", "murmur2_random", "50")


def test_the_user_passes_properties_through() -> None:
    """Security and timeouts reach every client."""
    configured = {"ssl.ca.location": "/ca.pem"}
    for made in (
        consumer_properties("b:1", configured, "g"),
        reader_properties("b:1", configured),
        producer_properties("b:1", configured),
        admin_properties("b:1", configured),
    ):
        assert made["ssl.ca.location"] == "/ca.pem"
        assert made["bootstrap.servers"] == "b:1"


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_librdkafka_takes_what_we_set(protocol: str) -> None:
    """Each set of properties opens a client, also with a property that only the classic protocol knows."""
    properties = consumer_properties("127.0.0.1:1", {"session.timeout.ms": "7000"}, "g", protocol)  # type: ignore[arg-type]
    Consumer(properties).close()
    Consumer(reader_properties("127.0.0.1:1", {"group.instance.id": "x"})).close()
    Producer(producer_properties("127.0.0.1:1", {}, "g-0"))


def test_refused_names_have_a_reason() -> None:
    """Those of the design are refused, also by librdkafka's other names; others aren't."""
    assert {"isolation.level", "enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset", "acks"} <= set(
        REFUSED
    )
    assert {"enable.idempotence", "transactional.id", "partitioner"} <= set(REFUSED)
    assert refusal("auto.commit.enable") == REFUSED["enable.auto.commit"]
    assert refusal("linger.ms") is None


def test_secrets_are_known_by_name() -> None:
    """Passwords and keys; not the user's name."""
    assert is_secret("sasl.password")
    assert is_secret("ssl.key.pem")
    assert not is_secret("sasl.username")
