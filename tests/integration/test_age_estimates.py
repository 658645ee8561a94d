"""What is estimated of an account's age goes to one topic, once, with its decision, and nowhere else."""

import struct
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from detectors.age.detector import DEFAULT_MODEL
from detectors.age.model import open_model
from schemas import topics
from schemas.ages import GATES, YEARS, decode_log_pmf
from stream.local_broker.ports import free_port
from stream.reaching import Cluster
from tests.fault.avro import decode
from tests.fault.cluster import wait_until
from tests.pipeline import Pipeline

pytestmark = pytest.mark.integration

AGE = "detectors.age.detector:build"
MEDIAN = "contacts_median_age"
EVENTS = 600


def profiles(count: int) -> Iterator[dict[str, Any]]:
    """Of each three: one like many, one without a signal, one with numbers far from all that was learnt."""
    rng = np.random.default_rng(11)
    for number in range(count):
        signals: list[dict[str, Any]] = [
            {MEDIAN: float(np.float32(rng.uniform(11, 50))), "followers": int(rng.integers(5, 200)), "following": 60},
            {},
            {"followers": 10**17, "account_age_days": 2**31 - 1},
        ]
        yield {
            "event_id": f"event-{number}",
            "account_id": f"account-{number % 40}",
            "content_id": f"profile-{number % 40}",
            "created_at": time.time_ns() // 1_000_000,
            **signals[number % 3],
        }


def test_estimates_are_published_once_and_nowhere_else(pipeline: Pipeline) -> None:
    """A worker is killed on the way; two models run side by side, as in a migration."""
    port = free_port()
    changes: dict[str, Any] = {
        "worker": {"batch_size": 20, "health_port": port},
        "detectors": {"null": {"ms_per_event": 4.0}, "age": {}, "age-new": {"factory": AGE}},
        "log": {"level": "debug"},
    }
    sent = list(profiles(EVENTS))
    pipeline.produce(sent, topics.PROFILE_SIGNALS)
    first = pipeline.worker(**changes)
    wait_until("the first has begun", lambda: any(p.committed for p in pipeline.positions().values()), 60)
    first.killed = True
    first.kill()
    second = pipeline.worker(**changes)
    pipeline.wait_drained(90)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        metrics = page.read()
    assert second.terminate()[0] == 0, second.tail()
    assert pipeline.verdict().anomalies == {}

    found = [(message, decode(message.value(), "estimate")) for message in pipeline.read(topics.AGE_ESTIMATES)]
    _check_each_once(pipeline, found)
    version = open_model(DEFAULT_MODEL).version
    for message, estimate in found:
        assert message.key() == estimate["account_id"].encode()
        assert message.partition() == estimate["source_partition"]
        assert (estimate["source_topic"], estimate["model_version"]) == (topics.PROFILE_SIGNALS, version)
        if estimate["abstained"]:
            assert (estimate["mean"], estimate["low"], estimate["high"], estimate["log_pmf"]) == (None, None, None, b"")
        else:
            assert 0 <= estimate["low"] <= estimate["high"] < YEARS
    decisions = [decode(message.value(), "decision") for message in pipeline.read(topics.DECISIONS)]
    assert {(each["action"], each["degraded"]) for each in decisions} == {("allow", False)}  # never held for an age
    told = b"".join([first.log.read_bytes(), second.log.read_bytes(), metrics])
    estimates = [estimate for _, estimate in found if not estimate["abstained"]]
    needles = {estimate["log_pmf"][at : at + 16] for estimate in estimates for at in (20, 60)}
    sample = [*(n for each in estimates[:20] for n in _numbers(each)), *(row.get(MEDIAN, 0.0) for row in sent[:30])]
    needles |= {needle for number in sample if 0.001 < number % 1 < 0.999 for needle in _written(number)}
    inputs = {*topics.CONTENT, topics.AGE_ESTIMATES}
    others = sorted(Cluster(pipeline.bootstrap, {}).topics().keys() - inputs)
    assert {topics.DECISIONS, topics.AUDIT, topics.LEDGER_INPUTS, topics.SECOND_LOOK} <= set(others)
    told += b"".join(message.value() or b"" for name in others for message in pipeline.read(name))
    assert len(told) > 100_000
    assert len(needles) > 100
    assert not [needle for needle in needles if needle in told]


def _check_each_once(pipeline: Pipeline, found: list[Any]) -> None:
    """Two estimates of each event that says anything, whoever was killed; a third of them abstained."""
    events = {
        (message.partition(), message.offset()): decode(message.value(), "event")
        for message in pipeline.read(topics.PROFILE_SIGNALS)
    }
    counts = Counter((e["source_partition"], e["source_offset"], e["detector"]) for _, e in found)
    says = [place for place, event in events.items() if event["followers"] is not None]
    assert counts == {(*place, name): 1 for place in says for name in ("age", "age-new")}
    strange = {place for place, event in events.items() if event["followers"] == 10**17}
    assert {(e["source_partition"], e["source_offset"]) for _, e in found if e["abstained"]} == strange


def _numbers(estimate: dict[str, Any]) -> list[float]:
    """What nobody else may learn."""
    pmf = np.exp(decode_log_pmf(estimate["log_pmf"]))
    return [estimate["mean"], *(float(pmf[gate:].sum()) for gate in GATES)]


def _written(number: float) -> Iterator[bytes]:
    """A number as text, as a float and as a double: few of them, or a hash would hold one by chance."""
    yield f"{number:.7g}".encode()
    yield struct.pack("<f", number)
    yield struct.pack("<d", float(np.float32(number)))
