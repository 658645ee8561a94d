"""Events into a topic, each under its account's key, and every failure by the line it came from."""

import io
from collections.abc import Mapping
from typing import Any, Final

import fastavro
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.registry import Schema
from schemas.wire import frame
from stream.kafka_errors import error_of
from stream.properties import producer_properties
from stream.reaching import Cluster

_GIVE_UP: Final = {"message.timeout.ms": "60000"}  # librdkafka's own 5 minutes are long for somebody who waits


class KeyMissing(ValueError):
    """The record has neither an account nor an id that could be its key."""


class EventProducer:
    """Sends records to one topic. Idempotent: a retry doubles nothing; delivered means on every in-sync replica."""

    def __init__(self, cluster: Cluster, topic: str, schema: Schema) -> None:
        """Open the producer; nothing is sent yet."""
        properties: Mapping[str, str] = {**_GIVE_UP, **cluster.properties}
        self._producer = Producer(producer_properties(cluster.bootstrap_servers, properties))
        self._topic = topic
        self._schema = schema
        self._frame = frame(schema.id)
        self._key_fields = [path[0] for role in ("account", "id") for path in schema.roles[role] if len(path) == 1]
        self.delivered = 0
        self.failures: list[tuple[int, str]] = []  # line number, why

    def encode(self, record: Mapping[str, Any]) -> bytes:
        """The record's value on the wire."""
        buffer = io.BytesIO(self._frame)
        buffer.seek(len(self._frame))
        fastavro.schemaless_writer(buffer, self._schema.parsed, record)
        return buffer.getvalue()

    def key(self, record: Mapping[str, Any]) -> bytes:
        """The account's id as UTF-8; for what is about no account, its own id.

        Raises:
            KeyMissing: neither is there.
        """
        for name in self._key_fields:
            if record.get(name) == "":
                raise KeyMissing(f"{name}: empty, but it is the record's key")
            if record.get(name) is not None:
                return str(record[name]).encode()
        raise KeyMissing("neither an account nor an id, so the record has no key")

    def send(self, number: int, key: bytes, value: bytes) -> None:
        """Queue a record; waits while the queue is full.

        Args:
            number: the line it came from, for `failures`.
        """

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is None:
                self.delivered += 1
            else:
                self.failures.append((number, error.str()))

        while True:
            try:
                self._producer.produce(self._topic, key=key, value=value, on_delivery=delivered)
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as raised:  # too large for the client itself
                self.failures.append((number, error_of(raised).str()))
                return
            else:
                self._producer.poll(0)
                return

    def flush(self, seconds: float) -> int:
        """Wait for deliveries; how many are still under way after `seconds`."""
        return int(self._producer.flush(seconds))
