"""Prometheus instruments of the ledger."""

from collections.abc import Mapping
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.process_collector import ProcessCollector

from schemas import topics
from schemas.actions import AccountAction
from schemas.metric_names import Metric


class What(StrEnum):
    """What became of a record. The value is the label `outcome`."""

    APPLIED = "applied"
    REPEATED = "repeated"  # read again after a restart or a rebalance, and published again
    NOBODY = "nobody"  # a control that is about no account
    DEAD_LETTER = "dead_letter"
    SKIPPED = "skipped"  # can't be decoded, and the worker writes its dead letter
    LOST = "lost"  # deleted by retention before it was read


class LedgerMetrics:
    """What the ledger measures. Used by one thread, scraped by others."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Make every time series that can be known, at zero."""
        ProcessCollector(registry=registry)
        folded = Counter(Metric.FOLDED, Metric.FOLDED.meaning, Metric.FOLDED.labels, registry=registry)
        self.folded = {(topic, what): folded.labels(topic, what.value) for topic in topics.LEDGER for what in What}
        actions = Counter(
            Metric.ACCOUNT_ACTIONS, Metric.ACCOUNT_ACTIONS.meaning, Metric.ACCOUNT_ACTIONS.labels, registry=registry
        )
        self.actions = {action.name: actions.labels(action.name) for action in AccountAction}
        self.restoring = Gauge(Metric.RESTORING, Metric.RESTORING.meaning, registry=registry)
        self._lag = Gauge(Metric.LEDGER_LAG, Metric.LEDGER_LAG.meaning, Metric.LEDGER_LAG.labels, registry=registry)
        self._shown: set[tuple[str, int]] = set()

    def gone(self, records: Mapping[str, int]) -> None:
        """Count what retention took of each input before it was read."""
        for topic, count in records.items():
            self.folded[topic, What.LOST].inc(count)

    def lags(self, records: Mapping[tuple[str, int], int]) -> None:
        """Set the lag of each partition in our hands, and forget the others."""
        for topic, partition in self._shown - set(records):
            self._lag.remove_by_labels({"topic": topic, "partition": str(partition)})
        for (topic, partition), count in records.items():
            self._lag.labels(topic, partition).set(count)
        self._shown = set(records)
