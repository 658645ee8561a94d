"""Reaching the broker for a command: its topics, or one line that says why not."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from schemas.errors import UserMistake
from stream.kafka_errors import error_of
from stream.properties import admin_properties

ANSWER_SECONDS: Final = 10.0
_ATTEMPTS: Final = 4  # so that a refused connection is told after a quarter of that
_NOT_PERMITTED: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)


# Of a broker that isn't reached, `Cluster.mistake` tells once what librdkafka logs fifty times.
_UNHEARD: Final = logging.getLogger("librdkafka.unheard")
_UNHEARD.addHandler(logging.NullHandler())
_UNHEARD.propagate = False


class Cluster:
    """A connection for questions and orders, and what is said when it fails."""

    def __init__(self, bootstrap_servers: str, properties: Mapping[str, str]) -> None:
        """Open a client; nothing is sent yet.

        Raises:
            UserMistake: librdkafka doesn't know a property, or not with this value.
        """
        self.bootstrap_servers = bootstrap_servers
        self.properties = properties
        self._why = ""
        unheard: dict[str, Any] = {"error_cb": self._note, "logger": _UNHEARD}
        ours = admin_properties(bootstrap_servers, properties) | unheard
        try:
            self.admin = AdminClient(ours)
        except KafkaException as raised:
            raise UserMistake(f"kafka.properties: {error_of(raised).str()}") from None

    def _note(self, error: KafkaError) -> None:
        if error.code() not in {KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT}:
            self._why = error.str().split(": ", 1)[-1].split(" (after")[0]

    def topics(self) -> dict[str, int]:
        """Every topic that this principal may see, with its number of partitions.

        Raises:
            UserMistake: no broker answers, or it refuses us.
        """
        for attempt in range(_ATTEMPTS):
            try:
                found = self.admin.list_topics(timeout=ANSWER_SECONDS / _ATTEMPTS).topics
            except KafkaException as raised:
                self.admin.poll(0)  # brings `_note` what librdkafka met meanwhile: refused, unknown host, no password
                if self._why or attempt == _ATTEMPTS - 1:
                    raise self.mistake(raised, "no Kafka answers") from None
            else:
                break
        return {name: len(topic.partitions) for name, topic in found.items()}

    def mistake(self, raised: KafkaException, doing: str) -> UserMistake:
        """The line for an error met while `doing`: what was refused, or that nobody answers."""
        error = error_of(raised)
        if error.code() in _NOT_PERMITTED:
            return UserMistake(f"{doing}: not permitted ({error.str()}): have the principal granted it")
        if error.code() in {KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN}:
            why = f" ({self._why})" if self._why else ""
            return UserMistake(
                f"no Kafka answers at {self.bootstrap_servers}{why}: start one with `safestream broker start`, "
                "or set kafka.bootstrap_servers"
            )
        return UserMistake(f"{doing}: {error.str()}")


def require(found: Mapping[str, int], names: Sequence[str]) -> None:
    """Check that topics exist.

    Raises:
        UserMistake: names the missing ones and the command that makes them.
    """
    missing = [name for name in names if name not in found]
    if missing:
        raise UserMistake(f"no such topic: {', '.join(missing)}; `safestream topics create` makes our topics")
