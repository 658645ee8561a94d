"""Shares of people with their intervals, and the thresholds that keep a share."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from detectors.age.distribution import Floats
from detectors.training.age.parts import folds
from detectors.training.measures import with_interval
from evaluation.age.answers import AtGate, Truths

_SEED: Final = 11

Rate = dict[str, Any]


def rate(hit: Truths) -> Rate:
    """Share of True with its exact 95 % interval (Clopper and Pearson 1934), and the people it rests on."""
    n, k = len(hit), int(hit.sum())
    if not n:
        return {"value": None, "interval": None, "count": 0, "of": 0}
    ends = binomtest(k, n).proportion_ci(method="exact")
    return {"value": _short(k / n), "interval": [_short(ends.low), _short(ends.high)], "count": k, "of": n}


def both(stopped: Truths, above: Truths) -> dict[str, Rate]:
    """Of those at or above a gate the share who are stopped, of those below it the share who pass."""
    return {"stopped": rate(stopped[above]), "passing": rate(~stopped[~above])}


def change(new: Truths, old: Truths, above: Truths) -> dict[str, Any]:
    """How both shares change from old to new on the same people, with bootstrap intervals."""
    return {
        "stopped": with_interval(_mean(new[above].astype(float) - old[above]), int(above.sum())),
        "passing": with_interval(_mean(old[~above].astype(float) - new[~above]), int((~above).sum())),
    }


def threshold_for(reach: Floats, share: float) -> float:
    """The highest threshold that stops at most the share of people with these probabilities (n,), NaN being stopped.

    -1, which stops nobody but those abstained from, if that is the best that can be done.
    """
    rising = np.sort(np.where(np.isnan(reach), -1.0, reach))
    return float(rising[min(int(share * len(rising) + 1e-9), len(rising) - 1)])


def matched(new: AtGate, old_stopped: Truths, above: Truths) -> Truths:
    """(n,) whom the new model stops with thresholds that stop as many at or above the gate as the old one.

    The threshold of each half of the people is chosen on the other half, so that nobody helps to choose their own.
    """
    stopped = np.zeros(len(above), bool)
    for choose, other in folds(len(above), 2, _SEED):
        stopped[other] = new.below(matching(new, old_stopped, above, choose))[other]
    return stopped


def matching(new: AtGate, old_stopped: Truths, above: Truths, rows: NDArray[np.intp]) -> float:
    """The threshold of the new model that stops at most as many at or above the gate as the old, on some rows."""
    here = rows[above[rows]]
    return threshold_for(new.reach[here], float(old_stopped[here].mean()))


def _mean(values: Floats) -> Any:
    return lambda rows: float(values[rows].mean())


def _short(value: float) -> float:
    return round(float(value), 5)
