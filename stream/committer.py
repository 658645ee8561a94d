"""The last stage: one transaction a batch, on a thread of its own, while the next batch is decoded and scored.

What one transaction holds: decisions, leaves, dead letters, ledger inputs, age estimates, second looks and the consumed
offsets. At most one is open. Leaves are chained as the last step before produce, onto the head of the one before.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Thread
from typing import Final, TypeVar

from schemas.errors import Fatal
from schemas.leaf_header import NO_HEAD, Head, Kind, cluster_tag, seal
from schemas.topics import AGE_ESTIMATES, AUDIT, DEAD_LETTERS, DECISIONS, LEDGER_INPUTS, SECOND_LOOK
from schemas.wire import frame
from stream.batches import Batch
from stream.caution import Caution
from stream.chain_heads import ChainHeads
from stream.dead_letters import headers_of, row_of
from stream.decoding import Recorded, Undecodable
from stream.lanes import Lane
from stream.ports import Judge, Verdicts
from stream.positions import Position
from stream.transaction import Row, Transaction, TransactionalProducer

_TRANSACTION_SECONDS: Final = 30.0
_HANG_SECONDS: Final = 90.0  # no call of a transaction may take longer: the client hangs
SALT_BYTES: Final = 16
_T = TypeVar("_T")


@dataclass(slots=True, eq=False)
class Entry:
    """What a transaction does to one lane: leaves to chain, and the offset to commit.

    caution       what to write down of it; None: the records up to `offset` are through
    audit_offset  where the last leaf came to lie; known once the transaction is flushed
    """

    lane: Lane
    leaves: list[tuple[Kind, int, bytes]]
    offset: int
    caution: Caution | None = None
    head: Head = NO_HEAD
    audit_offset: int = -1

    def position(self) -> Position:
        """The lane's position once this is committed."""
        before = self.lane.position
        caution = before.caution.progressed(self.offset) if self.caution is None else self.caution
        return Position(before.topic_id, self.offset, self.head, self.audit_offset, caution)


@dataclass(slots=True, eq=False)
class Publication:
    """Everything that one transaction publishes; `rows` are the batch's events in it. No batch: it only writes down."""

    entries: list[Entry]
    batch: Batch | None = None
    verdicts: Verdicts | None = None
    rows: list[int] = field(default_factory=list)
    topics: list[str] = field(default_factory=list)  # of `rows`: where this worker read them
    decisions: list[Row] = field(default_factory=list)
    ledger_inputs: list[Row] = field(default_factory=list)
    second_looks: list[Row] = field(default_factory=list)
    age_estimates: list[Row] = field(default_factory=list)
    dead: list[tuple[int, Row, list[tuple[str, bytes | None]], int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Committed:
    """A transaction that is through, with the seconds it took to produce and to commit."""

    publication: Publication
    produce_seconds: float
    commit_seconds: float


class Committer:
    """Publishes, one transaction after the other. All methods are called by the worker's own thread."""

    def __init__(
        self, producer: TransactionalProducer, heads: ChainHeads, judge: Judge, cluster_id: str, leaf_schema_id: int
    ) -> None:
        self._producer = producer
        self._heads = heads
        self._judge = judge
        self._cluster = cluster_tag(cluster_id)
        self._frame = frame(leaf_schema_id)
        self._open: Future[Committed] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is being committed."""
        return self._open is None or self._open.done()

    def publish(
        self,
        batch: Batch,
        verdicts: Verdicts,
        estimates: Mapping[int, Sequence[bytes]],
        group_metadata: object,
        timeout: float | None = None,
    ) -> Committed | None:
        """Hand a decided batch to the transaction; waits for the one before, and returns it.

        Args:
            estimates: row → values for moderation.age-estimates.

        Raises:
            Abortable: the transaction before failed.
            Fenced: another worker runs under this slot.
        """
        publication = self._publication(batch, verdicts, estimates)
        before = self.settle(timeout)
        if publication.entries:
            self._open = _begin(lambda: self._commit(publication, group_metadata))
        return before

    def write_down(self, entries: Sequence[Entry], group_metadata: object) -> Committed | None:
        """A small transaction of its own, waited for: the leaves that open a chain, or what is about to be tried.

        Returns the batch's transaction before it, if one was in flight.
        """
        before = self.settle()
        self._open = _begin(lambda: self._commit(Publication(list(entries)), group_metadata))
        self.settle()
        return before

    def settle(self, timeout: float | None = None) -> Committed | None:
        """Wait for the transaction in flight and return it; None if there was none.

        Without `timeout` the wait is bounded all the same: who waits here does not poll, and the group waits for it.

        Raises:
            TimeoutError: it is still under way after `timeout` seconds. Fatal: it never ends.
        """
        if self._open is None:
            return None
        try:
            committed = self._open.result(_HANG_SECONDS if timeout is None else timeout)
        except TimeoutError:
            if timeout is not None or self._open.done():
                raise
            raise _hung() from None
        self._open = None
        return committed

    def recover(self) -> None:
        """After a failure: wait for the thread, then settle with the broker.

        Raises:
            Retriable, Abortable: not yet settled. Fenced: see `TransactionalProducer.recover`. Fatal: it never ends.
        """
        try:
            if self._open is not None:
                self._open.exception(_HANG_SECONDS)
                self._open = None
            _begin(self._producer.recover).result(_HANG_SECONDS)
        except TimeoutError:
            raise _hung() from None

    def close(self) -> None:
        """Drop the producer. A transaction under way is not waited for: the broker aborts it."""
        if self.idle:
            self._producer.close()

    def _publication(self, batch: Batch, verdicts: Verdicts, estimates: Mapping[int, Sequence[bytes]]) -> Publication:
        """Rows of partitions that were revoked meanwhile are left out: their new owner decides them again."""
        now_ms = time.time_ns() // 1_000_000
        publication = Publication([], batch, verdicts)
        decoded = batch.decoded
        for each in batch.alive():
            lane, leaves = each.lane, list[tuple[Kind, int, bytes]]()
            for kind, row, offset in each.rows:
                if kind is Kind.decision:
                    leaves.append((kind, offset, verdicts.leaf_bodies[row]))
                    publication.rows.append(row)
                    publication.topics.append(lane.topic)
                elif kind is Kind.dead_letter:
                    leaves.append((kind, offset, self._bury(publication, lane, decoded.dead[row], now_ms)))
                else:
                    leaves.append((kind, offset, self._record(lane, decoded.recorded[row], now_ms)))
            publication.entries.append(Entry(lane, leaves, each.next_offset))
        decisions, ledger_inputs, second_looks = verdicts.decisions, verdicts.ledger_inputs, verdicts.second_looks
        for row in publication.rows:
            key = decoded.keys[row]
            publication.decisions.append({"key": key, "value": decisions[row]})
            if (value := ledger_inputs[row]) is not None:
                publication.ledger_inputs.append({"key": key, "value": value})
            if (value := second_looks[row]) is not None:
                publication.second_looks.append({"key": key, "value": value})
            publication.age_estimates += [{"key": key, "value": value} for value in estimates.get(row, ())]
        return publication

    def _bury(self, publication: Publication, lane: Lane, dead: Undecodable, now_ms: int) -> bytes:
        """Add a dead letter; returns the body of its leaf."""
        salt = os.urandom(SALT_BYTES)
        row = row_of(dead.message)
        timestamp_ms = int(dead.message.timestamp()[1])
        publication.dead.append((lane.partition, row, headers_of(dead, lane, salt, now_ms), timestamp_ms))
        return self._judge.dead_letter_body(
            reason=dead.poison.reason.value,
            topic=lane.topic,
            timestamp_ms=dead.timestamp_ms,
            attempt=dead.attempt,
            value=dead.message.value(),
            origin=dead.origin,
            salt=salt,
            now_ms=now_ms,
        )

    def _record(self, lane: Lane, recorded: Recorded, now_ms: int) -> bytes:
        """The body of a control's or a review's leaf. It is published nowhere else, so no salt is kept for it."""
        return self._judge.recorded_body(
            topic=lane.topic, timestamp_ms=recorded.timestamp_ms, value=recorded.value, salt=None, now_ms=now_ms
        )

    def _commit(self, publication: Publication, group_metadata: object) -> Committed:
        """On the committer's thread: one transaction, from begin to commit."""
        began = time.monotonic()
        with self._producer.transaction(began + _TRANSACTION_SECONDS) as transaction:
            transaction.send(DECISIONS, None, publication.decisions)
            transaction.send(LEDGER_INPUTS, None, publication.ledger_inputs)
            transaction.send(SECOND_LOOK, None, publication.second_looks)
            transaction.send(AGE_ESTIMATES, None, publication.age_estimates)
            for partition, row, headers, timestamp_ms in publication.dead:
                transaction.send_one(DEAD_LETTERS, partition, row, headers, timestamp_ms)
            for entry in publication.entries:
                self._chain(transaction, entry)
            produced = time.monotonic()
            transaction.flush()
            positions = [(entry.lane, entry.position()) for entry in publication.entries]
            transaction.commit([at.committed_as(lane.topic, lane.partition) for lane, at in positions], group_metadata)
        for lane, at in positions:
            lane.position = at
            self._heads.remember(lane)
        return Committed(publication, produced - began, time.monotonic() - produced)

    def _chain(self, transaction: Transaction, entry: Entry) -> None:
        """Chain an entry's leaves onto its lane's head, and queue them; the last one reports its offset."""
        lane = entry.lane
        topic_id = lane.position.topic_id
        entry.audit_offset = lane.position.audit_offset
        leaves, entry.head = seal(
            lane.position.head, self._frame, self._cluster, topic_id, lane.partition, entry.leaves
        )
        if not leaves:
            return
        key = f"{topic_id.hex()}/{lane.partition}".encode()
        transaction.send(AUDIT, lane.partition, [{"key": key, "value": leaf} for leaf in leaves[:-1]])

        def delivered(offset: int) -> None:
            entry.audit_offset = offset

        transaction.send_one(AUDIT, lane.partition, {"key": key, "value": leaves[-1]}, delivered=delivered)


def _hung() -> Fatal:
    return Fatal(f"a transaction has been under way for {_HANG_SECONDS:.0f} s: the Kafka client hangs")


def _begin(call: Callable[[], _T]) -> "Future[_T]":
    """Run a call on a thread that doesn't keep the process from ending, should the Kafka client hang in it."""
    future = Future[_T]()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as raised:  # noqa: BLE001 - it is the waiter's
            future.set_exception(raised)

    Thread(target=run, name="committer", daemon=True).start()
    return future
