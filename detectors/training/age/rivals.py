"""What the network is measured against, on the same features: gradient boosting, and one answer for everyone.

Boosting: scikit-learn's histogram gradient boosting (Ke et al. 2017), a regressor for each of some quantiles, which
make a distribution, and one classifier for each gate.
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

QUANTILES: Final = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
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
