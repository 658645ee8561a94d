"""What must hold before the ledger begins: its inputs are those that the states came from, and none is gone unread.

A state says how far it has come in offsets, and an offset means nothing in a topic that was created again: every record
would be taken for one that was applied. So the topics' ids are kept beside the states on disk.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas import topics
from schemas.errors import Fatal, UserMistake
from stream.kafka_errors import error_of
from stream.ledger.settings import LedgerProcess
from stream.partition_reader import PartitionReader
from stream.properties import consumer_properties
from stream.reaching import ANSWER_SECONDS, Cluster

FILE: Final = "topics.json"  # in `ledger.folder`: topic → its id, hexadecimal digits
_IN_THE_MAKING: Final = frozenset(
    {KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS}
)
_log = structlog.get_logger(__name__)


def check(cluster: Cluster, settings: LedgerProcess, topic_ids: Mapping[str, str], partitions: int) -> dict[str, int]:
    """Make sure that the inputs are the ones that the states came from, and count what retention took unread.

    Args:
        topic_ids: of the inputs, hexadecimal digits.

    Returns:
        Input → records that are gone; those with none are left out.

    Raises:
        Fatal: an input was created again, and there are states.
        UserMistake: the broker or the folder is not as it must be.
    """
    with PartitionReader(cluster) as reader:
        other = changed(settings.folder, topic_ids)
        if other and any(low < high for low, high in (reader.ends(topics.ACCOUNT_STATE, n) for n in range(partitions))):
            raise Fatal(
                f"{', '.join(other)} was created again, and the states of accounts count in the old one's offsets: "
                f"stop every ledger, delete {topics.ACCOUNT_STATE} and the folder {settings.folder}, make the topic "
                f"with `safestream topics create`, set the group {settings.group} to the earliest offsets, and start"
            )
        keep(settings, topic_ids)
        return _gone(reader, _committed(cluster, settings.group, partitions))


def changed(folder: Path, topic_ids: Mapping[str, str]) -> list[str]:
    """Topics that had another id when the ledger began last. None where nothing is known.

    Raises:
        UserMistake: the file can't be read.
    """
    path = folder / FILE
    try:
        before = json.loads(path.read_text())
        return [name for name, topic_id in topic_ids.items() if before.get(name, topic_id) != topic_id]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, AttributeError) as error:
        raise UserMistake(f"{path}: can't be read ({error}); delete it if no topic was created again") from None


def keep(settings: LedgerProcess, topic_ids: Mapping[str, str]) -> None:
    """Write the ids down: all or nothing, and processes that share the folder don't share the draft.

    Raises:
        UserMistake: the folder can't be written.
    """
    draft = settings.folder / f"{FILE}.{settings.slot}"
    try:
        with draft.open("w") as file:
            json.dump(dict(topic_ids), file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(settings.folder / FILE)
    except OSError as error:
        raise UserMistake(f"{error.filename}: can't be written ({error.strerror})") from None


def _gone(reader: PartitionReader, committed: list[TopicPartition]) -> dict[str, int]:
    gone: dict[str, int] = {}
    for at in committed:
        if at.offset < 0:  # never committed
            continue
        first, _ = reader.ends(at.topic, at.partition)
        if first > at.offset:
            _log.error("deleted before the ledger read it", topic=at.topic, partition=at.partition,
                       records=first - at.offset)  # fmt: skip
            gone[at.topic] = gone.get(at.topic, 0) + first - at.offset
    return gone


def _committed(cluster: Cluster, group: str, partitions: int) -> list[TopicPartition]:
    """Asked again for a while: on a new cluster the group's coordinator is just being made."""
    wanted = [TopicPartition(topic, n) for topic in topics.LEDGER for n in range(partitions)]
    properties: dict[str, Any] = consumer_properties(cluster.bootstrap_servers, cluster.properties, group)
    consumer, deadline = Consumer(properties), time.monotonic() + ANSWER_SECONDS
    try:
        while True:
            try:
                return list(consumer.committed(wanted, timeout=ANSWER_SECONDS))
            except KafkaException as raised:
                if error_of(raised).code() not in _IN_THE_MAKING or time.monotonic() > deadline:
                    raise cluster.mistake(raised, f"can't ask for the offsets of the group {group}") from None
            time.sleep(0.2)
    finally:
        consumer.close()
