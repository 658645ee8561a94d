"""Whatever the order of answers, errors and batches: everybody gets an answer, and only ever that of its like."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.interface import Answer, Description
from detectors.runtime.guilt import GUILTY
from detectors.runtime.outstanding import Batch, Columns, Rows
from detectors.runtime.reuse import MOST_CHARACTERS, Reuse, Window
from schemas.statuses import Reason, Status
from tests.event_columns import events

DETECTOR = Description("d", "1", ("hate",), ("text",), None, 1.0)
COLUMNS = Columns((DETECTOR,))
LETTERS = "abcdef"


def batch(texts: list[str]) -> Batch:
    return Batch(0, events(texts), COLUMNS, 3)


def answer(texts: list[str]) -> Answer:
    return Answer.scored(np.array([[ord(text[0]) / 200] for text in texts]))


@given(
    batches=st.lists(st.text(LETTERS, min_size=1, max_size=12), min_size=1, max_size=5),
    entries=st.integers(1, 8),
    choice=st.randoms(),
    failing=st.sets(st.sampled_from(LETTERS)),
)
@settings(deadline=None)
def test_every_row_gets_the_answer_that_its_text_gets_alone(
    batches: list[str], entries: int, choice: random.Random, failing: set[str]
):
    reuse = Reuse([Window(1, entries, 60.0)])
    waiting: list[tuple[Batch, int]] = []
    made: list[Batch] = []

    def send(one: Batch, rows: Rows | None):
        waiting.extend((one, row) for row in reuse.sift(one, 0, one.unsettled(0, rows)).tolist())

    for letters in batches:
        one = batch(list(letters))
        one.on_settled = reuse.settled
        made.append(one)
        send(one, None)
        while waiting and (choice.random() < 0.5 or (one is made[-1] and len(made) == len(batches))):
            source, row = waiting.pop(choice.randrange(len(waiting)))
            text = source.items.texts[row]
            if text in failing:
                source.fail(0, np.array([row]), Reason.crashed)
            else:
                source.score(0, np.array([row]), answer([text]), np.ones(1, bool))
            for released, _, rows in reuse.released():
                send(released, rows)
    for one in made:
        assert one.done
        scores, texts = one.scores(), one.items.texts
        assert (scores.status[:, 0] == Status.error).tolist() == [text in failing for text in texts]
        good = scores.status[:, 0] == Status.scored
        np.testing.assert_array_equal(scores.probability[good], answer(list(texts)).probability[good])


def test_a_window_holds_no_more_than_it_may_and_nothing_that_is_too_old():
    window = Window(1, 10, 60.0)
    for start in range(0, 100, 5):
        texts = [f"{chr(97 + i % 26)}{i}" for i in range(start, start + 5)]
        one = batch(texts)
        one.score(0, np.arange(5), answer(texts), np.ones(5, bool))
        window.keep(texts, one, 0, np.arange(5), float(start))
        assert min(window.find(texts, float(start))) >= 0
    everything = [f"{chr(97 + i % 26)}{i}" for i in range(100)]
    assert sum(place >= 0 for place in window.find(everything, 96.0)) <= 10
    assert max(window.find(everything, 95 + 61.0)) == -1


def test_a_window_holds_bounded_text():
    window = Window(1, 10_000, 60.0)
    for number in range(8):
        texts = [chr(97 + number) * (MOST_CHARACTERS // 3)]
        one = batch(texts)
        one.score(0, np.arange(1), answer(texts), np.ones(1, bool))
        window.keep(texts, one, 0, np.arange(1), 0.0)
    kept = [n for n in range(8) if window.find([chr(97 + n) * (MOST_CHARACTERS // 3)], 0.0)[0] >= 0]
    assert kept == [4, 5, 6, 7]


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.none])
def test_only_an_error_of_the_events_own_is_handed_on_and_only_to_those_that_wait(reason: Reason):
    reuse = Reuse([Window(1, 10, 60.0)])
    first, waits, later = batch(["same"]), batch(["same"] * 3), batch(["same"])
    for one in (first, waits, later):
        one.on_settled = reuse.settled
    reuse.sift(first, 0, first.unsettled(0))
    assert not len(reuse.sift(waits, 0, waits.unsettled(0)))
    first.fail(0, np.array([0]), reason)
    assert waits.done is (reason in GUILTY)
    assert len(reuse.released()) == (0 if waits.done else 3)
    assert waits.scores().reason[:, 0].tolist() == [reason if waits.done else Reason.none] * 3
    assert len(reuse.sift(later, 0, later.unsettled(0))) == 1


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        (Reason.none, True),
        (Reason.language, True),
        (Reason.unsure, True),
        (Reason.remote, False),
        (Reason.media, False),
    ],
)
def test_an_abstention_is_kept_if_the_event_itself_led_to_it(reason: Reason, kept: bool):
    reuse = Reuse([Window(1, 10, 60.0)])
    first, second = batch(["same"]), batch(["same"])
    for one in (first, second):
        one.on_settled = reuse.settled
    reuse.sift(first, 0, first.unsettled(0))
    said = Answer(np.full((1, 1), np.nan, np.float32), np.array([Status.abstained]), np.array([reason]))
    first.score(0, np.array([0]), said, np.ones(1, bool))
    assert len(reuse.sift(second, 0, second.unsettled(0))) == (0 if kept else 1)
    assert second.done is kept
