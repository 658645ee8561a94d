"""Intervals cover as often as promised, also where the distributions are wrong; a gate stops no more than it says."""

import numpy as np

from detectors.age.conformal import Reach, Tree, quantile
from detectors.age.distribution import central, off_centre
from detectors.age.gates import Gate, below_thresholds, probabilities, scaled
from detectors.age.spec import YEARS
from detectors.training.age import intervals
from detectors.training.age.thresholds import choose, gates_at


def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Distributions, ages and features: where the feature is 1 the distribution is half as wide as it should be."""
    rng = np.random.default_rng(seed)
    wrong = (rng.random(rows) < 0.3).astype(np.float32)
    centre = rng.uniform(25, 60, rows)
    ages = np.clip(np.round(centre + rng.normal(0, 4, rows) * (1 + wrong)), 0, 120).astype(np.int64)
    weights = np.exp(-0.5 * ((np.arange(YEARS) - centre[:, None]) / 4) ** 2)
    matrix = np.column_stack([wrong, rng.random(rows)]).astype(np.float32)
    return weights / weights.sum(axis=1, keepdims=True), ages, matrix


def coverage(reach: Reach, seed: int) -> tuple[float, float]:
    """Where the distributions are right, and where they are wrong."""
    pmf, ages, matrix = drawn(6_000, seed)
    low, high = central(pmf, reach.of(matrix))
    covered, wrong = (low <= ages) & (ages <= high), matrix[:, 0] == 1
    return float(covered[~wrong].mean()), float(covered[wrong].mean())


def test_each_kind_of_people_is_covered() -> None:
    pmf, ages, matrix = drawn(6_000, 1)
    scores = off_centre(pmf, ages)
    flat = Reach(coverage=0.9, of_node=(quantile(scores, 0.9),))
    right, wrong = coverage(flat, 2)
    assert wrong < 0.85 < 0.92 < right  # the average hides it
    for found in coverage(intervals.learn(scores, matrix, {}, 0.9), 2):
        assert 0.88 <= found <= 0.92


def test_a_group_that_no_feature_shows_is_covered_by_widening_all() -> None:
    pmf, ages, matrix = drawn(6_000, 3)
    hidden, scores = matrix[:, 0] == 1, off_centre(pmf, ages)
    reach = intervals.learn(scores, matrix[:, 1:], {"sex=x": hidden}, 0.9)
    assert reach.addition > 0
    assert (scores[hidden] <= reach.of(matrix[:, 1:])[hidden]).mean() >= 0.88


def test_few_scores_promise_nothing_narrow() -> None:
    assert quantile(np.zeros(5), 0.9) == 0.5
    assert quantile(np.linspace(0, 0.5, 100), 0.9) < 0.5


def test_a_tree_sends_rows_where_its_thresholds_say() -> None:
    tree = Tree(
        feature=(0, -1, 1, -1, -1), threshold=(0.5, 0, 0.2, 0, 0), left=(1, -1, 3, -1, -1), right=(2, -1, 4, -1, -1)
    )
    assert tree.leaf(np.array([[0, 0], [1, 0], [1, 1]], np.float32)).tolist() == [1, 3, 4]


def test_the_threshold_keeps_its_promise_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    everyone = rng.beta(8, 2, 200_000)  # at or above the gate
    broken = 0
    for _ in range(200):
        above = rng.random(1_500) < 0.8
        scores = np.where(above, rng.choice(everyone, 1_500), rng.beta(3, 4, 1_500))
        found = choose(scores, above, stopped=0.02, confidence=0.95)
        assert found is not None
        broken += (everyone < found.threshold).mean() > 0.02
    assert broken <= 200 * 0.05 + 10  # three standard deviations


def test_too_few_above_the_gate_promise_nothing() -> None:
    above = np.r_[np.ones(50, bool), np.zeros(50, bool)]
    assert choose(np.linspace(1, 0, 100), above, stopped=0.02, confidence=0.95) is None


def test_a_gate_without_people_on_both_sides_is_not_calibrated() -> None:
    (gate,) = gates_at([13], np.full((300, 1), 0.999), np.full(300, 30), 0.02, 0.95)
    assert not gate.supported
    assert gate.threshold is None


def test_who_reaches_a_gate_reaches_the_ones_below() -> None:
    pmf, _, _ = drawn(500, 7)
    crossing = (Gate(age=30, intercept=-2.0), Gate(age=40, intercept=1.0), Gate(age=50))
    found = probabilities(crossing, pmf)
    assert (np.diff(found, axis=1) <= 0).all()


def test_the_promise_holds_for_what_is_applied_and_no_one_reaches_a_gate_above_one_not_reached() -> None:
    rng = np.random.default_rng(8)
    ages = rng.integers(8, 40, 60_000)
    gates = [13, 16, 18]
    apart = [ages[:, None] - np.array(gates) + rng.normal(0, noise, (len(ages), 3)) for noise in (1, 3)]
    sides = 1 / (1 + np.exp(-np.where(np.array(gates) == 16, *reversed(apart))))  # each gate by a score of its own
    found = gates_at(gates, sides[:4_000], ages[:4_000], 0.02, 0.95)
    stopped = below_thresholds(found, scaled(found, sides[4_000:]))
    assert (stopped[:, :-1] <= stopped[:, 1:]).all()
    for gate, column in zip(gates, stopped.T, strict=True):
        assert 0.01 < column[ages[4_000:] >= gate].mean() <= 0.02
