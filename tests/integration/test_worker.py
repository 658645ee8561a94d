"""The worker as its operator sees it: it decides, makes room, outlasts a slow detector, and leaves in time."""

import json
from datetime import UTC, datetime
from typing import Literal

import pytest

from schemas import topics
from schemas.leaf_header import Kind, parse
from tests.fault.avro import decode, encode
from tests.fault.cluster import STOP_SECONDS, wait_until
from tests.pipeline import Pipeline, comments, oracle_headers

pytestmark = pytest.mark.integration

Protocol = Literal["classic", "consumer"]
SECRET = "zanzibarquokka"  # stands in every text, and must not stand in any log line


def decisions(pipeline: Pipeline) -> list[dict[str, object]]:
    return [decode(message.value(), "decision") for message in pipeline.read(topics.DECISIONS)]


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_two_workers_share_and_hand_over(pipeline: Pipeline, protocol: Protocol) -> None:
    """The group grows 1 → 2 → 1 under load; each worker that is told to stop commits and leaves in time."""
    changes = {"worker": {"group_protocol": protocol, "batch_size": 50}, "detectors": {"null": {"ms_per_event": 1.0}}}
    pipeline.produce(comments(3000, text=f"so {SECRET} it is"))
    first = pipeline.worker("0", **changes)
    wait_until("the first has begun", lambda: any(p.committed for p in pipeline.positions().values()), 40)
    second = pipeline.worker("1", **changes)
    wait_until("the second has partitions", lambda: '"now": 0' not in last_change(second.tail(50)), 40)
    code, seconds = first.terminate()
    assert (code, seconds < STOP_SECONDS) == (0, True), first.tail()
    pipeline.wait_drained()
    code, seconds = second.terminate()
    assert (code, seconds < STOP_SECONDS) == (0, True), second.tail()
    assert pipeline.verdict().anomalies == {}
    assert SECRET not in first.log.read_text() + second.log.read_text()
    assert "account-" not in first.log.read_text() + second.log.read_text()


def last_change(log: str) -> str:
    """The last line about assigned partitions; one that says none where there is none."""
    return next((line for line in reversed(log.splitlines()) if '"partitions ' in line), '"now": 0')


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_slow_detector_keeps_its_place_in_the_group(pipeline: Pipeline, protocol: Protocol) -> None:
    """A batch may take longer than max.poll.interval.ms: polling goes on, and nobody is evicted."""
    properties = {"max.poll.interval.ms": 6000, "session.timeout.ms": 6000}
    if protocol == "consumer":
        del properties["session.timeout.ms"]
    pipeline.produce(comments(1))
    worker = pipeline.worker(
        kafka={"properties": properties},
        worker={"group_protocol": protocol, "batch_size": 1},
        detectors={"null": {"delay_ms_per_batch": 7000.0}},
        detector_process={"deadline_ms": 60_000},
    )
    pipeline.wait_drained(60)
    log = worker.tail(100)
    assert "partitions lost" not in log
    assert "partitions revoked" not in log
    assert worker.terminate()[0] == 0
    assert pipeline.verdict().anomalies == {}


def test_a_slot_taken_over_fences_the_one_before(pipeline: Pipeline) -> None:
    """Two workers of one slot: the elder ends with exit code 3 and one line."""
    pipeline.produce(comments(2000))
    elder = pipeline.worker("0", detectors={"null": {"ms_per_event": 10.0}}, worker={"batch_size": 20})
    wait_until("the elder has begun", lambda: any(p.committed for p in pipeline.positions().values()), 40)
    younger = pipeline.worker("0")
    wait_until("the elder is fenced", lambda: elder.exit_code is not None, 60)
    assert elder.exit_code == 3, elder.tail()
    assert "another worker runs under this slot" in elder.tail(1)
    elder.killed = True
    pipeline.wait_drained()
    assert younger.terminate()[0] == 0
    assert pipeline.verdict().anomalies == {}


def test_what_is_odd_is_flagged_and_decided(pipeline: Pipeline) -> None:
    """Times of 1970 and 2200, a key that isn't the account, 100,000 characters: each gets a decision that says so."""
    ages = {"past": 0, "future": 7_258_118_400_000}
    rows = [next(comments(1)) | {"event_id": name, "created_at": at} for name, at in ages.items()]
    rows.append(next(comments(1)) | {"event_id": "long", "text": "la " * 33_334})
    pipeline.produce(rows)
    other = next(comments(1)) | {"event_id": "key"}
    headers = oracle_headers("key", other["account_id"])
    pipeline.produce_raw([(topics.COMMENTS, b"somebody else", encode(topics.COMMENTS, other), headers)])
    pipeline.run_until_drained()
    flags = {each["event_id"]: each["flags"] for each in decisions(pipeline)}
    assert flags["past"] == ["timestamp_past"]
    assert flags["future"] == ["timestamp_future"]
    assert flags["long"] == ["text_long"]
    assert "key_not_account" in flags["key"]  # and misplaced as well, where that key's partition is another
    assert pipeline.verdict().anomalies == {}


def test_what_is_no_content_has_leaves_too(pipeline: Pipeline) -> None:
    """What people order and find, and what the ledger does to accounts, is in the proof as well."""
    order = {"control_id": "c1", "account_id": "account-1", "kind": "erase", "issued_by": "test", "issued_at": 1}
    record = (topics.CONTROLS, b"account-1", encode(topics.CONTROLS, order), oracle_headers("c1", "account-1"))
    warning = {"action_id": "w1", "account_id": "account-1", "action": "warn", "in_force": True, "strikes": 1.0}
    warning |= {"cause_topic": topics.LEDGER_INPUTS, "cause_partition": 0, "cause_offset": 0, "settings": "0" * 16}
    done = encode(topics.ACCOUNT_ACTIONS, warning | {"as_of": datetime.now(UTC)})
    pipeline.produce_raw([record, (topics.ACCOUNT_ACTIONS, b"account-1", done, [])])
    pipeline.run_until_drained()
    found = [parse(message.value()).kind for message in pipeline.read(topics.AUDIT)]
    assert found.count(Kind.control) == found.count(Kind.account_action) == 1
    assert decisions(pipeline) == []


def test_a_listed_insult_is_acted_upon(pipeline: Pipeline) -> None:
    """Decisions mean something: an insult is not allowed, praise is; what restricts reaches the ledger."""
    pipeline.produce([*comments(1), next(comments(1, text="you stupid idiot")) | {"event_id": "insult"}])
    pipeline.run_until_drained()
    actions = {each["event_id"]: each["action"] for each in decisions(pipeline)}
    assert actions["event-0"] == "allow"
    assert actions["insult"] != "allow"
    assert len(pipeline.read(topics.LEDGER_INPUTS)) == 1


def test_mistakes_are_one_line(pipeline: Pipeline) -> None:
    """No broker, no topics, a taken port: exit code 2, one line, no traceback."""
    nobody = pipeline.command("worker", config=pipeline.config(kafka={"bootstrap_servers": "127.0.0.1:1"}))
    no_topic = pipeline.command("worker", config=pipeline.config(topics={"content": ["content.never-made"]}))
    unknown = pipeline.command("worker", config=pipeline.config(detectors={"nobody-knows": {}}))
    for done, says in ((nobody, "no Kafka answers"), (no_topic, "no such topic"), (unknown, "nobody-knows")):
        said = [line for line in done.stderr.splitlines() if not is_json(line)]
        assert done.returncode == 2, done.stderr
        assert len(said) == 1, done.stderr
        assert says in said[0]


def is_json(line: str) -> bool:
    """A log line, which may come before the mistake is found."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
