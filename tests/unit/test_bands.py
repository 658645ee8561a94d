"""The band in which an expensive detector is asked: it keeps its promise, and promises nothing on too few texts."""

import numpy as np

from detectors.training.bands import choose


def drawn(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Scores and labels: a tenth is harmful, and scores higher."""
    labels = (rng.random(n) < 0.1).astype(float)
    return np.where(labels == 1, rng.beta(4, 2, n), rng.beta(1, 6, n)), labels


def test_the_promise_is_kept_about_as_often_as_it_says() -> None:
    """Chosen from 5,000 texts at a time, and tested on all that such texts can be."""
    rng = np.random.default_rng(3)
    population, truth = drawn(rng, 400_000)
    harmful = population[truth == 1]
    broken = 0
    for _ in range(200):
        band = choose(*drawn(rng, 5000), high=0.9, recall=0.9, confidence=0.9)
        assert band is not None
        broken += (harmful >= band.low).mean() < 0.9
    assert broken <= 200 * 0.1 + 13  # three standard deviations


def test_more_recall_asks_more() -> None:
    texts = drawn(np.random.default_rng(4), 20_000)
    bands = [choose(*texts, high=0.9, recall=recall, confidence=0.95) for recall in (0.8, 0.9, 0.95)]
    assert all(band is not None for band in bands)
    asked = [band.asked for band in bands if band]
    assert asked == sorted(asked)
    assert bands[0] is not None
    assert 0 < bands[0].low < bands[0].high == 0.9


def test_too_few_texts_promise_nothing() -> None:
    """With 20 harmful texts not even asking about everything shows a recall of 0.9 at 0.95."""
    rng = np.random.default_rng(5)
    probability, labels = rng.random(200), np.r_[np.ones(20), np.zeros(180)]
    assert choose(probability, labels, high=0.9, recall=0.9, confidence=0.95) is None
