"""What is read off a distribution over years: intervals, scores, and what a declared age may do to it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from detectors.age import distribution
from detectors.age.declared import informed, likelihood
from detectors.age.network import COMPONENTS, HEADS, AgeNetwork, Head, log_pmf
from detectors.age.spec import OLDEST, YEARS, Declared


def normal(centre: float, spread: float) -> np.ndarray:  # type: ignore[type-arg]
    """One row."""
    weights = np.exp(-0.5 * ((np.arange(YEARS) - centre) / spread) ** 2)
    return (weights / weights.sum())[None]


@given(st.integers(0, OLDEST), st.floats(0.3, 20), st.floats(0, 0.5))
def test_an_interval_holds_the_middle_and_grows_with_its_reach(centre: int, spread: float, reach: float) -> None:
    pmf = normal(centre, spread)
    low, high = distribution.central(pmf, np.array([reach]))
    wider = distribution.central(pmf, np.array([reach + 0.01]))
    assert 0 <= low[0] <= high[0] <= OLDEST
    assert wider[0][0] <= low[0]
    assert high[0] <= wider[1][0]


@given(st.integers(0, OLDEST), st.floats(0.3, 20), st.integers(0, OLDEST))
def test_an_age_is_covered_from_its_own_score_on(centre: int, spread: float, age: int) -> None:
    pmf = normal(centre, spread)
    score = distribution.off_centre(pmf, np.array([age]))
    low, high = distribution.central(pmf, score)
    assert low[0] <= age <= high[0]


def test_the_ranked_score_of_a_certainty_is_the_absolute_error() -> None:
    pmf = np.eye(YEARS)[[20, 30, 40]]
    assert distribution.crps(pmf, np.array([20, 25, 50])).tolist() == [0, 5, 10]
    assert distribution.median(pmf).tolist() == pytest.approx([20, 30, 40])
    assert distribution.mean(pmf).tolist() == [20, 30, 40]
    assert distribution.reaching(pmf, 30).tolist() == [0, 1, 1]


@pytest.mark.parametrize("head", HEADS)
def test_every_head_gives_distributions_and_starts_at_the_shares(head: Head) -> None:
    torch.manual_seed(0)
    network = AgeNetwork(5, head, members=3, hidden=8)
    shares = torch.zeros(YEARS)
    shares[15:60] = 1 / 45
    network.start_at(shares)
    with torch.inference_mode():
        pmf = network.both(torch.randn(7, 5))[1]
    assert pmf.shape == (7, YEARS)
    assert torch.allclose(pmf.sum(dim=-1), torch.ones(7), atol=1e-4)
    assert (pmf >= 0).all()
    assert abs(float((pmf * torch.arange(YEARS)).sum(dim=-1).mean()) - 37) < 4


@pytest.mark.parametrize(("head", "outputs"), [("distribution", YEARS), ("corn", OLDEST), ("mixture", 3 * COMPONENTS)])
def test_a_head_bears_any_output(head: Head, outputs: int) -> None:
    for factor in (0.0, 30.0, -30.0):
        found = log_pmf(head, factor * torch.ones(2, outputs))
        assert torch.isfinite(found).all()
        assert torch.allclose(found.exp().sum(dim=-1), torch.ones(2), atol=1e-3)


@given(st.integers(0, OLDEST), st.floats(2, 15), st.integers(0, OLDEST))
def test_no_declared_age_outweighs_the_signals_beyond_its_bound(centre: int, spread: float, age: int) -> None:
    said = Declared(column="declared_age", weight=30)
    pmf = normal(centre, spread)
    for gate in (13, 16, 18):
        before, after = (distribution.reaching(one, gate) for one in (pmf, informed(pmf, np.array([age]), said)))
        if 1e-6 < before[0] < 1 - 1e-6:
            odds = (after / (1 - after)) / (before / (1 - before))
            assert 1 / 30.001 <= odds[0] <= 30.001


def test_a_declared_age_moves_and_an_absent_one_does_not() -> None:
    said = Declared(column="declared_age")
    pmf = np.repeat(normal(17, 4), 4, axis=0)
    after = distribution.reaching(informed(pmf, np.array([-1, 14, 18, 40]), said), 18)
    assert after[0] == pytest.approx(distribution.reaching(pmf, 18)[0])
    assert after[1] < after[0] < after[2]
    assert (likelihood(said)[18, 10:18] > likelihood(said)[25, 10:18]).all()  # children say 18 rather than 25


def test_who_says_eighteen_may_be_a_child_that_lies() -> None:
    """The more lies are thought likely, the less it says."""
    pmf = normal(15, 3)
    found = [
        distribution.reaching(informed(pmf, np.array([18]), Declared(column="d", lies=lies)), 18)[0]
        for lies in (0.1, 0.33, 0.9)
    ]
    assert found == sorted(found, reverse=True)
