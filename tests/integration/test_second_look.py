"""What a slow detector must still see: decided provisionally at once, and again when it has looked, exactly once."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas import topics
from tests.fault.avro import decode
from tests.fault.cluster import Worker, wait_until
from tests.fault.tripwire import probability
from tests.pipeline import Pipeline, comments

pytestmark = pytest.mark.integration

THRESHOLD = 0.5
PACK = yaml.safe_load("""
name: second-look
thresholds:
  sure: {detector: tripwire, value: 0.5}
  listed: {detector: lexicon, value: 0.8}
rules:
  - {id: sure, category: harassment, threshold: sure, action: remove, reason: It attacks somebody.}
  - {id: listed, category: profanity, threshold: listed, action: label, reason: Strong language.}
detectors:
  tripwire: {when: {surface: [live_chat]}, second_look: true, meanwhile: limit_reach}
on_missing:
  tripwire: {error: hold}
hold: {deadline_hours: 1}
""")
PLAIN, ASKED = 40, 60  # events that need no second look, and that do


@pytest.fixture
def config(pipeline: Pipeline, tmp_path: Path) -> Path:
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / "pack.yaml").write_text(yaml.safe_dump(PACK))
    return pipeline.config(
        policy={"pack": str(folder)},
        detectors={"lexicon": {}, "tripwire": {"factory": "tests.fault.tripwire:build", "ms_per_event": 20}},
        worker={"batch_size": 20},
    )


def rows() -> list[dict[str, Any]]:
    """Plain comments, and chat of which each text has a score of its own; one trips the detector."""
    plain = [each | {"event_id": f"plain-{n}"} for n, each in enumerate(comments(PLAIN))]
    chat = [
        each | {"event_id": f"chat-{n}", "surface": "live_chat", "text": f"line {n}"}
        for n, each in enumerate(comments(ASKED))
    ]
    chat[7]["text"] = "TRIP:raise "
    return plain + chat


def decisions(pipeline: Pipeline) -> dict[str, list[dict[str, Any]]]:
    """Decisions by event, by sequence."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for message in pipeline.read(topics.DECISIONS):
        decided = decode(message.value(), "decision")
        found[decided["event_id"]].append(decided)
    return {event: sorted(each, key=lambda d: d["sequence"]) for event, each in found.items()}


def looked_at(pipeline: Pipeline) -> bool:
    """Whether everything has been looked at again. (The topic ends in a transaction's marker, not in a record.)"""
    return sum(len(each) - 1 for each in decisions(pipeline).values()) >= ASKED


def look_again(pipeline: Pipeline, config: Path, slot: str = "0") -> Worker:
    return pipeline.worker(slot, config, "--second-look")


def check(pipeline: Pipeline) -> None:
    """Each event has what it must have, and nothing twice."""
    found = decisions(pipeline)
    assert len(found) == PLAIN + ASKED
    for row in rows():
        decided = found[row["event_id"]]
        if row.get("surface") != "live_chat":
            assert [(d["action"], d["sequence"], d["second_look"]) for d in decided] == [("allow", 0, [])]
            continue
        first, second = decided
        assert (first["decision_id"], first["source_topic"]) == (second["decision_id"], topics.COMMENTS)
        assert (first["action"], first["rule"]) == ("limit_reach", "second_look.tripwire")
        assert (first["sequence"], first["second_look"], second["sequence"], second["second_look"]) == (
            0, ["tripwire"], 1, [])  # fmt: skip
        assert {m["detector"] for m in second["models"]} == {"lexicon", "tripwire"}
        if "TRIP" in row["text"]:
            assert (second["action"], second["rule"]) == ("hold", "on_missing.tripwire.error")
        else:
            assert second["action"] == ("remove" if probability(row["text"]) >= THRESHOLD else "allow"), row


def prove(pipeline: Pipeline, config: Path) -> None:
    """The audit verifies, chains of the second look included, against a census of all inputs."""
    statement, key = pipeline.folder / "census.json", pipeline.folder / "census.pem"
    made = pipeline.command("audit", "census", "--new-key", str(key), "--out", str(statement), config=config)
    assert made.returncode == 0, made.stderr
    proof = ("--census", str(statement), "--public-key", f"{key}.pub", "--json")
    verified = pipeline.command("audit", "verify", *proof, config=config)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    leaves = [decode(m.value(), "leaf")["decision"] for m in pipeline.read(topics.AUDIT)]
    again = [leaf for leaf in leaves if leaf and leaf["follows"]]
    assert len(again) == ASKED
    assert {leaf["sequence"] for leaf in again} == {1}
    assert json.loads(verified.stdout)


def test_a_second_look_decides_again_under_the_same_id(pipeline: Pipeline, config: Path) -> None:
    """Those that need no second look are decided for good, whether or not anybody looks."""
    pipeline.produce(rows())
    first = pipeline.worker("0", config)
    pipeline.wait_drained()
    assert all(len(each) == 1 for each in decisions(pipeline).values())  # and nobody has looked yet
    second = look_again(pipeline, config)
    wait_until("everything has been looked at", lambda: looked_at(pipeline), 60)
    assert first.terminate()[0] == second.terminate()[0] == 0
    check(pipeline)
    prove(pipeline, config)


def test_a_killed_second_look_is_made_once(pipeline: Pipeline, config: Path) -> None:
    """Kill -9 in the middle: what was committed stays, the rest is looked at by the next, and nothing twice."""
    pipeline.produce(rows())
    pipeline.worker("0", config)
    victim = look_again(pipeline, config)
    wait_until("some have been looked at", lambda: any(len(d) > 1 for d in decisions(pipeline).values()), 60)
    victim.kill()
    victim.killed = True
    pipeline.wait_drained()
    look_again(pipeline, config)
    wait_until("everything has been looked at", lambda: looked_at(pipeline), 60)
    check(pipeline)
    prove(pipeline, config)


def test_a_second_look_without_anything_to_look_with_says_so(pipeline: Pipeline, config: Path, tmp_path: Path) -> None:
    """A pack that sends nobody to look again, and a configuration that lacks the detector: one line, exit code 2."""
    nobody = tmp_path / "nobody"
    nobody.mkdir()
    (nobody / "pack.yaml").write_text(yaml.safe_dump({key: PACK[key] for key in PACK if key != "detectors"}))
    for changes, said in (
        ({"policy": {"pack": str(nobody)}}, "no detector has `second_look: true`"),
        ({"policy": {"pack": str(tmp_path / "pack")}, "detectors": {"lexicon": {}}}, "'tripwire' is to look again"),
    ):
        refused = pipeline.command("worker", "--second-look", config=pipeline.config(**changes))
        assert refused.returncode == 2
        assert said in refused.stderr
        assert "Traceback" not in refused.stderr
