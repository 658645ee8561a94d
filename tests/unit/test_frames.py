"""What travels between worker and scoring process comes out as it went in, however the stream cuts it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.interface import Answer
from detectors.items import Attachment, Items
from detectors.runtime import frames
from detectors.runtime.frames import BadAnswer, Kind, Splitter
from schemas.ages import WIDTH, unknown
from schemas.evidence import Evidence
from schemas.statuses import Reason, Status

ANY_TEXT = st.text(st.characters(), max_size=30)  # surrogates as well


def one(data: bytes) -> frames.Frame:
    (frame,) = Splitter().feed(data)
    return frame


ATTACHMENT = st.builds(
    Attachment,
    st.sampled_from(["image", "audio", "video"]),
    ANY_TEXT,
    st.none() | st.binary(min_size=32, max_size=32),
)
ROW = st.tuples(ANY_TEXT, st.sampled_from(["", "en", "pt-BR"]) | ANY_TEXT, st.lists(ATTACHMENT, max_size=3))
ANSWERED = np.array([Status.scored, Status.abstained, Status.error], np.uint8)
EVIDENCE = st.builds(
    Evidence,
    st.text(max_size=8),
    st.floats(0, 1),
    attachment=st.none() | st.integers(0, 9),
    box=st.none() | st.tuples(*[st.integers(0, 9999)] * 4),
    start_ms=st.none() | st.integers(0, 10**7),
    bank=st.none() | st.text(max_size=5),
)


@given(rows=st.lists(ROW, max_size=20), detector=st.integers(0, 255), task=st.integers(0, 2**43))
def test_items_come_out_as_they_went_in(rows: list[tuple[str, str, list[Attachment]]], detector: int, task: int):
    texts, languages, attachments = ([row[column] for row in rows] for column in range(3))
    frame = one(frames.encode_items(detector, task, Items(texts, languages, attachments)))
    assert (frame.kind, frame.detector, frame.rows, frame.task) == (Kind.score, detector, len(rows), task)
    out = frames.decode_items(frame)
    assert (list(out.texts), list(out.languages)) == (texts, languages)
    assert [list(found) for found in out.attachments] == attachments


@given(rows=st.integers(1, 20), categories=st.integers(0, 5), seed=st.integers(0, 100), evidence=st.lists(EVIDENCE))
def test_an_answer_comes_out_as_it_went_in(rows: int, categories: int, seed: int, evidence: list[Evidence]):
    random = np.random.default_rng(seed)
    numbers = random.random((rows, categories or WIDTH), np.float32)  # without categories it estimates age
    numbers[numbers > 0.9] = np.nan
    status, reason = random.choice(ANSWERED, rows), random.integers(0, 12, rows, np.uint8)
    request = one(frames.pack(Kind.score, 3, rows, 99))
    said = {rows - 1: evidence} if evidence else {}
    whole = Answer.of(numbers, categories, status, reason, said)
    sent = one(frames.encode_answer(request, categories, whole, 0.25, 7))
    assert (sent.detector, sent.rows, sent.task) == (3, rows, 99)
    answer, timing = frames.decode_answer(sent, categories)
    np.testing.assert_array_equal(answer.numbers, numbers)
    assert answer.probability.shape == (rows, categories)
    np.testing.assert_array_equal(answer.status, status)
    np.testing.assert_array_equal(answer.reason, reason)
    assert {row: list(found) for row, found in answer.evidence.items()} == said
    assert (timing.seconds, timing.step) == (0.25, 7)


@pytest.mark.parametrize("hint", [None, 0, 41])
def test_a_fault_comes_out_as_it_went_in(hint: int | None):
    request = one(frames.pack(Kind.score, 1, 50, 5))
    sent = frames.encode_raised(request, Reason.memory, -1 if hint is None else hint, "MemoryError at text.py:12")
    assert frames.decode_raised(one(sent)) == (Reason.memory, hint, "MemoryError at text.py:12")


@given(cuts=st.lists(st.integers(1, 40), max_size=30))
def test_frames_are_found_wherever_the_stream_is_cut(cuts: list[int]):
    stream = b"".join(frames.encode_items(0, number, Items.of(["text"] * number)) for number in range(6))
    splitter, found, at = Splitter(), [], 0
    for size in [*cuts, len(stream)]:
        found += splitter.feed(stream[at : at + size])
        at += size
    assert [frame.task for frame in found] == list(range(6))
    assert [frame.rows for frame in found] == list(range(6))


@pytest.mark.parametrize(
    ("shape", "statuses", "reasons"), [((3, 2), 4, 4), ((4, 3), 4, 4), ((4,), 4, 4), ((4, 2), 3, 4), ((4, 2), 4, 5)]
)
def test_an_answer_of_the_wrong_shape_is_the_detectors_fault(shape: tuple[int, ...], statuses: int, reasons: int):
    request = one(frames.pack(Kind.score, 0, 4, 1))
    answer = Answer(np.zeros(shape, np.float32), np.zeros(statuses, np.uint8), np.zeros(reasons, np.uint8))
    with pytest.raises(BadAnswer, match="4 events, 2 categories"):
        frames.encode_answer(request, 2, answer, 0.0, 1)


GOOD = Answer.scored(np.zeros((4, 2)))
MALFORMED: list[tuple[Any, str]] = [
    ((GOOD.probability, GOOD.status), "tuple in place of an Answer"),
    (replace(GOOD, status=np.array([0, 1, 2, 4])), "a status or a reason that is none"),
    (replace(GOOD, status=np.array([0, -1, 2, 3])), "a status or a reason that is none"),
    (replace(GOOD, status=np.array([0, 1, 2, 3])), "a row is skipped that it was asked about"),
    (replace(GOOD, reason=np.array([0, 0, 0, 99])), "a status or a reason that is none"),
    (replace(GOOD, evidence={4: [Evidence("hate", 0.5)]}), "a row that is none"),
    (replace(GOOD, evidence={"1": [Evidence("hate", 0.5)]}), "a row that is none"),
    (replace(GOOD, evidence={1: [{"category": "hate"}]}), "dict in place of Evidence"),
    (replace(GOOD, evidence={1: [Evidence("hate", float("nan"))]}), "its score is float"),
    (replace(GOOD, evidence={1: [Evidence("hate", 0.5, box=(1, 2, 3))]}), "its box is tuple"),  # type: ignore[arg-type]
    (replace(GOOD, evidence={1: [Evidence("hate", 0.5, hash=b"f0")]}), "its hash is bytes"),  # type: ignore[arg-type]
    (replace(GOOD, evidence={1: [Evidence("hate", 0.5, frame=np.int64(3))]}), "its frame is int64"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("age", [None, unknown(3), unknown(4)[:, 1:]])
def test_without_categories_an_answer_is_of_age_or_none(age: Any):
    request = one(frames.pack(Kind.score, 0, 4, 1))
    answer = Answer(np.zeros((4, 0), np.float32), np.zeros(4, np.uint8), np.zeros(4, np.uint8), age=age)
    with pytest.raises(BadAnswer, match="numbers of shape"):
        frames.encode_answer(request, 0, answer, 0.0, 1)


@pytest.mark.parametrize(("answer", "said"), MALFORMED, ids=[said for _, said in MALFORMED])
def test_a_malformed_answer_is_the_detectors_fault(answer: Any, said: str):
    request = one(frames.pack(Kind.score, 0, 4, 1))
    with pytest.raises(BadAnswer, match=said):
        frames.encode_answer(request, 2, answer, 0.0, 1)
