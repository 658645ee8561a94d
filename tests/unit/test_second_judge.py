"""Events of a second look are decided with both looks' scores, whatever the first look was made with."""

import io
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pytest

from enforcement.ledger.fold import fold
from enforcement.ledger.state import decode as decode_state
from enforcement.packs import load_pack
from enforcement.second_judge import SecondJudge
from enforcement.second_look import joined, wanted
from schemas.columns import Earlier, Events, Score, Scores
from schemas.errors import Poison, UserMistake
from schemas.evidence import Evidence
from schemas.statuses import Reason, Status
from stream.second_look import returned
from tests.decided_batches import CLUSTER, DECISION, LEAF, SCHEMAS, events
from tests.ledger_records import restricted

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


def first(
    hate: float,
    version: str = "new",
    sequence: int = 0,
    wanted: tuple[str, ...] = ("llm",),
    status: Status = Status.scored,
) -> Earlier:
    scores = Scores(
        (Score("text", "hate"),),
        ("text",),
        (version,),
        np.array([[hate]], np.float32),
        np.array([[status]], np.uint8),
        np.zeros((1, 1), np.uint8),
        {(0, 0): [Evidence("hate", hate)]},
    )
    return Earlier(sequence, wanted, "topic/0/0", scores)


def again(threat: list[float], status: list[Status] | None = None) -> Scores:
    n = len(threat)
    said = np.array([[s] for s in status or [Status.scored] * n], np.uint8)
    reason = np.where(said == Status.error, Reason.remote, Reason.none).astype(np.uint8)
    evidence = {(0, 0): [Evidence("threat", 0.5)]}
    return Scores((Score("llm", "threat"),), ("llm",), ("1",), np.array([threat], np.float32).T, said, reason, evidence)


def batch(*earlier: Earlier) -> Events:
    rows = [{"event_id": f"e{n}", "account_id": "a", "operation": "create"} for n in range(len(earlier))]
    return events(rows, earlier=dict(enumerate(earlier)))


def judge(folder: Path, pack: str = PACK) -> SecondJudge:
    (folder / "pack.yaml").write_text(pack)
    return SecondJudge(load_pack(folder), CLUSTER, SCHEMAS, {"llm": "1"}, lambda _: LEAF)


def test_a_threshold_for_another_version_of_what_looks_now_stops_the_start(tmp_path: Path) -> None:
    """One for another version of what looked first does not: that worker has stopped, and its events are on the way."""
    with pytest.raises(UserMistake, match="the threshold 'sure' is for version 2 of the detector 'llm', and 1 runs"):
        judge(tmp_path, PACK.replace("detector: llm", "detector: llm, model_version: '2'"))
    bound = judge(tmp_path, PACK.replace("detector: llm", "detector: llm, model_version: '1'"))
    verdicts = bound.judge(batch(first(0.1, "old"), first(0.9, "old")), again([0.9, 0.1]), 0)
    assert [decode(value)["action"] for value in verdicts.decisions] == ["remove", "limit_reach"]


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


def text_now(*said: float | Status) -> Scores:
    """What the text detector says of each row now: a score, or why it has none."""
    status = np.array([[each if isinstance(each, Status) else Status.scored] for each in said], np.uint8)
    probability = np.array([[np.nan if isinstance(each, Status) else each] for each in said], np.float32)
    return Scores((Score("text", "hate"),), ("text",), ("now",), probability, status, np.zeros_like(status))


def test_a_detector_that_looks_twice_counts_with_what_it_says_now_and_a_score_is_not_lost_for_none() -> None:
    rows = batch(*[first(0.9, wanted=())] * 4)
    (one, replaced), (others, kept) = joined(rows, text_now(0.2, Status.skipped, Status.abstained, Status.error))
    assert (one, replaced.detectors, replaced.versions, replaced.evidence) == ([0], ("text",), ("now",), {})
    assert replaced.probability.tolist() == [[np.float32(0.2)]]
    assert (others, kept.detectors, kept.versions) == ([1, 2, 3], ("text",), ("new",))
    assert kept.probability.tolist() == [[np.float32(0.9)]] * 3
    assert (kept.status == Status.scored).all()
    assert {row for row, _ in kept.evidence} == {0, 1, 2}
    ((_, missing),) = joined(batch(first(float("nan"), wanted=(), status=Status.skipped)), text_now(Status.error))
    assert (missing.versions, missing.status.tolist()) == (("now",), [[Status.error]])


def test_the_ledger_hears_that_a_later_look_allows_what_the_first_restricted(tmp_path: Path) -> None:
    """Its strike would stay. What is allowed at first sight never comes there."""
    verdicts = judge(tmp_path).judge(batch(first(0.9, wanted=())), text_now(0.2), 0)
    [value] = verdicts.ledger_inputs
    assert value is not None
    told: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), SCHEMAS.ledger_input.parsed, None)
    assert (told["action"], told["rule"], told["category"], told["sequence"]) == ("allow", "", None, 1)
    strike = restricted(decision=told["decision_id"], at=0)
    before = fold(None, strike[0], 0, strike[1])
    state = fold(before, strike[0], 1, told | {"event_time": 0, "decided_at": 0})
    assert len(decode_state(before).strikes) == 1
    assert decode_state(state).strikes == ()


def test_what_is_waited_for_and_nobody_has_is_missing(tmp_path: Path) -> None:
    """What the first decision held meanwhile is not let go because its detector was taken out of the configuration."""
    rows = batch(first(0.1, wanted=("llm", "audio")), first(0.1))
    verdicts = judge(tmp_path).judge(rows, again([0.1, 0.1]), 0)
    held, allowed = (decode(value) for value in verdicts.decisions)
    assert (held["action"], held["rule"], held["degraded"]) == ("hold", "on_missing.audio.error", True)
    assert (allowed["action"], allowed["degraded"]) == ("allow", False)


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
