"""Which broker tests, demo and benchmarks use: always a real one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from schemas.errors import UserMistake
from stream.local_broker.container import ContainerBroker, docker_client, get_image
from stream.local_broker.install_hints import how_to_get
from stream.local_broker.jars import Say, fetch_jars
from stream.local_broker.java import find_java
from stream.local_broker.process import LocalBroker
from stream.local_broker.readiness import answers


class Broker(Protocol):
    """A running Kafka for development."""

    @property
    def kind(self) -> str:
        """What it is, in words."""

    @property
    def can_kill(self) -> bool:
        """Whether it is ours: if not, the next three raise `UserMistake`."""

    @property
    def bootstrap(self) -> str:
        """The value of bootstrap.servers."""

    def kill(self) -> None:
        """Kill -9; the data stay."""

    def start(self) -> None:
        """Start again on the same port and data; blocks until it answers."""

    def restart(self) -> None:
        """Stop in order and start again."""


class ForeignBroker:
    """Somebody else's cluster, named by KAFKA_BOOTSTRAP_SERVERS: used, never stopped."""

    kind = "the cluster of KAFKA_BOOTSTRAP_SERVERS"
    can_kill = False

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    def kill(self) -> None:
        """Refused."""
        raise UserMistake(
            "this would stop the cluster of KAFKA_BOOTSTRAP_SERVERS: unset it, to use a broker of our own"
        )

    start = kill
    restart = kill


@contextmanager
def development_broker(say: Say = lambda _line: None, properties: dict[str, str] | None = None) -> Iterator[Broker]:
    """A real Kafka inside the block, and nothing left after it.

    In this order: KAFKA_BOOTSTRAP_SERVERS if set; a container if a Docker daemon answers and has or gets the image;
    else Apache Kafka on the local Java, fetched by Maven the first time. `properties` are broker properties of ours
    for a broker of ours.

    Raises:
        UserMistake: none of the three can be had, or the named cluster does not answer.
    """
    if bootstrap := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        if not answers(bootstrap, 6):
            raise UserMistake(f"no Kafka answers at {bootstrap}: start it, or unset KAFKA_BOOTSTRAP_SERVERS")
        yield ForeignBroker(bootstrap)
        return
    with own_broker(say, properties) as broker:
        yield broker


def own_broker(
    say: Say = lambda _line: None, properties: dict[str, str] | None = None
) -> ContainerBroker | LocalBroker:
    """A broker that is ours to kill, not yet started: the second and third of `development_broker`'s order."""
    return prepare(say)(properties=properties, say=say)


def prepare(say: Say) -> type[ContainerBroker | LocalBroker]:
    """Which kind of broker of ours this machine runs; its image or its jars are there afterwards.

    Raises:
        UserMistake: neither can be had.
    """
    if (client := docker_client()) is not None:
        try:
            if get_image(client, say):
                return ContainerBroker
        finally:
            client.close()
    if find_java() is None:
        raise UserMistake(
            f"no Kafka to be had: neither a Docker daemon nor Java is here. Either: {how_to_get('java')} and "
            f"{how_to_get('maven')}; or: {how_to_get('docker')}"
        )
    fetch_jars(say)
    return LocalBroker
