"""Who the cluster and its topics are: a topic that was created again has another id under the same name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from schemas.errors import Fatal
from stream.kafka_errors import error_of, translate

_ANSWER_SECONDS: Final = 10.0
_MASK: Final = 2**64 - 1


@dataclass(frozen=True, slots=True)
class TopicIds:
    """As the broker has them now."""

    cluster_id: str
    of: dict[str, bytes]  # topic → 16 bytes


def ask(admin: AdminClient, names: Sequence[str], partitions: int) -> TopicIds:
    """Ask the broker.

    Args:
        partitions: what every topic of this pipeline was created with.

    Raises:
        Retriable: no answer.
        Fatal: a topic is gone or has another number of partitions, or the broker has no ids for topics.
    """
    try:
        cluster = admin.describe_cluster(request_timeout=_ANSWER_SECONDS).result()
        asked = admin.describe_topics(TopicCollection(list(names)), request_timeout=_ANSWER_SECONDS)
        topics = {name: future.result() for name, future in asked.items()}
    except KafkaException as raised:
        if error_of(raised).code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            gone = ", ".join(sorted(set(names) - admin.list_topics(timeout=_ANSWER_SECONDS).topics.keys()))
            raise Fatal(f"deleted while it was consumed: {gone or 'a topic'}; `safestream topics create`") from None
        raise translate(error_of(raised), "asking for the topics' ids") from None
    for name, topic in topics.items():
        if len(topic.partitions) != partitions:
            raise Fatal(
                f"{name} has {len(topic.partitions)} partitions, this pipeline was created with {partitions}:"
                " an account's records would no longer meet; move to new topics"
            )
    if not cluster.cluster_id:
        raise Fatal("the broker has no cluster id")
    return TopicIds(cluster.cluster_id, {name: _bytes(name, topic.topic_id) for name, topic in topics.items()})


def _bytes(name: str, topic_id: object) -> bytes:
    """A Kafka Uuid as 16 bytes."""
    try:
        high = topic_id.get_most_significant_bits() & _MASK  # type: ignore[attr-defined]
        low = topic_id.get_least_significant_bits() & _MASK  # type: ignore[attr-defined]
    except AttributeError:
        raise Fatal(f"the broker has no id for {name}: Apache Kafka 2.8 or newer is needed") from None
    return bytes(high.to_bytes(8, "big") + low.to_bytes(8, "big"))
