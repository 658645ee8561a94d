"""A long recording is transcribed by a worker of its own: meanwhile comments are decided as ever."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("faster_whisper", reason="needs the extra: pip install 'safestream[audio]'")

from schemas import topics
from tests.fault.avro import decode
from tests.fault.cluster import wait_until
from tests.pipeline import Pipeline, comments
from tests.sounds import attached, encoded, melody, silence, speech

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

PACK = yaml.safe_load("""
name: recordings
thresholds:
  said: {detector: audio, value: 0.5}
  listed: {detector: lexicon, value: 0.8}
rules:
  - {id: said, category: hate, threshold: said, action: remove, reason: Hate is spoken.}
  - {id: listed, category: profanity, threshold: listed, action: label, reason: Strong language.}
detectors:
  audio: {when: {attachment: [audio]}, second_look: true, meanwhile: limit_reach}
hold: {deadline_hours: 1}
""")
ROUND = 20  # comments produced at once, again and again
PATIENCE = 400  # seconds: on a machine that has much else to do


@pytest.fixture
def config(pipeline: Pipeline, tmp_path: Path) -> Path:
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / "pack.yaml").write_text(yaml.safe_dump(PACK))
    return pipeline.config(
        policy={"pack": str(folder)},
        detectors={"lexicon": {}, "audio": {"text": {"device": "cpu"}, "device": "cpu"}},
        detector_process={"deadline_ms": 60_000, "start_seconds": 300},
    )


def message(event_id: str, sound: np.ndarray[Any, Any]) -> dict[str, Any]:
    media = [{"audio": attached(encoded(sound, "opus")).uri}]
    return {**next(comments(1)), "event_id": event_id, "content_id": event_id, "text": None, "media": media}


def podcast() -> np.ndarray[Any, Any]:
    """A minute, with hate at about three quarters of it."""
    talk = np.concatenate((speech("library"), silence(1)))
    return np.concatenate((melody(10), np.tile(talk, 5), speech("vermin"), silence(2), talk))


def decisions(pipeline: Pipeline) -> dict[tuple[str, int], tuple[int, dict[str, Any]]]:
    """(event, sequence) → when the broker had it, milliseconds, and the decision."""
    found = {}
    for each in pipeline.read(topics.DECISIONS):
        decided = decode(each.value(), "decision")
        found[decided["event_id"], decided["sequence"]] = each.timestamp()[1], decided
    return found


def test_comments_are_decided_while_a_recording_is_transcribed(pipeline: Pipeline, config: Path) -> None:
    workers = [pipeline.worker("0", config), pipeline.worker("0", config, "--second-look")]
    pipeline.produce([message("note", speech("library"))], topics.MESSAGES)
    wait_until("the one that looks again has begun", lambda: ("note", 1) in decisions(pipeline), PATIENCE, 1)
    pipeline.produce([message("podcast", podcast())], topics.MESSAGES)
    rounds = 0
    while ("podcast", 1) not in decisions(pipeline):
        rows = [each | {"event_id": f"{rounds}-{n}"} for n, each in enumerate(comments(ROUND))]
        pipeline.produce(rows)
        wanted = {(row["event_id"], 0) for row in rows}
        wait_until("this round is decided", lambda wanted=wanted: wanted <= decisions(pipeline).keys(), PATIENCE, 0.2)
        rounds += 1
    found = decisions(pipeline)
    (begun, first), (ended, second) = found["podcast", 0], found["podcast", 1]
    meanwhile = [event for (event, _), (at, _) in found.items() if begun < at < ended and event != "podcast"]
    assert len(meanwhile) >= ROUND
    assert found["note", 1][1]["action"] == "allow"
    assert (first["action"], first["second_look"]) == ("limit_reach", ["audio"])
    assert (second["action"], second["rule"]) == ("remove", "said")
    ranges = [(e["start_ms"], e["end_ms"]) for e in second["evidence"] if e["category"] == "hate"]
    assert ranges
    assert all(44_000 < start < end < 56_000 for start, end in ranges)
    assert [worker.terminate()[0] for worker in workers] == [0, 0]
