"""Our topics on a real broker: made once, described truly, and refused when somebody changed their partitions."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, Consumer, Producer, TopicPartition
from confluent_kafka.admin import NewPartitions, NewTopic

from safestream import cli
from schemas import topics as names
from schemas.errors import Fatal, UserMistake
from stream import topics
from stream.local_broker import Broker
from stream.properties import producer_properties, reader_properties
from stream.reaching import Cluster
from tests.integration.pipeline import no_topics_of_ours, until

pytestmark = pytest.mark.integration

PLANS = topics.plans(list(names.CONTENT), 3, 1, 1)


@pytest.fixture
def cluster(broker: Broker) -> Iterator[Cluster]:
    with no_topics_of_ours(broker) as empty:
        yield empty


@pytest.fixture
def configured(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command line in a folder without a configuration, with this cluster."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", cluster.bootstrap_servers)
    monkeypatch.chdir(tmp_path)


def test_create_makes_every_topic_once(cluster: Cluster) -> None:
    """With the same number of partitions, which is recorded; repeating makes nothing."""
    assert topics.create(cluster, PLANS) == [plan.name for plan in PLANS]
    assert topics.create(cluster, PLANS) == []
    assert topics.recorded_partitions(cluster) == 3
    assert topics.check_partitions(cluster, [*names.CONTENT, *names.OURS]) == 3
    assert all(not state.differences for state in topics.describe(cluster, PLANS))


def test_a_new_content_type_is_made_beside_the_others(cluster: Cluster) -> None:
    """A name more in the configuration, later."""
    topics.create(cluster, PLANS)
    assert topics.create(cluster, topics.plans([*names.CONTENT, "content.playlist-title"], 3, 1, 1)) == [
        "content.playlist-title"
    ]


def test_another_number_of_partitions_is_refused(cluster: Cluster) -> None:
    """Both as a configuration and as what somebody did to a topic."""
    topics.create(cluster, PLANS)
    with pytest.raises(UserMistake, match=r"created with 3 partitions and topics\.partitions is 6"):
        topics.create(cluster, topics.plans(list(names.CONTENT), 6, 1, 1))
    cluster.admin.create_partitions([NewPartitions(names.MESSAGES, 6)])[names.MESSAGES].result(10)
    until(lambda: cluster.topics()[names.MESSAGES] == 6)
    with pytest.raises(Fatal, match=r"created with 3 partitions, but content\.messages has 6"):
        topics.check_partitions(cluster, names.CONTENT)
    with pytest.raises(UserMistake, match=r"content\.messages 6"):
        topics.create(cluster, PLANS)


def test_a_topic_that_was_there_with_other_partitions_is_refused(cluster: Cluster) -> None:
    """And no number of partitions is recorded."""
    cluster.admin.create_topics([NewTopic(names.COMMENTS, 1, 1)])[names.COMMENTS].result(10)
    with pytest.raises(UserMistake, match=r"content\.comments 1"):
        topics.create(cluster, PLANS)
    with pytest.raises(UserMistake):
        topics.check_partitions(cluster, names.CONTENT)


def test_a_worker_without_topics_is_told_what_to_do(cluster: Cluster) -> None:
    """Missing topics are the user's mistake, and so are topics that nobody recorded."""
    with pytest.raises(UserMistake, match=r"no such topic: content\.comments.*`safestream topics create`"):
        topics.check_partitions(cluster, names.CONTENT)
    made = [NewTopic(name, 1, 1) for name in (*names.CONTENT, names.PIPELINE)]
    for done in cluster.admin.create_topics(made).values():
        done.result(10)
    until(lambda: names.PIPELINE in cluster.topics())
    with pytest.raises(UserMistake, match="holds no number of partitions"):
        topics.check_partitions(cluster, names.CONTENT)


def test_time_is_the_brokers_for_events_and_the_originals_for_what_is_kept(cluster: Cluster) -> None:
    """An event of 1970 counts from its arrival; a dead letter keeps 1970 and 2200, and room for a whole event."""
    topics.create(cluster, PLANS)
    producer = Producer(producer_properties(cluster.bootstrap_servers, {}))
    failed: list[object] = []
    for name in (names.COMMENTS, names.DEAD_LETTERS):
        for timestamp in (1, 7_258_118_400_000):
            big = b"x" * (1_040_000 if name == names.COMMENTS else 1_100_000)
            producer.produce(
                name, big, b"k", partition=0, timestamp=timestamp, on_delivery=lambda error, _: failed.append(error)
            )
    assert producer.flush(20) == 0
    assert failed == [None] * 4
    consumer = Consumer(reader_properties(cluster.bootstrap_servers, {}))
    consumer.assign([TopicPartition(name, 0, 0) for name in (names.COMMENTS, names.DEAD_LETTERS)])
    seen: dict[str, list[tuple[int, int]]] = {names.COMMENTS: [], names.DEAD_LETTERS: []}
    while sum(map(len, seen.values())) < 4:
        message = consumer.poll(10)
        assert message is not None
        if message.error() is None:
            seen[message.topic()].append(message.timestamp())
    consumer.close()
    assert seen[names.DEAD_LETTERS] == [(TIMESTAMP_CREATE_TIME, 1), (TIMESTAMP_CREATE_TIME, 7_258_118_400_000)]
    assert all(
        kind == TIMESTAMP_LOG_APPEND_TIME and abs(stamp / 1000 - time.time()) < 60
        for kind, stamp in seen[names.COMMENTS]
    )


def test_differing_settings_are_named_and_set_on_request(
    cluster: Cluster, configured: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """`describe` and `create` end with 1 and say what differs; `create --alter` sets it."""
    made = NewTopic(names.AUDIT, 3, 1, config={"retention.ms": "1000"})
    cluster.admin.create_topics([made])[names.AUDIT].result(10)
    until(lambda: names.AUDIT in cluster.topics())
    assert cli.run(["topics", "create"]) == 1
    assert "moderation.audit: retention.ms 1000, should be -1" in capsys.readouterr().out
    assert cli.run(["topics", "describe"]) == 1
    assert cli.run(["topics", "create", "--alter"]) == 0
    until(lambda: not any(state.differences for state in topics.describe(cluster, PLANS)))
    capsys.readouterr()
    assert cli.run(["topics", "describe"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "for ever" in lines[names.AUDIT]
    assert lines[names.COMMENTS].split() == ["content.comments", "3", "7", "d", "LogAppendTime", "none"]


def test_describe_says_what_is_missing(configured: None, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything was made."""
    assert cli.run(["topics", "describe"]) == 1
    assert capsys.readouterr().out.count("missing: `safestream topics create`") == len(PLANS)


@pytest.mark.parametrize("command", [["topics", "create"], ["produce", "content.comments", "-"], ["tail", "x"]])
def test_without_a_broker_it_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    """Exit code 2, who was asked, why it failed, and what to do, within seconds."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.chdir(tmp_path)
    assert cli.run(command) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "no Kafka answers at 127.0.0.1:1" in said
    assert "Connection refused" in said
    assert "safestream broker start" in said
