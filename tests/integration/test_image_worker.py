"""An insult drawn into a picture, through a real worker: decided by what the picture says; a bad file is held alone."""

import base64
from typing import Any

import pytest

from schemas import topics
from tests.drawn import attached, png, saved, words
from tests.fault.avro import decode
from tests.pipeline import Pipeline, comments

pytestmark = pytest.mark.integration


def test_pictures_are_decided_by_what_they_say(pipeline: Pipeline) -> None:
    insult, greeting = saved(words("you stupid filthy bitch")), saved(words("good morning everyone"))
    bomb = png(50_000, 50_000, bytes(1000))
    rows: list[dict[str, Any]] = list(comments(3, text="look at this"))
    for row, data in zip(rows, (insult, greeting, bomb), strict=True):
        row["media"] = [{"image": attached(data).uri, "audio": None, "video": None, "sha256": None, "alt_text": None}]
    pipeline.produce(rows)
    pipeline.run_until_drained(240, detectors={"image": {}}, detector_process={"start_seconds": 300})
    decided = [decode(message.value(), "decision") for message in pipeline.read(topics.DECISIONS)]
    found = {each["event_id"]: each for each in decided}
    assert found["event-0"]["rule"] == "harassment-in-a-picture"
    assert found["event-1"]["action"] == "allow"
    assert found["event-2"]["action"] == "hold"
    assert base64.b64encode(insult)[:40].decode() not in str(decided)
