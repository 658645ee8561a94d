"""Prometheus instruments of a worker. Labels are looked up once, at start: a batch costs a few additions."""

from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector

from schemas.actions import Action
from schemas.columns import Scores
from schemas.errors import PoisonReason
from schemas.metric_names import Metric, Outcome, Queue, Stage
from schemas.statuses import Status
from stream.ports import Flips

_BUCKETS: Final[dict[Metric, tuple[float, ...]]] = {
    Metric.BATCH: (1, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000),
    Metric.BATCH_AGE: (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 15, 60, 600, 3600),
    Metric.STAGE: (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
    Metric.TRANSACTION: (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    Metric.REBALANCE: (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10),
}


class WorkerMetrics:
    """What the worker measures, under the names of `schemas.metric_names`. Used by one thread, scraped by others."""

    def __init__(self, topics: Sequence[str], detectors: Sequence[str], registry: CollectorRegistry) -> None:
        """Make every time series that can be known, at zero, so that a rate is right from the first event on.

        Args:
            topics: every topic that the worker consumes.
            detectors: names of the configured detectors.
        """
        ProcessCollector(registry=registry)
        events = _counter(Metric.EVENTS, registry)
        outcomes = [(action, action.name) for action in Action] + [(outcome, outcome.value) for outcome in Outcome]
        self._events = {(topic, each): events.labels(topic, name) for topic in topics for each, name in outcomes}
        degraded, lost = _counter(Metric.DEGRADED, registry), _counter(Metric.LOST, registry)
        self._degraded = {topic: degraded.labels(topic) for topic in topics}
        self._lost = {topic: lost.labels(topic) for topic in topics}
        letters = _counter(Metric.DEAD_LETTERS, registry)
        self._letters = {(topic, reason): letters.labels(topic, reason) for topic in topics for reason in PoisonReason}
        results = _counter(Metric.RESULTS, registry)
        self._results = {name: [results.labels(name, status.name) for status in Status] for name in detectors}
        reused = _counter(Metric.REUSED, registry)
        self._reused = {name: reused.labels(name) for name in detectors}
        self.batch_events = _histogram(Metric.BATCH, registry)
        self.batch_age = _histogram(Metric.BATCH_AGE, registry)
        stage, rebalance = _histogram(Metric.STAGE, registry), _histogram(Metric.REBALANCE, registry)
        self.stage = {each: stage.labels(each) for each in Stage}
        self.rebalance = {kind: rebalance.labels(kind) for kind in ("assigned", "revoked", "lost")}
        self.transaction = _histogram(Metric.TRANSACTION, registry)
        self.aborts = _counter(Metric.ABORTS, registry)
        queue = _gauge(Metric.QUEUE, registry)
        self.queue = {each: queue.labels(each) for each in Queue}
        self.assigned = _gauge(Metric.ASSIGNED, registry)
        self.healthy = _gauge(Metric.HEALTHY, registry)
        self._lag = _gauge(Metric.LAG, registry)
        self.states_behind = _gauge(Metric.STATES_BEHIND, registry)
        self._compared, self._flipped = _counter(Metric.COMPARED, registry), _counter(Metric.FLIPPED, registry)
        self._stopped, self._flips_seen = _gauge(Metric.STOPPED, registry), (0, 0)
        self._restarts, self._restarts_seen = _counter(Metric.RESTARTS, registry), 0

    def decided(self, topics: Sequence[str], actions: NDArray[np.uint8], degraded: NDArray[np.bool_]) -> None:
        """Count the committed decisions of a batch; all three are of shape (n,)."""
        for (topic, action), count in Tally(zip(topics, actions.tolist(), strict=True)).items():
            self._events[topic, Action(action)].inc(count)
        for row in np.flatnonzero(degraded).tolist():
            self._degraded[topics[row]].inc()

    def dead_lettered(self, letters: Iterable[tuple[str, PoisonReason]]) -> None:
        """Count the committed dead letters of a batch: source topic and reason of each."""
        for (topic, reason), count in Tally(letters).items():
            self._letters[topic, reason].inc(count)
            self._events[topic, Outcome.DEAD_LETTER].inc(count)

    def recorded(self, topics: Iterable[str]) -> None:
        """Count the committed controls and reviews of a batch, by their topic."""
        for topic, count in Tally(topics).items():
            self._events[topic, Outcome.RECORDED].inc(count)

    def scored(self, scores: Scores) -> None:
        """Count what each detector said of a batch."""
        for column, name in enumerate(scores.detectors):
            for status, count in enumerate(np.bincount(scores.status[:, column], minlength=len(Status)).tolist()):
                self._results[name][status].inc(count)
            if scores.reused is not None:
                self._reused[name].inc(int(scores.reused[:, column].sum()))

    def lost(self, topic: str, offsets: int) -> None:
        """Count offsets that were lost to retention."""
        self._lost[topic].inc(offsets)

    def lag(self, topic: str, partition: int, records: int) -> None:
        """Set the lag of an assigned partition."""
        self._lag.labels(topic, partition).set(records)

    def forget(self, topic: str, partition: int) -> None:
        """A partition that is no longer ours has no lag of ours; its new owner reports it."""
        self._lag.remove_by_labels({"topic": topic, "partition": str(partition)})

    def restarts(self, total: int) -> None:
        """Raise the counter of restarts to what the detectors report."""
        self._restarts.inc(total - self._restarts_seen)
        self._restarts_seen = total

    def compared(self, flips: Flips) -> None:
        """Raise the counters of comparisons to what the judge reports."""
        compared, flipped = self._flips_seen
        self._flips_seen = flips.compared, flips.flipped
        self._compared.inc(flips.compared - compared)
        self._flipped.inc(flips.flipped - flipped)
        self._stopped.set(flips.stopped)


def _counter(metric: Metric, registry: CollectorRegistry) -> Counter:
    return Counter(metric, metric.meaning, metric.labels, registry=registry)


def _gauge(metric: Metric, registry: CollectorRegistry) -> Gauge:
    return Gauge(metric, metric.meaning, metric.labels, registry=registry)


def _histogram(metric: Metric, registry: CollectorRegistry) -> Histogram:
    return Histogram(metric, metric.meaning, metric.labels, registry=registry, buckets=_BUCKETS[metric])
