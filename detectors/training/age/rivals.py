"""What the network is measured against, on the same features: gradient boosting, and a classifier of age buckets.

Boosting: scikit-learn's histogram gradient boosting (Ke et al. 2017), a regressor for each of some quantiles, which
make a distribution, and one classifier for each gate. The buckets are those that a moderation classifier has, as far as
the table has people in them; within a bucket ages are spread as in the training part.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from detectors.age.distribution import Floats
from detectors.age.features import Matrix
from detectors.age.spec import YEARS

BORDERS: Final = (13, 16, 18, 25)
QUANTILES: Final = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
LEAST: Final = 30  # people in a bucket
_SEED: Final = 4


@dataclass(frozen=True, slots=True)
class Rival:
    """Distributions and gate probabilities for features (n, F)."""

    pmf: Callable[[Matrix], Floats]  # (n, 121)
    reaching: Callable[[Matrix], Floats]  # (n, gates)


def boosting(matrix: Matrix, ages: NDArray[np.int64], gates: Sequence[int]) -> Rival:
    """Gradient boosting, by quantiles and by gates."""
    regressors = [
        HistGradientBoostingRegressor(
            loss="quantile", quantile=level, max_iter=250, learning_rate=0.08, early_stopping=True, random_state=_SEED
        ).fit(matrix, ages + 0.5)
        for level in QUANTILES
    ]
    sides = [_classifier(matrix, ages >= gate) for gate in gates]

    def pmf(rows: Matrix) -> Floats:
        return _from_quantiles(np.stack([one.predict(rows) for one in regressors], axis=1))

    return Rival(pmf, lambda rows: np.column_stack([side(rows)[:, 1] for side in sides]))


def buckets(matrix: Matrix, ages: NDArray[np.int64], gates: Sequence[int]) -> Rival:
    """The classifier of buckets; a gate that is a border of theirs is read off exactly."""
    borders = _borders(ages, gates)
    classifier = _classifier(matrix, np.digitize(ages, borders))
    within = np.zeros((len(borders) + 1, YEARS))
    np.add.at(within, (np.digitize(ages, borders), ages), 1.0)
    within /= within.sum(axis=1, keepdims=True)

    def pmf(rows: Matrix) -> Floats:
        return np.asarray(classifier(rows) @ within, np.float64)

    return Rival(pmf, lambda rows: np.column_stack([pmf(rows)[:, gate:].sum(axis=1) for gate in gates]))


def _classifier(matrix: Matrix, labels: NDArray[np.int64] | NDArray[np.bool_]) -> Callable[[Matrix], Floats]:
    """(n, labels) by rising label, which are 0, 1, … and all there; of labels that are all alike, certainty."""
    kinds = np.unique(labels.astype(np.int64))
    if len(kinds) == 1:
        sure = np.eye(int(kinds[0]) + 2)[int(kinds[0])]
        return lambda rows: np.tile(sure, (len(rows), 1))
    found = HistGradientBoostingClassifier(
        max_iter=200, learning_rate=0.06, early_stopping=True, random_state=_SEED
    ).fit(matrix, labels.astype(np.int64))
    return lambda rows: np.asarray(found.predict_proba(rows), np.float64)


def _borders(ages: NDArray[np.int64], gates: Sequence[int]) -> list[int]:
    """As many as leave enough people in each bucket, gates first."""
    kept: list[int] = []
    for border in (*gates, *BORDERS):
        counts = np.bincount(np.digitize(ages, sorted({*kept, border})), minlength=len(kept) + 2)
        if border not in kept and counts.min() >= LEAST:
            kept = sorted([*kept, border])
    return kept


def _from_quantiles(found: Floats) -> Floats:
    """(n, levels) to (n, 121): straight lines between the quantiles, and the tails as long again as the last step."""
    found = np.sort(found, axis=1)
    first, last = 2 * found[:, :1] - found[:, 2:3] - 1, 2 * found[:, -1:] - found[:, -3:-2] + 1
    x = np.clip(np.concatenate([first, found, last], axis=1), 0, YEARS)
    levels = np.array([0.0, *QUANTILES, 1.0])
    borders = np.arange(YEARS + 1)
    below = np.stack([np.interp(borders, row + 1e-6 * np.arange(len(levels)), levels) for row in x])
    below[:, 0], below[:, -1] = 0.0, 1.0
    return np.asarray(np.diff(below, axis=1), np.float64)


def always(matrix: Matrix, ages: NDArray[np.int64], gates: Sequence[int]) -> Rival:
    """The same for everyone: the shares of the training part."""
    del matrix
    shares = np.bincount(ages, minlength=YEARS) / len(ages)
    sides = np.array([shares[gate:].sum() for gate in gates])
    return Rival(lambda rows: np.tile(shares, (len(rows), 1)), lambda rows: np.tile(sides, (len(rows), 1)))
