"""The worker: an event's way from the log to its decision, its leaf and the commit, on one screen.

    poll → take → decode ┐                       (this thread)
                         ├→ detect               (the detectors' process)
           decide ───────┘                       (this thread)
             └→ produce → commit                 (the committer's thread)

While the detectors have one batch, the next is decoded here and the one before is committed there. Only
a few batches are under way, and `Intake` bounds what waits. Whatever goes wrong with a transaction ends
in `_rewind`: everything not committed is dropped and read again.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from threading import Event
from typing import Final

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from schemas.columns import Scores
from schemas.errors import Abortable, Retriable, SafestreamError
from schemas.leaf_header import Kind
from schemas.metric_names import Queue, Stage
from stream.account_states import AccountStates
from stream.age_estimates import AgeEstimates
from stream.batches import Batch, batch_of
from stream.chain_heads import ChainHeads
from stream.committer import Committed, Committer, Entry
from stream.decoding import Decoding
from stream.health import Health
from stream.intake import Intake
from stream.kafka_errors import error_of, translate
from stream.lanes import Lane
from stream.measuring import measure
from stream.metrics import WorkerMetrics
from stream.ports import Detectors, Judge
from stream.rebalances import BACKOFF_SECONDS, Rebalances

_SLICE_SECONDS: Final = 0.005  # between looks at what the detectors have, while they are busy
_IDLE_SECONDS: Final = 0.2
_log = structlog.get_logger(__name__)


class Worker:
    """One consumer of the group. `run` returns when `stop` is set and what was under way is committed."""

    def __init__(
        self,
        consumer: Consumer,
        intake: Intake,
        decoding: Decoding,
        detectors: Detectors,
        judge: Judge,
        ages: AgeEstimates,
        committer: Committer,
        heads: ChainHeads,
        metrics: WorkerMetrics,
        health: Health,
        drain_seconds: float,
        stop: Event,
        states: AccountStates | None,
        *,
        incremental: bool,
    ) -> None:
        """Nothing is consumed yet.

        Args:
            states: of accounts; None where policy asks nothing about accounts.
            incremental: the group hands over single partitions (cooperative, or the new protocol), not all at once.
        """
        self._consumer = consumer
        self._intake = intake
        self._decoding = decoding
        self._detectors = detectors
        self._judge = judge
        self._ages = ages
        self._committer = committer
        self._metrics = metrics
        self._health = health
        self._drain_seconds = drain_seconds
        self._stop = stop
        self._states = states
        self._rebalances = Rebalances(
            consumer, intake, heads, metrics, health, stop, self._hand_over, states, incremental=incremental
        )
        self._under_way: deque[tuple[Batch, float]] = deque()  # with the detectors, and since when
        self._number = 0
        self._leave_by: float | None = None  # told to stop: nothing is waited for beyond this (time.monotonic)
        self._trouble: SafestreamError | None = None  # met where it could not be raised: in a rebalance
        self._broken = False
        self._failures = 0  # rewinds in a row, without a commit between
        self._gauged = 0.0

    def run(self, topics: Sequence[str]) -> None:
        """Consume until told to stop.

        Raises:
            Fatal: going on would lose, double or falsify something; Fenced: another worker has this slot.
        """
        self._rebalances.subscribe(topics)
        try:
            while not self._stop.is_set():
                try:
                    self._turn()
                except (Abortable, Retriable) as trouble:
                    self._rewind(trouble)
            self._leave_by = time.monotonic() + self._drain_seconds
            self._finish(lambda: self._idle)
        except BaseException:
            self._broken = True  # leave the group, and commit nothing on the way
            raise
        finally:
            self._consumer.close()

    def _turn(self) -> None:
        """Once round. Each line is a stage; none waits for the one after it."""
        self._intake.poll(self._patience())
        if self._states is not None:
            self._intake.wait_for(self._states.waiting())
        self._settle_trouble()
        self._open_chains()
        if self._detectors.room and self._intake.waiting and (not self._under_way or not self._intake.due()):
            self._dispatch()
        if (scored := self._detectors.collect(0)) is not None:
            self._decide(*scored)
        if self._committer.idle:
            self._committed(self._committer.settle())
        self._gauge()

    def _dispatch(self) -> None:
        """Take a batch, decode it, hand it to the detectors."""
        began = time.monotonic()
        taken = self._intake.take()
        if not taken:
            return
        took = time.monotonic()
        decoded = self._decoding.decode(taken, time.time_ns() // 1_000_000)
        self._number += 1
        batch = batch_of(self._number, taken, decoded, began)
        self._write_down(batch)
        self._metrics.stage[Stage.TAKE].observe(took - began)
        self._metrics.stage[Stage.DECODE].observe(time.monotonic() - took)
        self._detectors.submit(batch.number, decoded.events)
        self._under_way.append((batch, time.monotonic()))

    def _decide(self, number: int, scores: Scores, timeout: float | None = None) -> None:
        """Decide a scored batch and hand it to the next transaction, which waits for the one before."""
        batch, since = self._under_way.popleft()
        assert batch.number == number, "the detectors answer in order"
        began = time.monotonic()
        events, now_ms = batch.decoded.events, time.time_ns() // 1_000_000
        verdicts, estimates = self._judge.judge(events, scores, now_ms), self._ages.encode(events, scores, now_ms)
        self._metrics.stage[Stage.DETECT].observe(began - since)
        self._metrics.stage[Stage.DECIDE].observe(time.monotonic() - began)
        self._metrics.scored(scores)
        self._committed(self._committer.publish(batch, verdicts, estimates, self._membership(), timeout))
        batch.forget()

    def _committed(self, committed: Committed | None) -> None:
        """Count what a transaction published, now that it is visible."""
        if committed is None:
            return
        self._failures = 0
        self._metrics.stage[Stage.PRODUCE].observe(committed.produce_seconds)
        self._metrics.stage[Stage.COMMIT].observe(committed.commit_seconds)
        self._metrics.transaction.observe(committed.produce_seconds + committed.commit_seconds)
        measure(committed.publication, self._metrics)

    def _membership(self) -> object:
        """The group metadata that offsets are committed under, now, for partitions that were held ever since.

        Lost partitions are dropped within a poll, on this thread; a member that lost them unaware is refused.

        Raises:
            Abortable: no member at present: a coordinator would not check the offsets.
        """
        if not self._consumer.memberid():
            raise Abortable("not a member of the group at present")
        return self._consumer.consumer_group_metadata()

    @property
    def _idle(self) -> bool:
        """Nothing is under way, with the detectors or in a transaction."""
        return not self._under_way and self._committer.idle

    def _patience(self) -> float:
        """How long the next poll may wait: for a first record, or shortly while something is under way."""
        if not self._under_way and self._intake.waiting:
            return 0.0  # the detectors have nothing: a batch is what there is, the next is what arrives meanwhile
        if self._idle:
            return _IDLE_SECONDS
        return min(_SLICE_SECONDS, self._intake.due()) if self._detectors.room else _SLICE_SECONDS

    def _write_down(self, batch: Batch) -> None:
        """Before the first dispatch from a position, and each one where workers have died (stream.caution)."""
        slices = [each for each in batch.slices if not each.lane.written or each.lane.position.caution.careful]
        if not slices:
            return
        self._committed(self._committer.settle())  # a commit under way moves the positions that are written here
        entries = []
        for each in slices:
            each.lane.written = True
            at = each.lane.position
            entries.append(Entry(each.lane, [], at.offset, at.caution.dispatched(each.next_offset)))
        self._committed(self._committer.write_down(entries, self._membership()))

    def _open_chains(self) -> None:
        """Write the leaves that newly assigned partitions begin with."""
        lanes = [lane for lane in self._intake.lanes.values() if lane.opening]
        if not lanes:
            return
        entries = [Entry(lane, lane.opening, lane.position.offset, lane.position.caution) for lane in lanes]
        self._committed(self._committer.write_down(entries, self._membership()))
        for lane in lanes:
            self._count_lost(lane)
            lane.opening = []

    def _count_lost(self, lane: Lane) -> None:
        for kind, first, _ in lane.opening:
            if kind is Kind.lost_to_retention:
                self._metrics.lost(lane.topic, lane.position.offset - first)

    # -- when something goes wrong, or a partition goes ----------------------------------------------------------------

    def _rewind(self, trouble: SafestreamError) -> None:
        """Drop everything that is not committed, settle with the broker, and read on from what is."""
        self._metrics.aborts.inc()
        _log.warning("rewinding", reason=str(trouble), failures=self._failures)
        survived = {place for place, lane in self._intake.lanes.items() if lane.written}  # dispatched, and we live
        while not self._stop.is_set():
            self._stop.wait(BACKOFF_SECONDS[min(self._failures, len(BACKOFF_SECONDS) - 1)] if self._failures else 0)
            self._failures += 1
            self._health.beat()
            self._forget_all()
            try:
                self._committer.recover()
                self._rebalances.begin_again(survived)
            except (Abortable, Retriable) as again:
                _log.warning("rewinding again", reason=str(again))
            except KafkaException as raised:
                _log.warning("rewinding again", reason=str(translate(error_of(raised), "seeking")))
            else:
                return

    def _forget_all(self) -> None:
        self._detectors.discard()
        for batch, _ in self._under_way:
            batch.forget()
        self._under_way.clear()
        self._trouble = None

    def _settle_trouble(self) -> None:
        if self._trouble is not None:
            raise self._trouble

    def _finish(self, done: Callable[[], bool]) -> None:
        """Carry on with what is under way, taking nothing new, until it is `done` or the time for it is over."""
        deadline = self._leave_by or time.monotonic() + self._drain_seconds
        try:
            while not done() and (left := deadline - time.monotonic()) > 0:
                if self._under_way and (scored := self._detectors.collect(min(left, _IDLE_SECONDS))) is not None:
                    self._decide(*scored, max(0.0, deadline - time.monotonic()))
                elif not self._under_way:
                    self._committed(self._committer.settle(left))
            if self._committer.idle:
                self._committed(self._committer.settle())
        except (Abortable, Retriable, TimeoutError) as trouble:
            self._trouble = Abortable(f"finishing what was under way: {trouble}")

    def _hand_over(self, lanes: Sequence[Lane]) -> None:
        """Commit what is under way of revoked partitions if it can be in time; else their new owner does it again."""
        if self._broken:
            return
        self._finish(lambda: self._committer.idle and not any(lane.in_flight for lane in lanes))
        self._hand_back([lane for lane in lanes if lane.written and lane.in_flight])

    def _hand_back(self, lanes: Sequence[Lane]) -> None:
        """What was dispatched and is given up was no death."""
        if not lanes or self._trouble is not None or not self._committer.idle:  # it costs no more than a false alarm
            return
        try:
            self._committed(self._committer.settle())  # as above: else the positions might go back
            entries = [Entry(lane, [], lane.position.offset, lane.position.caution.handed_back()) for lane in lanes]
            self._committed(self._committer.write_down(entries, self._membership()))
        except (Abortable, Retriable) as trouble:
            self._trouble = Abortable(f"handing back: {trouble}")

    def _gauge(self) -> None:
        """About once a second: what waits where."""
        now = time.monotonic()
        self._health.beat()
        if now - self._gauged < 1.0:
            return
        self._gauged = now
        self._metrics.restarts(self._detectors.restarts)
        self._metrics.healthy.set(self._detectors.healthy)
        self._rebalances.report()
        if self._states is not None:
            self._metrics.states_behind.set(len(self._states.behind))
        if self._judge.flips is not None:
            self._metrics.compared(self._judge.flips)
        self._metrics.queue[Queue.WAITING].set(self._intake.waiting)
        self._metrics.queue[Queue.DETECTING].set(sum(len(batch.decoded.events) for batch, _ in self._under_way))
        for (topic, partition), lane in self._intake.lanes.items():
            _, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True) or (0, -1)
            if high >= 0:
                self._metrics.lag(topic, partition, max(0, high - lane.position.offset))
