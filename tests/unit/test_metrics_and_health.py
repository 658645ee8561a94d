"""What a worker shows of itself over HTTP, and that every metric is the one of the list."""

import urllib.error
import urllib.request

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from schemas.columns import Scores
from schemas.errors import PoisonReason, UserMistake
from schemas.metric_names import Metric, Queue, Stage
from stream.health import Health, HealthServer
from stream.ledger.metrics import LedgerMetrics
from stream.metrics import WorkerMetrics

TOPICS = ["content.comments", "moderation.controls"]


def value(registry: CollectorRegistry, metric: str, **labels: str) -> float | None:
    return registry.get_sample_value(metric, labels)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> WorkerMetrics:
    return WorkerMetrics(TOPICS, ["text"], registry)


def test_a_batch_is_counted_by_topic_and_outcome(metrics: WorkerMetrics, registry: CollectorRegistry) -> None:
    """Actions by name, dead letters by reason too, controls as recorded."""
    metrics.decided(["content.comments"] * 3, np.array([0, 5, 5], np.uint8), np.array([True, False, False]))
    metrics.dead_lettered([("content.comments", PoisonReason.TRUNCATED)] * 2)
    metrics.recorded(["moderation.controls"])
    assert value(registry, Metric.EVENTS, topic="content.comments", outcome="remove") == 2
    assert value(registry, Metric.EVENTS, topic="content.comments", outcome="hold") == 0
    assert value(registry, Metric.EVENTS, topic="content.comments", outcome="dead_letter") == 2
    assert value(registry, Metric.EVENTS, topic="moderation.controls", outcome="recorded") == 1
    assert value(registry, Metric.DEAD_LETTERS, topic="content.comments", reason="truncated") == 2
    assert value(registry, Metric.DEGRADED, topic="content.comments") == 1


def test_detector_results_are_counted_by_status(metrics: WorkerMetrics, registry: CollectorRegistry) -> None:
    """One look at a column of statuses."""
    status = np.array([[0], [0], [3]], np.uint8)
    nothing, reused = np.empty((3, 0), np.float32), np.array([[False], [True], [False]])
    metrics.scored(Scores((), ("text",), ("v",), nothing, status, np.zeros_like(status), reused=reused))
    assert value(registry, Metric.REUSED, detector="text") == 1
    assert value(registry, Metric.RESULTS, detector="text", status="scored") == 2
    assert value(registry, Metric.RESULTS, detector="text", status="error") == 1


def test_a_revoked_partition_has_no_lag_of_ours(metrics: WorkerMetrics, registry: CollectorRegistry) -> None:
    """Else two workers would report one partition."""
    metrics.lag("content.comments", 0, 7)
    assert value(registry, Metric.LAG, topic="content.comments", partition="0") == 7
    metrics.forget("content.comments", 0)
    assert value(registry, Metric.LAG, topic="content.comments", partition="0") is None


def test_restarts_follow_the_detectors_own_count(metrics: WorkerMetrics, registry: CollectorRegistry) -> None:
    """The counter only goes up, however often the total is read."""
    for total in (0, 2, 2, 3):
        metrics.restarts(total)
    assert value(registry, Metric.RESTARTS) == 3


def test_every_metric_of_the_list_exists_and_no_other(metrics: WorkerMetrics, registry: CollectorRegistry) -> None:
    """Names, kinds and labels are those of `schemas.metric_names`."""
    metrics.lag("content.comments", 0, 1)
    for stage in Stage:
        metrics.stage[stage].observe(0.1)
    for queue in Queue:
        metrics.queue[queue].set(1)
    of_the_ledger = CollectorRegistry()
    LedgerMetrics(of_the_ledger).lags({("moderation.reviews", 0): 1})
    families = [*registry.collect(), *of_the_ledger.collect()]
    found = {family.name: family for family in families if family.name.startswith("safestream")}
    assert set(found) == {metric.removesuffix("_total") for metric in Metric}
    for metric in Metric:
        family = found[metric.removesuffix("_total")]
        assert family.type == metric.kind
        assert family.documentation == metric.meaning
        labels = {name for sample in family.samples for name in sample.labels} - {"le"}
        assert labels == set(metric.labels), metric


def test_names_follow_prometheus() -> None:
    """A counter ends in _total, a duration in _seconds."""
    for metric in Metric:
        assert metric.endswith("_total") == (metric.kind == "counter")
        assert metric.startswith("safestream_")


def get(port: int, page: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_health_and_readiness(metrics: WorkerMetrics, registry: CollectorRegistry) -> None:
    """Not ready at first, ready once nothing is missing, neither when the loop is silent; metrics always."""
    now = [0.0]
    health = Health(stale_seconds=10, clock=lambda: now[0])
    with HealthServer("127.0.0.1", 0, registry, health) as server:
        assert get(server.port, "/healthz") == (200, "ok\n")
        assert get(server.port, "/readyz") == (503, "waiting for start\n")
        health.waiting_for = None
        assert get(server.port, "/readyz") == (200, "ok\n")
        now[0] = 11.0
        assert get(server.port, "/healthz") == (503, "the loop has been silent for 11 s\n")
        assert get(server.port, "/readyz")[0] == 503
        health.beat()
        assert get(server.port, "/healthz")[0] == 200
        status, text = get(server.port, "/metrics")
        assert status == 200
        assert "safestream_aborts_total 0.0" in text
        assert get(server.port, "/elsewhere")[0] == 404


def test_a_port_that_is_taken_is_the_users_mistake(registry: CollectorRegistry) -> None:
    """The message names the address and the setting."""
    health = Health(10)
    with (
        HealthServer("127.0.0.1", 0, registry, health) as server,
        pytest.raises(UserMistake, match=rf"127\.0\.0\.1:{server.port}: address already in use.*worker\.health_port"),
    ):
        HealthServer("127.0.0.1", server.port, registry, health)
