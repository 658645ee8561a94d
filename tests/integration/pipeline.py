"""Our own topics on the session's broker: fresh for a test, gone after it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from confluent_kafka import KafkaException

from stream.local_broker import Broker
from stream.reaching import Cluster


def is_ours(name: str) -> bool:
    return name.startswith(("moderation.", "content."))


@contextmanager
def no_topics_of_ours(broker: Broker) -> Iterator[Cluster]:
    """A cluster that has none of our topics, and has none afterwards. Skips where the cluster isn't the test's own."""
    cluster = Cluster(broker.bootstrap, {})
    _remove(cluster, broker)
    try:
        yield cluster
    finally:
        _remove(cluster, broker)


def until(condition: Callable[[], bool]) -> None:
    """Wait for what reaches every part of a broker only a moment after it has answered."""
    deadline = time.monotonic() + 15
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


def _remove(cluster: Cluster, broker: Broker) -> None:
    ours = _ours(cluster)
    if ours and not broker.can_kill:
        pytest.skip("this cluster has topics of Safestream that aren't the test's")
    for done in cluster.admin.delete_topics(ours).values() if ours else ():
        with suppress(KafkaException):  # gone already, only its metadata wasn't
            done.result(30)
    until(lambda: not _ours(cluster))


def _ours(cluster: Cluster) -> list[str]:
    return [name for name in cluster.topics() if is_ours(name)]
