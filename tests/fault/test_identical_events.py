"""Identical events are scored once, in a real detector process, and never at the price of a wrong answer."""

import time
from pathlib import Path

import numpy as np
import pytest

from detectors.interface import DetectorSpec, ProcessSettings
from schemas.attachments import Attachment
from schemas.statuses import Reason, Status
from tests.event_columns import events
from tests.fault.scoring import SETTINGS, Start, collect, score, texts, tripwire
from tests.fault.tripwire import probability


def times_scored(journal: Path, text: str) -> int:
    return journal.read_text(encoding="utf-8").splitlines().count(text)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def test_a_flood_of_one_text_is_scored_once_within_and_across_batches(start: Start, journal: Path):
    client = start(tripwire(journal=str(journal), ms_per_event=1))
    said = ["same", *texts(20), *["same"] * 400]
    for number in range(3):
        client.submit(number, events(said))
    for number in range(3):
        scores = collect(client, number)
        assert (scores.status == Status.scored).all()
        np.testing.assert_array_equal(scores.probability[:, 0], np.array([probability(t) for t in said], np.float32))
        assert scores.reused is not None
        first = np.zeros(len(said), bool)
        if number == 0:
            first[:21] = True
        assert (scores.reused[:, 0] == ~first).all()
    assert times_scored(journal, "same") == times_scored(journal, "text 7") == 1


def test_what_differs_in_language_or_has_an_attachment_is_scored(start: Start, journal: Path):
    image = (Attachment("image", "data:,"),)
    batch = events(["same"] * 5, None, ["", "en", "de", "en", ""], [(), (), (), (), image])
    scores = score(start(tripwire(journal=str(journal))), batch)
    assert scores.reused is not None
    assert scores.reused[:, 0].tolist() == [False, False, False, True, False]
    assert times_scored(journal, "same") == 4


def test_an_answer_is_forgotten_after_its_time(start: Start, journal: Path):
    settings = ProcessSettings(deadline_ms=1000, reuse_seconds=0.3)
    client = start(tripwire(journal=str(journal)), settings=settings)
    assert score(client, events(["same"])).reused is None
    assert score(client, events(["same"])).reused is not None
    time.sleep(0.4)
    assert score(client, events(["same"])).reused is None
    assert times_scored(journal, "same") == 2


@pytest.mark.parametrize("how", ["raise", "segv", "nan", "sleep"])
def test_an_error_is_handed_to_identical_events_that_wait_and_never_to_later_ones(start: Start, how: str):
    client = start()
    guilty = f"TRIP:{how}"
    for number in range(2):
        client.submit(number, events([guilty, "fine", *[guilty] * 200]))
    for number in range(2):
        scores = collect(client, number)
        assert (scores.status[:, 0] == Status.error).tolist() == [True, False, *[True] * 200]
        assert len(set(scores.reason[[0, *range(2, 202)], 0])) == 1
        assert scores.reused is not None
        assert scores.reused[:, 0].tolist() == [number == 1, number == 1, *[True] * 200]
    assert sum(client.counts.convictions.values()) == 1
    assert score(client, events([guilty])).reused is None
    assert sum(client.counts.convictions.values()) == 2


def test_those_that_wait_for_an_answer_go_with_a_discard(start: Start):
    client = start(tripwire(ms_per_event=1))
    client.submit(1, events([*texts(300), *["same"] * 300]))
    client.submit(2, events(["same"] * 300))
    client.discard()
    assert (score(client, events(["same"] * 10)).status == Status.scored).all()


def test_they_are_scored_when_the_process_that_had_the_first_is_killed(start: Start):
    said = ["TRIP:slow same", *texts(50, {25: "segv"}), *["TRIP:slow same"] * 50]
    scores = score(start(settings=ProcessSettings(deadline_ms=5000)), events(said))
    assert np.flatnonzero(scores.status[:, 0]).tolist() == [26]
    assert scores.reason[26, 0] == Reason.crashed


def test_with_a_broken_device_nobody_waits(start: Start, tmp_path: Path):
    device = tmp_path / "broken"
    client = start(tripwire(broken=str(device)))
    device.write_text("raise", encoding="utf-8")
    client.submit(1, events(["same"] * 100))
    client.submit(2, events(["same"] * 100))
    for number in (1, 2):
        assert (collect(client, number).reason == Reason.device).all()


def test_nothing_is_reused_where_it_is_switched_off_or_not_worth_it(start: Start, journal: Path):
    switched_off = ProcessSettings(deadline_ms=1000, reuse_entries=0)
    assert score(start(tripwire(), settings=switched_off), events(["same"] * 9)).reused is None
    assert score(start(DetectorSpec("lexicon"), settings=SETTINGS), events(["same"] * 9)).reused is None
