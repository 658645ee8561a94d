"""What becomes of a chain when offsets, topic or log are tampered with: never a doubled leaf, never a silent skip."""

from collections import Counter

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import NewTopic

from schemas import topics
from schemas.leaf_header import Kind, parse
from tests.fault.cluster import wait_until
from tests.pipeline import PARTITIONS, Pipeline, comments

pytestmark = pytest.mark.integration


@pytest.fixture
def decided(pipeline: Pipeline) -> Pipeline:
    """A pipeline that has decided 90 comments, and has no worker now."""
    pipeline.produce(comments(90))
    pipeline.run_until_drained()
    return pipeline


def leaves(pipeline: Pipeline, topic_id: bytes | None = None) -> Counter[tuple[bytes, int, int]]:
    """How many leaves stand for each offset."""
    headers = [parse(message.value()) for message in pipeline.read(topics.AUDIT)]
    of_offsets = [h for h in headers if h.kind in {Kind.decision, Kind.dead_letter}]
    return Counter((h.topic_id, h.partition, h.offset) for h in of_offsets)


def kinds(pipeline: Pipeline) -> Counter[Kind]:
    return Counter(parse(message.value()).kind for message in pipeline.read(topics.AUDIT))


def ends(pipeline: Pipeline) -> list[TopicPartition]:
    found = {source: each.end for source, each in pipeline.positions().items() if source.topic == topics.COMMENTS}
    return [TopicPartition(source.topic, source.partition, end) for source, end in found.items()]


def set_offsets(pipeline: Pipeline, offsets: list[TopicPartition]) -> None:
    """As `kafka-consumer-groups --reset-offsets` does: offsets without metadata."""
    asked = [ConsumerGroupTopicPartitions(pipeline.group, offsets)]
    for future in pipeline.admin.alter_consumer_group_offsets(asked).values():
        future.result(30)


def fatal(pipeline: Pipeline, says: str) -> None:
    """A worker ends by itself with exit code 4 and one line that says `says`."""
    worker = pipeline.worker()
    wait_until("the worker gives up", lambda: worker.exit_code is not None, 40)
    assert worker.exit_code == 4, worker.tail()
    last = worker.tail(1)
    assert last.startswith("safestream: ")
    assert says in last
    worker.killed = True


def test_offsets_deleted(decided: Pipeline) -> None:
    """The chain's own last leaf says where to go on."""
    for future in decided.admin.delete_consumer_groups([decided.group]).values():
        future.result(30)
    decided.produce(comments(30))
    decided.run_until_drained()
    assert leaves(decided).total() == 120
    assert decided.verdict().anomalies == {}


@pytest.mark.parametrize("target", ["earliest", "latest"])
def test_offsets_reset(decided: Pipeline, target: str) -> None:
    """Set back, nothing is decided twice; set forward, nothing is skipped."""
    decided.produce(comments(30))
    set_offsets(
        decided, [TopicPartition(e.topic, e.partition, 0 if target == "earliest" else e.offset) for e in ends(decided)]
    )
    worker = decided.worker()
    wait_until("all have a leaf", lambda: leaves(decided).total() >= 120, 40)
    assert worker.terminate()[0] == 0
    assert "offsets missing or reset" in worker.tail(100)
    assert decided.verdict().anomalies == {}


def test_records_deleted_before_they_were_decided(decided: Pipeline) -> None:
    """The loss has a leaf, and the chain goes on behind it."""
    decided.produce(comments(60))
    before = {(e.topic, e.partition): e.offset for e in ends(decided)}
    gone = [TopicPartition(topic, partition, end - 5) for (topic, partition), end in before.items()]
    for future in decided.admin.delete_records(gone).values():
        future.result(30)
    decided.run_until_drained()
    assert kinds(decided)[Kind.lost_to_retention] == PARTITIONS
    assert leaves(decided).total() == 90 + 5 * PARTITIONS
    assert max(leaves(decided).values()) == 1


def test_topic_created_again(decided: Pipeline) -> None:
    """Another id under the same name stops the worker, until its operator accepts it; then a new chain begins."""
    decided.admin.delete_topics([topics.COMMENTS])[topics.COMMENTS].result(30)
    wait_until("the topic is gone", lambda: topics.COMMENTS not in decided.admin.list_topics(timeout=10).topics, 30)
    settings = {"message.timestamp.type": "LogAppendTime"}
    made = decided.admin.create_topics([NewTopic(topics.COMMENTS, PARTITIONS, 1, config=settings)])
    made[topics.COMMENTS].result(30)
    decided.produce(comments(30))
    fatal(decided, "was created again")
    new_id = decided.workers[-1].tail(1).rpartition("add ")[2].split()[0]
    decided.run_until_drained(worker={"accepted_topic_ids": [new_id]})
    assert leaves(decided).total() == 120
    assert max(leaves(decided).values()) == 1


def test_log_truncated(decided: Pipeline) -> None:
    """A committed offset beyond the log's end stops the worker."""
    reader = Consumer({"bootstrap.servers": decided.bootstrap, "group.id": decided.group})
    end = ends(decided)[0]
    committed = reader.committed([TopicPartition(end.topic, end.partition)], timeout=10)[0]
    reader.close()
    assert committed.metadata
    beyond = TopicPartition(end.topic, end.partition, committed.offset + 100, committed.metadata)
    set_offsets(decided, [beyond])
    fatal(decided, "was truncated")


def test_head_and_last_leaf_disagree(decided: Pipeline) -> None:
    """An older commit put back, metadata and all, stops the worker before it doubles a leaf."""
    reader = Consumer({"bootstrap.servers": decided.bootstrap, "group.id": decided.group})
    older = reader.committed([TopicPartition(e.topic, e.partition) for e in ends(decided)], timeout=10)
    reader.close()
    decided.produce(comments(30))
    decided.run_until_drained()
    set_offsets(decided, older)
    fatal(decided, "were set back")
