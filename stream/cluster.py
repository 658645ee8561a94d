"""What the worker must know of the cluster: its id, its topics' ids and partition counts."""

from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from schemas.errors import Fatal, UserMistake
from stream.kafka_errors import error_of

_ANSWER_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as the broker knows it now: a topic created again has another id."""

    topic_id: bytes  # 16 bytes
    partitions: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster's id, and the topics asked for."""

    cluster_id: str
    topics: dict[str, Topic]


def describe(admin: AdminClient, names: Sequence[str]) -> Cluster:
    """Ask the broker.

    Raises:
        UserMistake: no broker answers, or a topic is missing.
    """
    try:
        cluster = admin.describe_cluster(request_timeout=_ANSWER_SECONDS).result()
        asked = admin.describe_topics(TopicCollection(list(names)), request_timeout=_ANSWER_SECONDS)
        topics = {name: _topic(name, future.result()) for name, future in asked.items()}
    except KafkaException as raised:
        error = error_of(raised)
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise UserMistake(
                f"a topic is missing ({error.str()}): create them with `safestream topics create`"
            ) from None
        if error.code() in {KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN}:
            raise UserMistake(f"no broker answers ({error.str()}): check kafka.bootstrap_servers") from None
        raise Fatal(f"the broker refuses to describe the topics: {error.str()}") from None
    if not cluster.cluster_id:
        raise Fatal("the broker gives no cluster id")
    return Cluster(cluster.cluster_id, topics)


def _topic(name: str, described: object) -> Topic:
    topic_id = getattr(described, "topic_id", None)
    if topic_id is None:
        raise Fatal(f"the broker gives no topic id for {name}: Apache Kafka 2.8 or newer is needed")
    high, low = topic_id.get_most_significant_bits(), topic_id.get_least_significant_bits()
    mask = 2**64 - 1
    return Topic((high & mask).to_bytes(8, "big") + (low & mask).to_bytes(8, "big"), len(described.partitions))  # type: ignore[attr-defined]
