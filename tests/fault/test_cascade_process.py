"""The cascade through real processes: who is asked, in which order, and what happens when somebody fails."""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.runtime.client import DetectorClient
from schemas.columns import Events, Scores
from schemas.errors import UserMistake
from schemas.statuses import Reason, Status
from tests.event_columns import events
from tests.fault.scoring import Start, collect, score, texts, tripwire, wait_until, zygote
from tests.fault.tripwire import probability


def likely(said: Events, scores: Scores) -> NDArray[np.bool_]:
    """The dear detector gets what the cheap one gives at least a half."""
    assert len(said) == len(scores)
    assert (scores.status[:, 1] == Status.skipped).all()  # nothing is known of it yet
    wanted: NDArray[np.bool_] = scores.probability[:, :1] >= 0.5
    return wanted


@pytest.fixture
def cascade(start: Start, tmp_path: Path) -> DetectorClient:
    dear = tripwire(name="dear", journal=str(tmp_path / "journal"))
    return start(tripwire(), dear, ask=likely, later=["dear"])


def asked(said: list[str]) -> list[bool]:
    return [probability(text) >= 0.5 for text in said]


def test_the_dear_detector_gets_what_is_asked_and_the_rest_is_skipped(cascade: DetectorClient, tmp_path: Path):
    for number in range(3):
        cascade.submit(number, events([f"{number} {text}" for text in texts(200)]))
    for number in range(3):
        said = [f"{number} {text}" for text in texts(200)]
        scores = collect(cascade, number)
        assert (scores.status[:, 0] == Status.scored).all()
        assert (scores.status[:, 1] == Status.scored).tolist() == asked(said)
        assert (scores.status[:, 1] == Status.skipped).tolist() == [not wanted for wanted in asked(said)]
        assert np.isnan(scores.probability[scores.status[:, 1] == Status.skipped, 2:]).all()
    heard = (tmp_path / "journal").read_text(encoding="utf-8").splitlines()
    assert {text for text in heard if text.startswith("0 ")} <= {t for t in heard if probability(t) >= 0.5}


def test_a_batch_of_which_nothing_is_asked_and_an_empty_one_come_back(cascade: DetectorClient):
    boring = next(text for text in texts(99) if probability(text) < 0.5)
    assert score(cascade, events([boring])).status.tolist() == [[Status.scored, Status.skipped]]
    assert len(score(cascade, events([]))) == 0


def test_a_record_that_fails_the_cheap_one_has_no_score_to_ask_by(cascade: DetectorClient):
    said = [*texts(30), "TRIP:segv", ""]
    scores = score(cascade, events(said))
    assert (Reason(scores.reason[30, 0]), scores.status[30, 1]) == (Reason.crashed, Status.skipped)
    assert scores.status[31].tolist() == [Status.skipped, Status.skipped]


def test_a_record_that_fails_the_dear_one_is_its_error_alone(start: Start):
    client = start(tripwire(), tripwire(name="dear"), ask=lambda said, _: np.ones((len(said), 1), bool), later=["dear"])
    scores = score(client, events(texts(40, {7: "nan"})))
    assert np.flatnonzero(scores.status[:, 1]).tolist() == [7]


def test_a_broken_dear_device_fails_what_is_asked_only(start: Start, tmp_path: Path):
    device = tmp_path / "broken"
    client = start(tripwire(), tripwire(name="dear", broken=str(device)), ask=likely, later=["dear"])
    device.write_text("raise", encoding="utf-8")
    said = texts(60)
    for _ in range(2):  # the breaker opens under way, and is open from the start
        scores = score(client, events(said))
        assert (scores.reason[:, 1] == Reason.device).tolist() == asked(said)
        assert (scores.status[:, 0] == Status.scored).all()


@pytest.mark.parametrize("later", [["dear"], ["tripwire", "dear"]], ids=["cascade", "second look"])
def test_while_the_detectors_can_not_be_loaded_again_every_batch_comes_back(
    start: Start, tmp_path: Path, later: list[str]
):
    loading = tmp_path / "loading"

    def everybody(said: Events, _: Scores) -> NDArray[np.bool_]:
        return np.ones((len(said), len(later)), bool)

    client = start(tripwire(), tripwire(name="dear", loading=str(loading)), ask=everybody, later=later)
    loading.write_text("raise", encoding="utf-8")
    zygote(os.getpid()).kill()
    wait_until(lambda: not client.healthy, 5)
    for number in range(2):  # under way when the breakers open, and after
        client.submit(number, events(texts(20)))
        assert (collect(client, number, 20).reason == Reason.device).all()


def test_who_can_not_say_whom_to_ask_asks_everybody(start: Start):
    def fails(_: Events, __: Scores) -> NDArray[np.bool_]:
        raise ValueError("no answer")

    client = start(tripwire(), tripwire(name="dear"), ask=fails, later=["dear"])
    assert (score(client, events(texts(5))).status == Status.scored).all()


def test_all_detectors_may_be_asked_about_first(start: Start):
    client = start(tripwire(), ask=lambda said, _: np.arange(len(said))[:, None] % 2 == 0, later=["tripwire"])
    scores = score(client, events(texts(6)))
    assert scores.status[:, 0].tolist() == [Status.scored, Status.skipped] * 3


def test_a_detector_that_policy_asks_for_and_nobody_configured_is_told_at_the_start(start: Start):
    with pytest.raises(UserMistake, match="not configured: dear"):
        start(tripwire(), ask=likely, later=["dear"])
