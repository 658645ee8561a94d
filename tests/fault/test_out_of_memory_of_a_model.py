"""A real model runs out of memory in a real worker: it takes less at once, everything is scored, nobody is held."""

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from schemas import topics
from schemas.leaf_header import Kind, parse
from tests.fault.avro import decode
from tests.pipeline import Pipeline, comments

pytestmark = pytest.mark.integration

ROOT: Final = Path(__file__).parents[2]
SHORT, LONG = 150, 3  # comments of everyday length; long ones, of which one alone is too much for a forward
BUDGET: Final = 2048
PACK = {
    "name": "short-of-memory",
    "thresholds": {"much": {"detector": "text", "value": 0.5}},
    "rules": [{"id": "much", "category": "harassment", "threshold": "much", "action": "label", "reason": "Rude."}],
    "on_missing": {"text": {"error": "hold", "abstained": "hold"}},
    "hold": {"deadline_hours": 24},
}
WORDS: Final = (
    "i you we they the a this that song video game match cook garden train river cat saw made liked found again never "
    "always really today tomorrow because when so and but with for about great boring loud quiet cheap late lovely"
)


@pytest.fixture(autouse=True)
def our_detector_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def rows() -> Iterator[dict[str, Any]]:
    """Comments of which no two are alike, the long ones spread evenly."""
    rng = random.Random(7)
    for number, row in enumerate(comments(SHORT + LONG)):
        long = number % (SHORT // LONG) == SHORT // LONG // 2
        yield row | {"text": " ".join(rng.choices(WORDS.split(), k=1500 if long else rng.randint(3, 40)))}


def settings(pipeline: Pipeline) -> dict[str, Any]:
    """A worker whose text detector has too little room, and a pack that holds what has no score."""
    pack = pipeline.folder / "pack"
    pack.mkdir()
    (pack / "pack.yaml").write_text(yaml.safe_dump(PACK))
    return {
        "detectors": {"text": {"factory": "tests.fault.short_of_memory:build", "token_budget": BUDGET}},
        "detector_process": {"deadline_ms": 60_000, "start_seconds": 300},
        "policy": {"pack": str(pack)},
    }


def values(pipeline: Pipeline, topic: str) -> list[bytes]:
    """Every committed record's value."""
    return [message.value() or b"" for message in pipeline.read(topic)]


def test_out_of_memory_of_a_model_in_a_real_worker(pipeline: Pipeline) -> None:
    """Every event is decided once, on a score; what was too much is not tried again and again."""
    made = list(rows())
    pipeline.produce(made)
    worker = pipeline.worker(**settings(pipeline))
    pipeline.wait_drained(400)
    assert worker.terminate()[0] == 0, worker.tail()
    decided = [decode(value, "decision") for value in values(pipeline, topics.DECISIONS)]
    assert sorted(each["event_id"] for each in decided) == sorted(each["event_id"] for each in made)
    assert {each["action"] for each in decided} <= {"allow", "label"}
    assert not any(each["degraded"] for each in decided)
    leaves = values(pipeline, topics.AUDIT)
    bodies = [decode(leaf, "leaf")["decision"] for leaf in leaves if parse(leaf).kind is Kind.decision]
    assert len(bodies) == len(made)
    assert all(body["statuses"] == ["scored"] and all(0 < score < 1 for score in body["scores"]) for body in bodies)
    assert not pipeline.read(topics.DEAD_LETTERS)
    halved = re.findall(r"out of memory: (\d+) tokens were too many for one forward, now (\d+)", worker.log.read_text())
    assert halved, "there was room enough, so nothing was shown"
    assert len(halved) <= 3, "a smaller budget is remembered"
    assert pipeline.verdict().anomalies == {}
