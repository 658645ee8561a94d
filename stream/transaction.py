"""The one door to the producer: a transaction is begun, filled and committed here, and leaving it any other way aborts.

    with producer.transaction() as transaction:          # begin
        last = transaction.send(topic, partition, rows)  # queue
        transaction.flush()                              # every record is on the broker, its offset is known
        transaction.commit(offsets, metadata)            # offsets, then end: the only way out that keeps anything

A commit without an answer is unknown, neither done nor failed: `recover` asks the broker by taking the transactional id
anew (which ends what was open, one way or the other), and the caller reads its positions from what is committed.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from schemas.errors import Abortable, Fenced, Retriable
from stream.kafka_errors import error_of, translate

_ABORT_SECONDS: Final = 10.0
_COMMIT_SECONDS: Final = 20.0  # twice transaction.timeout.ms: by then the broker has decided
_INIT_SECONDS: Final = 30.0
_log = structlog.get_logger(__name__)

Row = dict[str, Any]  # {"key": bytes | None, "value": bytes}, as Producer.produce_batch takes it


class TransactionalProducer:
    """Owns the producer of one worker slot. One thread at a time calls it."""

    def __init__(self, properties: Mapping[str, Any]) -> None:
        self._properties = dict(properties)
        self._producer: Producer | None = None
        self._last: Transaction | None = None

    def start(self) -> None:
        """Take the transactional id, fencing whoever had it, and end its open transaction.

        Raises:
            Retriable: no broker or coordinator answers in time.
        """
        producer = Producer(self._properties)
        try:
            producer.init_transactions(_INIT_SECONDS)
        except KafkaException as raised:
            raise translate(error_of(raised), "taking the transactional id") from None
        self._producer, self._last = producer, None

    def recover(self) -> None:
        """After an Abortable: nothing is open, and the outcome of every earlier commit is settled.

        Raises:
            Fenced: another process has the transactional id.
        """
        if self._producer is not None:
            if self._last is None or self._last.settled:
                return
            try:
                self._producer.abort_transaction(_ABORT_SECONDS)
            except KafkaException as raised:
                error = translate(error_of(raised), "aborting")
                if isinstance(error, Fenced):
                    raise error from None
                _log.info("taking the transactional id anew", reason=str(error))
                self.close()
            else:
                self._last = None
                return
        self.start()

    def close(self) -> None:
        """Drop the producer; what is queued and uncommitted is dropped with it."""
        if self._producer is not None:
            self._producer.purge()
            self._producer = None

    def transaction(self, deadline: float) -> "Transaction":
        """A transaction to be finished by `deadline` (time.monotonic)."""
        assert self._producer is not None, "start() first"
        self._last = Transaction(self._producer, deadline)
        return self._last


class Transaction:
    """One transaction, used as a context manager."""

    def __init__(self, producer: Producer, deadline: float) -> None:
        self._producer = producer
        self._deadline = deadline
        self.settled = True  # not begun, or committed: nothing to abort

    def __enter__(self) -> Self:
        self.settled = False
        self._call("beginning a transaction", self._producer.begin_transaction)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        # An error leaves the transaction open on purpose: `recover` aborts it, once, with what it knows of the broker.
        assert self.settled or raised is not None, "a transaction was left without commit"

    def send(self, topic: str, partition: int | None, rows: Sequence[Row]) -> None:
        """Queue records; without a partition the key decides (murmur2)."""
        if not rows:
            return
        anywhere = -1  # librdkafka's PARTITION_UA
        try:
            queued = self._producer.produce_batch(topic, list(rows), anywhere if partition is None else partition)
        except (KafkaException, BufferError) as raised:
            raise Abortable(f"queueing records for {topic}: {raised}") from None
        if queued != len(rows):
            refused = next((row["_error"] for row in rows if "_error" in row), "the queue is full")
            raise Abortable(f"only {queued} of {len(rows)} records for {topic} were queued: {refused}")

    def send_one(
        self,
        topic: str,
        partition: int,
        row: Row,
        headers: Sequence[tuple[str, bytes | None]] = (),
        timestamp_ms: int = 0,
        delivered: Callable[[int], None] | None = None,
    ) -> None:
        """Queue one record, with what a batch can't carry; `delivered` gets its offset by the end of `flush`."""

        def report(error: KafkaError | None, message: Message) -> None:
            if error is None and delivered is not None:
                delivered(int(message.offset() or 0))

        try:
            self._producer.produce(
                topic,
                row["value"],
                row["key"],
                partition,
                on_delivery=report,
                timestamp=timestamp_ms,
                headers=list(headers),
            )
        except (KafkaException, BufferError) as raised:
            raise Abortable(f"queueing a record for {topic}: {raised}") from None

    def flush(self) -> None:
        """Wait until the broker has every record of this transaction."""
        try:
            left = self._producer.flush(max(0.1, self._deadline - time.monotonic()))
        except KafkaException as raised:
            raise translate(error_of(raised), "producing") from None
        if left:
            raise Abortable("the broker did not take all records in time")

    def commit(self, offsets: Sequence[TopicPartition], group_metadata: object) -> None:
        """Commit records and offsets together.

        Raises:
            Abortable: neither is visible, or (a commit without an answer) it is not known; the message says which.
        """
        self._call(
            "sending offsets", lambda: self._producer.send_offsets_to_transaction(list(offsets), group_metadata, 10.0)
        )
        self._call("committing", lambda: self._producer.commit_transaction(_COMMIT_SECONDS))
        self.settled = True

    def _call(self, doing: str, call: Callable[[], object]) -> None:
        """Call until it succeeds, fails for good, or the deadline is over."""
        while True:
            try:
                call()
            except KafkaException as raised:
                error = translate(error_of(raised), doing)
                if not isinstance(error, Retriable):
                    raise error from None
                if time.monotonic() > self._deadline:
                    raise Abortable(f"{error}; whether it was done is unknown") from None
                time.sleep(0.05)
            else:
                return
