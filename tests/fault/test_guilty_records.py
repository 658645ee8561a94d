"""Records that crash, hang, or bloat a real worker's detectors, or the worker itself: only they pay for it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas import topics
from schemas.leaf_header import Kind, parse
from tests.fault.avro import decode
from tests.fault.cluster import Worker, wait_until
from tests.fault.memory_cgroup import memory_cgroup
from tests.pipeline import Pipeline, comments

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
MARKER = "zanzibarquokka"  # stands in every text, and must not stand in any log line
REASONS = {
    "raise": "raised",
    "segv": "crashed",
    "null-pointer": "crashed",
    "exit": "crashed",
    "memory": "memory",
    "spin": "hung",
    "sleep": "hung",
    "nan": "not_a_number",
    "evidence": "raised",
    "reason": "raised",
}
PACK = {
    "name": "tripwire",
    "thresholds": {
        "some": {"detector": "tripwire", "value": 0.4},
        "much": {"detector": "tripwire", "value": 0.7},
    },
    "rules": [
        {"id": "some", "category": "harassment", "threshold": "some", "action": "label", "reason": "Some."},
        {"id": "much", "category": "harassment", "threshold": "much", "action": "limit_reach", "reason": "Much."},
    ],
    "on_missing": {"tripwire": {"error": "hold", "abstained": "hold"}},
    "hold": {"deadline_hours": 24},
}


@pytest.fixture(autouse=True)
def our_detector_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def guarded(pipeline: Pipeline) -> Iterator[Pipeline]:
    """A pipeline whose workers' log lines are looked through at the end."""
    yield pipeline
    for worker in pipeline.workers:
        said = worker.log.read_text()
        assert MARKER not in said
        assert "account-" not in said


def settings(pipeline: Pipeline, process: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    """Of a worker with the tripwire detector, a pack that reads it, and every log line there is."""
    pack = pipeline.folder / "pack"
    pack.mkdir(exist_ok=True)
    (pack / "pack.yaml").write_text(yaml.safe_dump(PACK))
    return {
        "detectors": {"tripwire": {"factory": "tests.fault.tripwire:build", **options}},
        # every run scores its texts itself
        "detector_process": {"deadline_ms": 1000, "memory_mb": 100, "reuse_entries": 0} | (process or {}),
        "policy": {"pack": str(pack)},
        "log": {"level": "debug"},
    }


def rows(name: str, count: int, guilty: dict[int, str] | None = None, accounts: int = 20) -> list[dict[str, Any]]:
    """Comments with a text each; `guilty` ones come on top, each before the row of its number."""
    made = []
    for number, row in enumerate(comments(count, accounts=accounts)):
        if guilty and number in guilty:
            made.append(_named(row, f"{name}-guilty-{number}", f"{MARKER} TRIP:{guilty[number]}"))
        made.append(_named(row, f"{name}-{number}", f"{MARKER} {number}"))
    return made


def _named(row: dict[str, Any], name: str, text: str) -> dict[str, Any]:
    return row | {"event_id": name, "content_id": name, "text": text}


def decisions(pipeline: Pipeline, name: str) -> dict[str, dict[str, Any]]:
    """Those of `name`'s events, by what follows the name."""
    found = (decode(message.value(), "decision") for message in pipeline.read(topics.DECISIONS))
    return {d["event_id"].removeprefix(f"{name}-"): d for d in found if d["event_id"].startswith(f"{name}-")}


def leaves(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    """The bodies of leaves by their decision's id."""
    found = [message.value() for message in pipeline.read(topics.AUDIT)]
    bodies = [decode(leaf, "leaf")["decision"] for leaf in found if parse(leaf).kind is Kind.decision]
    return {body["decision_id"]: body for body in bodies}


def reasons(pipeline: Pipeline, name: str) -> dict[str, str]:
    """Why a score is missing, for each event of `name` without one."""
    by_id = leaves(pipeline)
    of = {event: by_id[decision["decision_id"]] for event, decision in decisions(pipeline, name).items()}
    assert all((leaf["statuses"] == ["error"]) == (leaf["reasons"] != ["none"]) for leaf in of.values())
    return {event: leaf["reasons"][0] for event, leaf in of.items() if leaf["statuses"] != ["scored"]}


def assert_held(found: dict[str, dict[str, Any]]) -> None:
    """By on_missing: nothing else is known about them."""
    for decision in found.values():
        assert (decision["action"], decision["degraded"]) == ("hold", True)
        assert decision["hold_deadline"] is not None


def assert_neighbours_unharmed(pipeline: Pipeline, name: str, without: str) -> None:
    """Each is decided as in the run `without` guilty records, on the same score."""
    facts = ("action", "rule", "category", "score", "degraded")
    wanted = {event: [d[fact] for fact in facts] for event, d in decisions(pipeline, without).items()}
    found = {event: [d[fact] for fact in facts] for event, d in decisions(pipeline, name).items()}
    assert {event: each for event, each in found.items() if "guilty" not in event} == wanted
    assert len({str(each[0]) for each in wanted.values()}) >= 3, "the neighbours differ"


def test_only_the_guilty_records_pay(guarded: Pipeline) -> None:
    """Raised, crashed, hung, grown, not a number, malformed: error and held; neighbours are decided as without."""
    count = 160
    guilty = {15 * place: how for place, how in enumerate(REASONS)} | {1: "segv", 2: "raise"}
    worker = guarded.worker(**settings(guarded))
    guarded.produce(rows("without", count))
    guarded.wait_drained(60)
    guarded.produce(rows("with", count, guilty))
    guarded.wait_drained(60)
    assert worker.terminate()[0] == 0, worker.tail()
    assert reasons(guarded, "without") == {}
    assert reasons(guarded, "with") == {f"guilty-{place}": REASONS[how] for place, how in guilty.items()}
    assert_held({event: d for event, d in decisions(guarded, "with").items() if "guilty" in event})
    assert_neighbours_unharmed(guarded, "with", "without")
    assert guarded.verdict().anomalies == {}


def test_reasons_identical_texts_and_guilty_attachments(guarded: Pipeline) -> None:
    """What a detector says of a record reaches its leaf; a copy has the first one's score; an address can be guilty."""
    worker = guarded.worker(**settings(guarded, {"reuse_entries": 100}))
    made = rows("all", 60)
    for number, text in enumerate(("SAY:media", "SAY:language", *["a copy"] * 40)):
        made[number]["text"] = f"{MARKER} {text}"
    made[50]["media"] = [{"image": f"https://x.example/{MARKER}/TRIP:segv"}]
    guarded.produce(made)
    guarded.wait_drained(60)
    assert worker.terminate()[0] == 0, worker.tail()
    by_id = leaves(guarded)
    found = {event: by_id[d["decision_id"]] for event, d in decisions(guarded, "all").items()}
    said = {event: (leaf["statuses"][0], leaf["reasons"][0]) for event, leaf in found.items()}
    assert {event: each for event, each in said.items() if each != ("scored", "none")} == {
        "0": ("error", "media"),
        "1": ("abstained", "language"),
        "50": ("error", "crashed"),
    }
    assert len({tuple(found[str(number)]["scores"]) for number in range(2, 42)}) == 1
    assert_held({event: decisions(guarded, "all")[event] for event in ("0", "1", "50")})
    assert guarded.verdict().anomalies == {}


def test_the_kernels_out_of_memory_killer_in_a_real_worker(guarded: Pipeline) -> None:
    """Worker and detectors share a limit that the kernel enforces; our own is out of reach. The worker survives."""
    with memory_cgroup(500 << 20) as group:
        worker = guarded.worker(**settings(guarded, {"deadline_ms": 30_000, "memory_mb": 100_000}))
        group.take(worker.process.pid)
        guarded.produce(rows("all", 40, {20: "memory"}))
        guarded.wait_drained(90)
        kills = group.kills()
        assert worker.terminate()[0] == 0, worker.tail()
        assert reasons(guarded, "all") == {"guilty-20": "memory"}
        assert kills >= 2, "both trials, at least"
    assert guarded.verdict().anomalies == {}


def test_a_device_at_fault_blames_nobody(guarded: Pipeline, tmp_path: Path) -> None:
    """Every forward fails, and the canary: all are error/device, held, whatever their text; later ones are scored."""
    device = tmp_path / "broken"
    worker = guarded.worker(**settings(guarded, broken=str(device)))
    guarded.produce(rows("before", 20))
    guarded.wait_drained()
    device.write_text("raise")
    guarded.produce(rows("broken", 40, {10: "raise", 20: "segv"}))
    guarded.wait_drained()
    device.unlink()
    attempts = recovered(guarded)
    guarded.produce(rows("after", 40, {10: "raise"}))
    guarded.wait_drained()
    assert worker.terminate()[0] == 0, worker.tail()
    assert reasons(guarded, "before") == {}
    blamed = reasons(guarded, "broken")
    assert (len(blamed), set(blamed.values())) == (42, {"device"})
    assert_held(decisions(guarded, "broken"))
    assert reasons(guarded, "after") == {"guilty-10": "raised"}
    assert attempts < 20
    assert guarded.verdict().anomalies == {}


def recovered(pipeline: Pipeline) -> int:
    """Send single records until one is scored: how many it took."""
    for attempt in range(1, 60):
        pipeline.produce(rows(f"probe{attempt}", 1))
        pipeline.wait_drained()
        if not reasons(pipeline, f"probe{attempt}"):
            return attempt
    raise AssertionError("the breaker never closed")


def test_a_record_that_kills_whole_workers_is_given_up_and_nobody_else_is(guarded: Pipeline) -> None:
    """Each worker dies with its detectors; after a few restarts the record is error/attempts, all others are scored."""
    changes = settings(guarded)
    # the same member again: the group need not wait until the broker misses the dead one
    changes["kafka"] = {"properties": {"group.instance.id": f"static-{os.getpid()}"}}
    changes["worker"] = {"batch_size": 8, "batch_window_ms": 20}
    guarded.produce(rows("all", 40, {2: "worker"}, accounts=6))
    deaths = 0
    while not decided_by(guarded.worker(**changes), guarded):
        deaths += 1
        assert deaths <= 6
    assert deaths >= 4, "two before caution, two alone"
    assert reasons(guarded, "all") == {"guilty-2": "attempts"}
    found = decisions(guarded, "all")
    assert len(found) == 41
    assert_held({"guilty-2": found["guilty-2"]})
    leaf = leaves(guarded)[found["guilty-2"]["decision_id"]]
    assert 2 <= leaf["attempts"] <= deaths
    assert guarded.verdict().anomalies == {}


def decided_by(worker: Worker, pipeline: Pipeline) -> bool:
    """Whether a worker decided everything, and left; else it was killed."""

    def over() -> bool:
        if worker.exit_code is None and worker.below():  # asking Kafka is slow, and useless before detectors are there
            return all(each.committed == each.end for each in pipeline.positions().values() if each.end)
        return worker.exit_code is not None

    wait_until("the worker is done, one way or the other", over, 60, 0.1)
    if worker.exit_code is None:
        assert worker.terminate()[0] == 0, worker.tail()
        return True
    assert worker.exit_code == -9, worker.tail()
    worker.killed = True
    return False
