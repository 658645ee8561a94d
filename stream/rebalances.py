"""Partitions come and go: the group's callbacks, which run within a poll, on the worker's own thread.

assigned   ask where each partition goes on, and fetch from there
revoked    the worker commits what is under way of them, or hands it back; then they are dropped
lost       they are another's already: dropped at once, and nothing of them is committed
"""

import time
from collections.abc import Callable, Collection, Sequence
from threading import Event
from typing import Final

import structlog
from confluent_kafka import Consumer, TopicPartition

from schemas.errors import Abortable, Retriable
from schemas.leaf_header import Kind
from stream.account_states import AccountStates
from stream.chain_heads import ChainHeads
from stream.health import Health
from stream.intake import Intake
from stream.lanes import Lane
from stream.metrics import WorkerMetrics

BACKOFF_SECONDS: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
_log = structlog.get_logger(__name__)


class Rebalances:
    """Keeps the intake's lanes in step with what the group gives this worker."""

    def __init__(
        self,
        consumer: Consumer,
        intake: Intake,
        heads: ChainHeads,
        metrics: WorkerMetrics,
        health: Health,
        stop: Event,
        hand_over: Callable[[Sequence[Lane]], None],
        states: AccountStates | None,
        *,
        incremental: bool,
    ) -> None:
        """Nothing is subscribed yet.

        Args:
            states: of accounts, which content waits for; None where policy asks nothing about accounts.
            hand_over: commits what is under way of lanes that are about to go, as far as it can be in time.
            incremental: the group hands over single partitions (cooperative, or the new protocol), not all at once.
        """
        self._consumer = consumer
        self._intake = intake
        self._heads = heads
        self._metrics = metrics
        self._health = health
        self._stop = stop
        self._hand_over = hand_over
        self._states = states
        self._incremental = incremental

    def subscribe(self, topics: Sequence[str]) -> None:
        """Join the group."""
        self._consumer.subscribe(list(topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)

    def begin_again(self, survived: Collection[tuple[str, int]]) -> None:
        """Fetch every partition again from where it stands by what is committed; see `ChainHeads.resolve`."""
        # What librdkafka has, not the lanes: it keeps a partition whose assignment failed here half-way.
        held = self._consumer.assignment()
        lanes = self._heads.resolve(self._consumer, held, survived) if held else []
        self._intake.restart(lanes, self._reassign)
        self.report()

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        began = time.monotonic()
        lanes = self._resolve(partitions) if partitions else []
        starts = [TopicPartition(lane.topic, lane.partition, lane.position.offset) for lane in lanes]
        (consumer.incremental_assign if self._incremental else consumer.assign)(starts)
        self._follow(lanes)
        for lane in lanes:
            self._intake.add(lane)
        self._changed("assigned", partitions, began)

    def _follow(self, taken: Sequence[Lane]) -> None:
        """New content waits from the start until its accounts' states are there."""
        if self._states is None:
            return
        held = [*self._intake.lanes.values(), *taken]
        self._states.follow(
            *({lane.partition for lane in lanes if lane.kind is Kind.decision} for lanes in (taken, held))
        )
        self._intake.wait_for(self._states.waiting())

    def _resolve(self, partitions: list[TopicPartition]) -> list[Lane]:
        """Where the partitions go on; tried again while the broker doesn't answer, since the group waits for us."""
        for pause in (*BACKOFF_SECONDS, *BACKOFF_SECONDS[-1:] * 6):
            try:
                return self._heads.resolve(self._consumer, partitions)
            except (Abortable, Retriable) as trouble:
                if self._stop.is_set():
                    raise
                _log.warning("positions unknown as yet", reason=str(trouble))
                self._stop.wait(pause)
        return self._heads.resolve(self._consumer, partitions)

    def _revoked(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        began = time.monotonic()
        lanes = self._intake.lanes
        self._hand_over([lanes[p.topic, p.partition] for p in partitions if (p.topic, p.partition) in lanes])
        self._drop(partitions)
        self._changed("revoked", partitions, began)

    def _lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        began = time.monotonic()
        self._drop(partitions)
        self._changed("lost", partitions, began)

    def _reassign(self, starts: list[TopicPartition]) -> None:
        """Begin fetching anew, where there is nothing to seek in."""
        if self._incremental:
            self._consumer.incremental_unassign(starts)
            self._consumer.incremental_assign(starts)
        else:
            self._consumer.assign(starts)

    def _drop(self, partitions: Sequence[TopicPartition]) -> None:
        for each in partitions:
            self._intake.remove(each.topic, each.partition)
            self._metrics.forget(each.topic, each.partition)

    def _changed(self, how: str, partitions: Sequence[TopicPartition], began: float) -> None:
        seconds = time.monotonic() - began
        self._metrics.rebalance[how].observe(seconds)
        self.report()
        _log.info("partitions " + how, count=len(partitions), now=len(self._intake.lanes), seconds=round(seconds, 3))

    def report(self) -> None:
        """Say how many partitions there are, and what is waited for."""
        self._metrics.assigned.set(len(self._intake.lanes))
        awaited = "accounts' states" if any(lane.held for lane in self._intake.lanes.values()) else None
        self._health.waiting_for = awaited if self._intake.lanes else "partitions"
