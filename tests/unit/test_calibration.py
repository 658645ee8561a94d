"""Platt scaling, calibration error and thresholds, on data whose answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.calibration import Platt, expected_calibration_error, fit


def drawn(slope: float, intercept: float, n: int = 40_000):
    """Logits, and labels drawn with the probability that (slope, intercept) gives them."""
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, n)
    return logits, (rng.random(n) < Platt(slope, intercept).probability(logits)).astype(np.float64)


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (0.4, -1.5), (3.0, 2.0)])
def test_fit_finds_the_slope_and_intercept_that_made_the_labels(slope: float, intercept: float):
    found = fit(*drawn(slope, intercept))
    assert found.slope == pytest.approx(slope, rel=0.06)
    assert found.intercept == pytest.approx(intercept, abs=0.08)


def test_a_separable_sample_still_gets_a_finite_calibration():
    found = fit(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.0, 1.0]))
    assert 0 < found.slope < 10
    assert abs(found.intercept) < 1


def test_labels_of_one_kind_only_are_refused():
    with pytest.raises(ValueError, match="both kinds"):
        fit(np.array([0.0, 1.0]), np.array([1.0, 1.0]))


@given(st.floats(0.01, 20), st.floats(-20, 20), st.lists(st.floats(-1e6, 1e6), min_size=2))
def test_probabilities_stay_in_bounds_and_keep_the_order(slope: float, intercept: float, logits: list[float]):
    p = Platt(slope, intercept).probability(np.sort(logits))
    assert ((p >= 0) & (p <= 1)).all()
    assert (np.diff(p) >= 0).all()


def test_a_nan_logit_stays_nan():
    assert np.isnan(Platt(1.0, 0.0).probability([np.nan])).all()


def test_calibration_error_is_small_for_true_probabilities_and_large_for_overconfident_ones():
    logits, labels = drawn(1.0, 0.0)
    assert expected_calibration_error(Platt(1.0, 0.0).probability(logits), labels) < 0.01
    assert expected_calibration_error(Platt(9.0, 0.0).probability(logits), labels) > 0.1


def test_calibration_error_of_one_constant_is_its_distance_from_the_frequency():
    assert expected_calibration_error(np.full(10, 0.7), np.array([1.0] * 4 + [0.0] * 6), bins=1) == pytest.approx(0.3)


def test_a_rare_category_far_from_the_start_is_fitted_as_well():
    """Full Newton steps diverge here: logits of eight and below, one text in a hundred positive."""
    rng = np.random.default_rng(3)
    labels = (rng.random(10_000) < 0.01).astype(float)
    logits = np.where(labels == 1, rng.normal(2, 3, 10_000), rng.normal(-8, 1.5, 10_000))
    found = fit(logits, labels)
    assert 0.3 < found.slope < 3
    assert expected_calibration_error(found.probability(logits), labels) < 0.01
