"""Who is asked about what: never less than policy wants, and never less for want of a score."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from enforcement.cascade import Asker, Cascade
from enforcement.conditions import Facts
from enforcement.decide import Policy, decide
from enforcement.located_yaml import Mistakes
from enforcement.packs import Pack, load_pack
from schemas.actions import Action
from schemas.columns import Score, Scores
from schemas.errors import UserMistake
from schemas.statuses import Status
from tests.decided_batches import events

COLUMNS = (Score("text", "hate"), Score("text", "threat"))


def pack(folder: Path, detectors: dict[str, Any]) -> Pack:
    (folder / "pack.yaml").write_text(
        yaml.safe_dump(
            {"name": "p", "thresholds": {}, "rules": [], "hold": {"deadline_hours": 1}, "detectors": detectors}
        )
    )
    return load_pack(folder)


def scores(hate: list[float], status: list[Status] | None = None) -> Scores:
    n = len(hate)
    probability = np.array([[h, 0.0] for h in hate], np.float32)
    said = np.array([[s] for s in status or [Status.scored] * n], np.uint8)
    return Scores(COLUMNS, ("text",), ("1",), probability, said, np.zeros((n, 1), np.uint8))


def facts(n: int, **columns: list[Any]) -> Facts:
    default: dict[str, list[Any]] = {name: [None] * n for name in ("surface", "audience")}
    default |= {"content_type": ["comments"] * n, "operation": ["create"] * n, "attachment": [()] * n}
    return Facts(**default | columns)


def asked(folder: Path, detectors: dict[str, Any], seen: Scores, known: Facts) -> list[bool]:
    asking = list(pack(folder, detectors).file.detectors.values())
    found: list[bool] = Cascade(asking, seen.columns, seen.detectors).asked(known, seen)[:, 0].tolist()
    return found


BAND = {"llm": {"unsure": [{"detector": "text", "category": "hate", "low": 0.2, "high": 0.8}]}}


def test_a_band_includes_its_low_end_and_not_its_high_end(tmp_path: Path) -> None:
    seen = scores([0.19, 0.2, 0.5, 0.79, 0.8, 1.0])
    assert asked(tmp_path, BAND, seen, facts(6)) == [False, True, True, True, False, False]


def test_without_a_score_the_expensive_one_is_asked_but_not_where_there_was_nothing_to_read(tmp_path: Path) -> None:
    nan = float("nan")
    status = [Status.error, Status.abstained, Status.skipped]
    assert asked(tmp_path, BAND, scores([nan] * 3, status), facts(3)) == [True, True, False]


def test_a_band_about_a_detector_that_does_not_run_asks_always(tmp_path: Path) -> None:
    elsewhere = {"llm": {"unsure": [{"detector": "other", "category": "hate", "low": 0.2, "high": 0.8}]}}
    assert asked(tmp_path, elsewhere, scores([0.0, 1.0]), facts(2)) == [True, True]


def test_conditions_and_bands_must_both_hold_and_a_deletion_asks_nobody(tmp_path: Path) -> None:
    both = {"llm": BAND["llm"] | {"when": {"content_type": ["messages"]}}}
    known = facts(3, content_type=["messages", "comments", "messages"], operation=["create", "create", "delete"])
    assert asked(tmp_path, both, scores([0.5] * 3), known) == [True, False, False]


def test_a_detector_of_recordings_is_asked_about_recordings_only(tmp_path: Path) -> None:
    audio = {"audio": {"when": {"attachment": ["audio", "video"]}}}
    known = facts(4, attachment=[(), ("audio",), ("image",), ("image", "video")])
    assert asked(tmp_path, audio, scores([0.5] * 4), known) == [False, True, False, True]


def test_an_odd_event_is_asked_about_and_its_neighbours_as_ever(tmp_path: Path) -> None:
    """A user's own schema may put a number where a condition asks for a string; no rule need ask for it and hold it."""
    asker = Asker(pack(tmp_path, {"llm": {"when": {"surface": ["live"]}}}), ["llm"])
    row = {"event_id": "e", "account_id": "a", "operation": "create"}
    odd = row | {"surface": 7}
    batch = events([row | {"surface": "live"}, odd, row | {"surface": "feed"}, odd | {"operation": "delete"}])
    assert asker(batch, scores([0.5] * 4))[:, 0].tolist() == [True, True, False, False]


def test_what_is_asked_elsewhere_is_provisional_and_at_least_as_strict_as_meanwhile(tmp_path: Path) -> None:
    said = {"llm": BAND["llm"] | {"second_look": True, "meanwhile": "hold"}}
    policy = Policy(pack(tmp_path, said), COLUMNS, ("text",), ("1",))
    decided = decide(policy, facts(2), scores([0.5, 0.9]), 0)
    assert policy.second_look == ("llm",)
    assert decided.later[:, 0].tolist() == [True, False]
    outcomes = [policy.outcomes[i] for i in decided.outcome]
    assert [(o.action, o.rule) for o in outcomes] == [(Action.hold, "second_look.llm"), (Action.allow, None)]
    assert decided.deadline_ms[0] == 3_600_000


def test_a_band_about_what_is_asked_at_the_same_time_is_refused(tmp_path: Path) -> None:
    """It would never hold: what has not been asked yet says nothing. Nor may a detector wait for itself."""
    for text in ({}, {"when": {"surface": ["live"]}}):
        with pytest.raises(Mistakes, match="'text' is asked at the same time as 'llm'"):
            pack(tmp_path, BAND | {"text": text})
    with pytest.raises(Mistakes, match="'text' is asked at the same time as 'text'"):
        pack(tmp_path, {"text": BAND["llm"]})
    pack(tmp_path, {"llm": BAND["llm"] | {"second_look": True}, "text": {"when": {"surface": ["live"]}}})
    pack(tmp_path, BAND | {"text": {"second_look": True}})  # asked always: see above


def test_who_has_the_detector_does_not_send_for_it(tmp_path: Path) -> None:
    policy = Policy(pack(tmp_path, {"text": {"second_look": True}}), COLUMNS, ("text",), ("1",))
    assert policy.second_look == ()


def test_a_band_belongs_to_one_version_of_a_model(tmp_path: Path) -> None:
    bound = {
        "llm": {"unsure": [{"detector": "text", "category": "hate", "low": 0.1, "high": 0.2, "model_version": "2"}]}
    }
    loaded = pack(tmp_path, bound)
    with pytest.raises(UserMistake, match="a band in which 'llm' is asked is for version 2"):
        Policy(loaded, COLUMNS, ("text",), ("1",))
    Policy(loaded.unbound(), COLUMNS, ("text",), ("1",))


@pytest.mark.parametrize(
    ("detectors", "said"),
    [
        ({"llm": {"unsure": [{"detector": "text", "category": "hate", "low": 0.8, "high": 0.2}]}}, "not under high"),
        ({"llm": {"unsure": [{"detector": "text", "category": "rude", "low": 0.1, "high": 0.2}]}}, "category"),
        ({"llm": {"meanwhile": "explode"}}, "no such action"),
        ({"llm": {"wen": {}}}, "wen"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, detectors: dict[str, Any], said: str) -> None:
    with pytest.raises(Mistakes, match=said) as raised:
        pack(tmp_path, detectors)
    assert "pack.yaml:" in str(raised.value)
