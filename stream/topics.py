"""Our topics: how many partitions and which settings each needs, and whether the cluster still has them so.

Every topic of a pipeline has the same number of partitions, because an account's records must meet in one number: its
event, its decision, its leaf, its state. The number is written down when the topics are created, in a compacted topic
of its own, and a topic that has another number later is refused: murmur2 would send an account elsewhere.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # imported there, not re-exported by name
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from schemas import topics
from schemas.errors import Fatal, Retriable, UserMistake
from stream.kafka_errors import error_of
from stream.properties import producer_properties, reader_properties
from stream.reaching import ANSWER_SECONDS, Cluster, require

_WEEK_MS: Final = str(7 * 24 * 3600 * 1000)
_FOR_EVER: Final = "-1"
_MAX_LONG: Final = str(2**63 - 1)
_EVENT_BYTES: Final = 1_048_588  # Kafka's own default, said so that a dead letter surely has room
_DEAD_LETTER_BYTES: Final = 2 * _EVENT_BYTES  # the whole record, and our headers

# Time is the broker's: retention and latency don't hang on a producer's clock.
_BY_ARRIVAL: Final = {
    "cleanup.policy": "delete",
    "retention.ms": _WEEK_MS,
    "message.timestamp.type": "LogAppendTime",
    "max.message.bytes": str(_EVENT_BYTES),
}
# An id can be nearly as long as an event, and a decision has it twice: as its key too, or as the content's.
_DECISION_BYTES: Final = 3 * _EVENT_BYTES
SECOND_LOOK_BYTES: Final = 3 * _EVENT_BYTES  # the whole event, and its ids again
_FOR_A_WEEK: Final = {
    "cleanup.policy": "delete",
    "retention.ms": _WEEK_MS,
    "message.timestamp.type": "CreateTime",
    "max.message.bytes": str(_DECISION_BYTES),
}
# Kept for ever, under the timestamp of the record that it stands for, however absurd that is.
_KEPT: Final = {
    "cleanup.policy": "delete",
    "retention.ms": _FOR_EVER,
    "retention.bytes": _FOR_EVER,
    "message.timestamp.type": "CreateTime",
    "message.timestamp.before.max.ms": _MAX_LONG,
    "message.timestamp.after.max.ms": _MAX_LONG,
    "max.message.bytes": str(_DEAD_LETTER_BYTES),
}
# Estimates are for the ledger alone, which reads them within seconds: a day outlasts its outages.
_DAY_MS: Final = str(24 * 3600 * 1000)
_HOUR_MS: Final = str(3600 * 1000)  # what is deleted or compacted goes by whole segments, and never the one written to
# The ledger's changelog. A row that a frozen process wrote too late stands beside the good one for an hour.
_COMPACTED: Final = {
    "cleanup.policy": "compact",
    "min.compaction.lag.ms": _HOUR_MS,
    "max.compaction.lag.ms": _DAY_MS,
    "segment.ms": _HOUR_MS,
    "delete.retention.ms": _DAY_MS,
    "message.timestamp.type": "CreateTime",
    "max.message.bytes": str(_DECISION_BYTES),
}
_SETTINGS: Final[Mapping[str, Mapping[str, str]]] = {
    topics.REVIEWS: _BY_ARRIVAL,
    topics.CONTROLS: _BY_ARRIVAL,
    topics.DECISIONS: _FOR_A_WEEK,
    topics.LEDGER_INPUTS: _FOR_A_WEEK,
    topics.SECOND_LOOK: _BY_ARRIVAL | {"max.message.bytes": str(SECOND_LOOK_BYTES)},
    topics.AGE_ESTIMATES: _FOR_A_WEEK | {"retention.ms": _DAY_MS, "segment.ms": _HOUR_MS},
    topics.ACCOUNT_STATE: _COMPACTED,
    topics.ACCOUNT_ACTIONS: _BY_ARRIVAL | {"max.message.bytes": str(_DECISION_BYTES)},
    topics.AUDIT: _KEPT,
    topics.DEAD_LETTERS: _KEPT,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a topic should be."""

    name: str
    partitions: int
    replication_factor: int
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class State:
    """What a topic is. `partitions` is 0 where it doesn't exist."""

    plan: Plan
    partitions: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def differences(self) -> dict[str, tuple[str, str]]:
        """Settings that differ: name → (is, should be)."""
        wanted = self.plan.settings
        found = {name: self.settings.get(name, "unknown to this broker") for name in wanted}
        return {name: (found[name], wanted[name]) for name in wanted if found[name] != wanted[name]}


def plans(content: Sequence[str], partitions: int, replication_factor: int, min_insync_replicas: int) -> list[Plan]:
    """Every topic of a pipeline with these content topics."""
    shared = {"min.insync.replicas": str(min_insync_replicas)}
    settings = {**dict.fromkeys(content, _BY_ARRIVAL), **_SETTINGS}
    pipeline = Plan(topics.PIPELINE, 1, replication_factor, shared | {"cleanup.policy": "compact"})
    return [Plan(name, partitions, replication_factor, {**shared, **each}) for name, each in settings.items()] + [
        pipeline
    ]


def create(cluster: Cluster, wanted: Sequence[Plan]) -> list[str]:
    """Make the topics that are missing, and write down their number of partitions. May be repeated.

    Returns:
        The names of those that were made.

    Raises:
        UserMistake: the pipeline was created with another number of partitions, or the broker refuses.
    """
    found = cluster.topics()
    partitions = next(plan.partitions for plan in wanted if plan.name != topics.PIPELINE)
    recorded = recorded_partitions(cluster) if topics.PIPELINE in found else None
    _refuse_other_counts(partitions, recorded, {p.name: found[p.name] for p in wanted if p.name in found})
    made = [plan for plan in wanted if plan.name not in found]
    _make(cluster, made)
    _refuse_other_counts(partitions, recorded, _visible(cluster, [plan.name for plan in wanted]))
    if recorded is None:
        _record(cluster, partitions)
    return [plan.name for plan in made]


def _refuse_other_counts(partitions: int, recorded: int | None, found: Mapping[str, int]) -> None:
    if recorded not in {None, partitions}:
        raise UserMistake(
            f"this pipeline was created with {recorded} partitions and topics.partitions is {partitions}: set it to "
            f"{recorded}; growing means moving to new topics"
        )
    other = [f"{name} {n}" for name, n in found.items() if name != topics.PIPELINE and n != partitions]
    if other:
        raise UserMistake(f"topics with another number of partitions than {partitions} are there: {', '.join(other)}")


def _make(cluster: Cluster, plans: Sequence[Plan]) -> None:
    new = [NewTopic(p.name, p.partitions, p.replication_factor, config=dict(p.settings)) for p in plans]
    if not new:
        return
    for name, done in cluster.admin.create_topics(new, operation_timeout=ANSWER_SECONDS).items():
        try:
            done.result()
        except KafkaException as raised:
            if error_of(raised).code() != KafkaError.TOPIC_ALREADY_EXISTS:  # somebody else was quicker
                raise cluster.mistake(raised, f"can't create {name}") from None


def _visible(cluster: Cluster, names: Sequence[str]) -> dict[str, int]:
    """The partitions of topics once the broker shows all of them, which may be a moment after it made them."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        found = {name: count for name, count in cluster.topics().items() if name in names}
        if len(found) == len(names):
            return found
        if time.monotonic() > deadline:
            raise UserMistake("the broker doesn't show the topics that it made: try again")
        time.sleep(0.05)


def _record(cluster: Cluster, partitions: int) -> None:
    producer = Producer(producer_properties(cluster.bootstrap_servers, cluster.properties))
    failed: list[KafkaError] = []
    producer.produce(
        topics.PIPELINE,
        key=topics.PARTITIONS_KEY,
        value=str(partitions).encode(),
        on_delivery=lambda error, _: failed.append(error) if error else None,
    )
    if producer.flush(ANSWER_SECONDS) or failed:
        raise UserMistake(f"can't write to {topics.PIPELINE}: {failed[0].str() if failed else 'no answer'}; try again")


def recorded_partitions(cluster: Cluster) -> int | None:
    """The number of partitions with which the pipeline was created; None where it wasn't.

    Raises:
        Retriable: the broker stopped answering.
    """
    consumer = Consumer(reader_properties(cluster.bootstrap_servers, cluster.properties))
    consumer.assign([TopicPartition(topics.PIPELINE, 0, OFFSET_BEGINNING)])
    found: int | None = None
    try:
        while True:
            message = consumer.poll(ANSWER_SECONDS)
            error = message.error() if message else None
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                return found
            if message is None or error is not None:
                raise Retriable(f"{topics.PIPELINE} can't be read: {error.str() if error else 'no answer'}")
            if message.key() == topics.PARTITIONS_KEY and (value := message.value()):
                found = int(value)
    finally:
        consumer.close()


def check_partitions(cluster: Cluster, names: Sequence[str]) -> int:
    """Make sure that topics have the partitions with which the pipeline was created, and return how many.

    Raises:
        UserMistake: no broker answers, a topic is missing, or the pipeline was never created.
        Fatal: a topic has another number now: its accounts would be looked for in the wrong partitions.
    """
    found = cluster.topics()
    require(found, [*names, topics.PIPELINE])
    recorded = recorded_partitions(cluster)
    if recorded is None:
        raise UserMistake(f"{topics.PIPELINE} holds no number of partitions: `safestream topics create` records it")
    changed = [f"{name} has {found[name]}" for name in names if found[name] != recorded]
    if changed:
        raise Fatal(
            f"this pipeline was created with {recorded} partitions, but {', '.join(changed)}: an account's records "
            "would no longer meet; move to new topics"
        )
    return recorded


def describe(cluster: Cluster, wanted: Sequence[Plan]) -> Iterator[State]:
    """What each topic is, in the order of `wanted`."""
    found = cluster.topics()
    there = [plan.name for plan in wanted if plan.name in found]
    settings = _settings(cluster, there)
    for plan in wanted:
        yield State(plan, found.get(plan.name, 0), settings.get(plan.name, {}))


def _settings(cluster: Cluster, names: Sequence[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    answers = cluster.admin.describe_configs(resources, request_timeout=ANSWER_SECONDS)
    try:
        return {
            resource.name: {key: entry.value for key, entry in answer.result().items()}
            for resource, answer in answers.items()
        }
    except KafkaException as raised:
        raise cluster.mistake(raised, "can't read the topics' settings") from None


def alter(cluster: Cluster, states: Sequence[State]) -> None:
    """Give existing topics the settings that they should have.

    Raises:
        UserMistake: the broker refuses.
    """
    changes = [_change(state) for state in states if state.partitions and state.differences]
    if not changes:
        return
    admin: AdminClient = cluster.admin
    for resource, done in admin.incremental_alter_configs(changes, request_timeout=ANSWER_SECONDS).items():
        try:
            done.result()
        except KafkaException as raised:
            raise cluster.mistake(raised, f"can't alter {resource.name}") from None


def _change(state: State) -> ConfigResource:
    entries = [
        ConfigEntry(name, wanted, incremental_operation=AlterConfigOpType.SET)
        for name, (_, wanted) in state.differences.items()
    ]
    return ConfigResource(ResourceType.TOPIC, state.plan.name, incremental_configs=entries)
