"""What every detector owes the process that runs it. A detector of your own passes if it is added to `DETECTORS`."""

import numpy as np
import pytest

from detectors.interface import Detector, DetectorSpec, build
from detectors.items import Items
from schemas.categories import Category
from schemas.statuses import Status

DETECTORS = [DetectorSpec("lexicon"), DetectorSpec("null"), DetectorSpec("x", {}, "tests.fault.tripwire:build")]
TEXTS = ["Good morning", "you fucking idiot", "", "שלום עולם 🌍", "\ud800 a lone surrogate", "word " * 30_000, "ok"]


@pytest.fixture(params=DETECTORS, ids=lambda spec: spec.factory or spec.name, scope="module")
def detector(request: pytest.FixtureRequest) -> Detector:
    built = build(request.param)
    built.warm()
    return built


def quiet(row: int) -> None:
    """A hint that nobody reads."""


def test_it_says_what_it_is(detector: Detector):
    assert detector.name
    assert detector.version
    assert set(detector.categories) <= set(Category)
    assert len(set(detector.categories)) == len(detector.categories) > 0
    assert detector.modalities


@pytest.mark.parametrize("n", [0, 1, len(TEXTS)])
def test_its_answer_has_a_row_a_text_and_a_column_a_category(detector: Detector, n: int):
    answer = detector.score(Items.of(TEXTS[:n]), quiet)
    probability, status = answer.probability, answer.status
    assert probability.shape == (n, len(detector.categories))
    assert status.shape == (n,)
    assert (probability.dtype, status.dtype) == (np.float32, np.uint8)
    scored = status == Status.scored
    assert ((probability[scored] >= 0) & (probability[scored] <= 1)).all()


def test_hints_are_rows_and_ascend(detector: Detector):
    hints: list[int] = []
    detector.score(Items.of(TEXTS), hints.append)
    assert hints
    assert hints == sorted(hints)
    assert set(hints) <= set(range(len(TEXTS)))


def test_a_text_has_the_same_score_alone_and_in_company(detector: Detector):
    together = detector.score(Items.of(TEXTS), quiet).probability
    alone = [detector.score(Items.of([text]), quiet).probability[0] for text in TEXTS]
    np.testing.assert_allclose(together, alone, atol=1e-5)
