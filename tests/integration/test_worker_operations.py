"""What an operator gets from a worker over HTTP: whether it lives, whether it decides, and what it counted."""

import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from schemas import topics
from schemas.metric_names import Metric
from stream.health import Health, HealthServer
from stream.local_broker.ports import free_port
from tests.fault.cluster import wait_until
from tests.pipeline import PARTITIONS, Pipeline, comments, oracle_headers

pytestmark = pytest.mark.integration

SECRET = b"zanzibarquokka"


def get(port: int, page: str) -> tuple[int, str]:
    """Status and body; 0 while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def samples(port: int) -> dict[tuple[str, ...], float]:
    """Every sample of ours: its name and the values of its labels."""
    families = text_string_to_metric_families(get(port, "/metrics")[1])
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_worker_says_how_it_is_and_what_it_did(pipeline: Pipeline) -> None:
    """Not ready before it holds partitions, then ready; every record counted once, by outcome; no lag at the end."""
    pipeline.produce(comments(200))
    broken = [(topics.COMMENTS, b"k", b"\x07" + SECRET, oracle_headers(f"b{n}", "k", "dead")) for n in range(3)]
    pipeline.produce_raw(broken)
    port = free_port()
    worker = pipeline.worker(worker={"health_port": port, "batch_size": 50})
    wait_until("it listens", lambda: get(port, "/healthz")[0] != 0, 40, 0.01)
    assert get(port, "/healthz") == (200, "ok\n")
    status, why = get(port, "/readyz")
    assert (status, why) == (200, "ok\n") or why.startswith("waiting for ")
    wait_until("it is ready", lambda: get(port, "/readyz")[0] == 200, 40)
    pipeline.wait_drained()
    events, letters = Metric.EVENTS, Metric.DEAD_LETTERS
    wait_until("it has counted", lambda: samples(port)[events, "dead_letter", topics.COMMENTS] == 3, 10)
    seen = samples(port)
    assert sum(value for key, value in seen.items() if key[0] == events) == 203
    assert seen[letters, "wrong_magic_byte", topics.COMMENTS] == 3
    assert seen[f"{Metric.BATCH}_sum",] == 203
    assert seen[f"{Metric.TRANSACTION}_count",] == seen[f"{Metric.BATCH}_count",] >= 5
    assert seen[Metric.ASSIGNED,] == PARTITIONS * len(pipeline.inputs)
    assert seen[Metric.HEALTHY,] == 1
    assert seen[Metric.RESULTS, "lexicon", "scored"] == 200
    wait_until("no lag is left", lambda: all(v == 0 for k, v in samples(port).items() if k[0] == Metric.LAG), 10)
    assert worker.terminate()[0] == 0
    assert SECRET.decode() not in worker.log.read_text()


def test_a_taken_port_is_one_line(pipeline: Pipeline) -> None:
    """Exit code 2, naming the port and the setting, before anything is consumed."""
    with HealthServer("127.0.0.1", 0, CollectorRegistry(), Health(60)) as taken:
        done = pipeline.command("worker", config=pipeline.config(worker={"health_port": taken.port}))
    assert done.returncode == 2
    (said,) = done.stderr.splitlines()
    assert f"127.0.0.1:{taken.port}: address already in use" in said
    assert "worker.health_port" in said
