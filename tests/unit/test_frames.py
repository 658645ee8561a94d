"""What travels between worker and scoring process comes out as it went in, however the stream cuts it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import frames
from detectors.frames import BadAnswer, Kind, Splitter
from schemas.statuses import Reason

ANY_TEXT = st.text(st.characters(), max_size=30)  # surrogates as well


def one(data: bytes) -> frames.Frame:
    (frame,) = Splitter().feed(data)
    return frame


@given(texts=st.lists(ANY_TEXT, max_size=20), detector=st.integers(0, 255), task=st.integers(0, 2**43))
def test_texts_come_out_as_they_went_in(texts: list[str], detector: int, task: int):
    frame = one(frames.encode_texts(detector, task, texts))
    assert (frame.kind, frame.detector, frame.rows, frame.task) == (Kind.score, detector, len(texts), task)
    assert frames.decode_texts(frame) == texts


@given(rows=st.integers(0, 20), categories=st.integers(0, 5), seed=st.integers(0, 100))
def test_scores_come_out_as_they_went_in(rows: int, categories: int, seed: int):
    random = np.random.default_rng(seed)
    probability = random.random((rows, categories), np.float32)
    probability[probability > 0.9] = np.nan
    status = random.integers(0, 4, rows, np.uint8)
    request = one(frames.pack(Kind.score, 3, rows, 99))
    answer = one(frames.encode_scores(request, categories, probability, status, 0.25, 7))
    assert (answer.detector, answer.rows, answer.task) == (3, rows, 99)
    out, statuses, seconds, step = frames.decode_scores(answer, categories)
    np.testing.assert_array_equal(out, probability)
    np.testing.assert_array_equal(statuses, status)
    assert (seconds, step) == (0.25, 7)


@pytest.mark.parametrize("hint", [None, 0, 41])
def test_a_fault_comes_out_as_it_went_in(hint: int | None):
    request = one(frames.pack(Kind.score, 1, 50, 5))
    sent = frames.encode_raised(request, Reason.memory, -1 if hint is None else hint, "MemoryError at text.py:12")
    assert frames.decode_raised(one(sent)) == (Reason.memory, hint, "MemoryError at text.py:12")


@given(cuts=st.lists(st.integers(1, 40), max_size=30))
def test_frames_are_found_wherever_the_stream_is_cut(cuts: list[int]):
    stream = b"".join(frames.encode_texts(0, number, ["text"] * number) for number in range(6))
    splitter, found, at = Splitter(), [], 0
    for size in [*cuts, len(stream)]:
        found += splitter.feed(stream[at : at + size])
        at += size
    assert [frame.task for frame in found] == list(range(6))
    assert [frame.rows for frame in found] == list(range(6))


@pytest.mark.parametrize(("shape", "statuses"), [((3, 2), 4), ((4, 3), 4), ((4,), 4), ((4, 2), 3)])
def test_an_answer_of_the_wrong_shape_is_the_detectors_fault(shape: tuple[int, ...], statuses: int):
    request = one(frames.pack(Kind.score, 0, 4, 1))
    with pytest.raises(BadAnswer, match="4 texts, 2 categories"):
        frames.encode_scores(request, 2, np.zeros(shape, np.float32), np.zeros(statuses, np.uint8), 0.0, 1)
