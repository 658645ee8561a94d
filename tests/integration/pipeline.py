"""Our own topics on the session's broker: fresh for a test, gone after it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

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


def _remove(cluster: Cluster, broker: Broker) -> None:
    ours = [name for name in cluster.topics() if is_ours(name)]
    if ours and not broker.can_kill:
        pytest.skip("this cluster has topics of Safestream that aren't the test's")
    for done in cluster.admin.delete_topics(ours).values() if ours else ():
        done.result(30)
