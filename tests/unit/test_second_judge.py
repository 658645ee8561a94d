"""Events of a second look are decided with both looks' scores, whatever the first look was made with."""

import io
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pytest

from enforcement.packs import load_pack
from enforcement.second_judge import SecondJudge
from enforcement.second_look import joined, wanted
from schemas.columns import Earlier, Events, Score, Scores
from schemas.errors import Poison
from schemas.evidence import Evidence
from schemas.statuses import Reason, Status
from stream.second_look import returned
from tests.decided_batches import CLUSTER, DECISION, LEAF, SCHEMAS, events

PACK = """
name: p
thresholds:
  sure: {detector: llm, value: 0.5}
  cheap: {detector: text, model_version: new, value: 0.5}
rules:
  - {id: sure, category: threat, threshold: sure, action: remove, reason: A threat.}
  - {id: cheap, category: hate, threshold: cheap, action: limit_reach, reason: Hate.}
hold: {deadline_hours: 1}
"""


def decode(value: bytes) -> dict[str, Any]:
    body = io.BytesIO(value[5:])
    record: Any = fastavro.schemaless_reader(body, DECISION.parsed, None)
    assert not body.read()
    return record  # type: ignore[no-any-return]


def first(hate: float, version: str = "new", sequence: int = 0) -> Earlier:
    scores = Scores(
        (Score("text", "hate"),),
        ("text",),
        (version,),
        np.array([[hate]], np.float32),
        np.zeros((1, 1), np.uint8),
        np.zeros((1, 1), np.uint8),
        {(0, 0): [Evidence("hate", hate)]},
    )
    return Earlier(sequence, ("llm",), "topic/0/0", scores)


def again(threat: list[float], status: list[Status] | None = None) -> Scores:
    n = len(threat)
    said = np.array([[s] for s in status or [Status.scored] * n], np.uint8)
    reason = np.where(said == Status.error, Reason.remote, Reason.none).astype(np.uint8)
    evidence = {(0, 0): [Evidence("threat", 0.5)]}
    return Scores((Score("llm", "threat"),), ("llm",), ("1",), np.array([threat], np.float32).T, said, reason, evidence)


def batch(*earlier: Earlier) -> Events:
    rows = [{"event_id": f"e{n}", "account_id": "a", "operation": "create"} for n in range(len(earlier))]
    return events(rows, earlier=dict(enumerate(earlier)))


def judge(folder: Path) -> SecondJudge:
    (folder / "pack.yaml").write_text(PACK)
    return SecondJudge(load_pack(folder), CLUSTER, SCHEMAS, lambda _: LEAF)


def test_both_looks_count_and_rows_keep_their_order(tmp_path: Path) -> None:
    """Also where first looks differ in their models' versions, which are decided apart."""
    rows = batch(first(0.9), first(0.1, "old"), first(0.1), first(0.9, "old", sequence=3))
    verdicts = judge(tmp_path).judge(rows, again([0.1, 0.9, 0.2, 0.1]), 0)
    decided = [decode(value) for value in verdicts.decisions]
    assert [d["event_id"] for d in decided] == ["e0", "e1", "e2", "e3"]
    assert [d["action"] for d in decided] == ["limit_reach", "remove", "allow", "limit_reach"]
    assert [d["sequence"] for d in decided] == [1, 1, 1, 4]
    assert [{m["detector"]: m["version"] for m in d["models"]}["text"] for d in decided] == ["new", "old", "new", "old"]
    assert sorted(e["detector"] for e in decided[0]["evidence"]) == ["llm", "text"]
    assert verdicts.second_looks == [None] * 4


def test_a_second_look_that_fails_is_held_by_the_policy_of_missing_scores(tmp_path: Path) -> None:
    verdicts = judge(tmp_path).judge(batch(first(0.1)), again([float("nan")], [Status.error]), 0)
    assert decode(verdicts.decisions[0])["rule"] == "on_missing.llm.error"


def test_a_detector_that_looks_twice_counts_with_what_it_says_now() -> None:
    rows = batch(first(0.9))
    now = Scores(
        (Score("text", "hate"),), ("text",), ("new",), np.array([[0.2]], np.float32), *[np.zeros((1, 1), np.uint8)] * 2
    )
    ((at, whole),) = joined(rows, now)
    assert (at, whole.detectors, whole.probability.tolist()) == ([0], ("text",), [[np.float32(0.2)]])
    assert whole.evidence == {}


def test_only_who_is_waited_for_is_asked() -> None:
    rows = batch(first(0.1), first(0.2))
    assert wanted(rows, ["audio", "llm"]).tolist() == [[False, True], [False, True]]


def test_a_record_whose_columns_do_not_fit_is_poison() -> None:
    fields = {
        "models": [{"detector": "a", "version": "1"}],
        "statuses": [0],
        "reasons": [0],
        "columns": [],
        "scores": [],
    }
    place = {"source_topic": "t", "source_topic_id": bytes(16), "source_partition": 0, "source_offset": 0}
    rest = {"sequence": 0, "detectors": [], "evidence": [], "value": b"", "event_time": 0, "flags": 0}
    good = fields | place | rest
    assert returned(good).earlier.scores.detectors == ("a",)
    for wrong in ({"statuses": []}, {"scores": [0.5]}, {"evidence": [{"detector": "b"}]}):
        with pytest.raises(Poison):
            returned(good | wrong)
