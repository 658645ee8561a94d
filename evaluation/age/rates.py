"""Shares of people with their intervals, and the thresholds that keep a share."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from detectors.age.distribution import Floats
from detectors.training.measures import with_interval
from evaluation.age.answers import AtGate, Truths

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


def matching(new: AtGate, old_stopped: Truths, above: Truths) -> float:
    """The threshold at which the new model stops as many at or above the gate as the old one, and no more."""
    return threshold_for(new.reach[above], float(old_stopped[above].mean()))


def matched_change(new: AtGate, old_stopped: Truths, above: Truths) -> dict[str, Any]:
    """How the share of those below the gate who pass changes then; each resample chooses its own threshold."""

    def change(rows: NDArray[np.intp]) -> float:
        some, old, reached = AtGate(new.reach[rows], new.stopped[rows]), old_stopped[rows], above[rows]
        stopped = some.below(matching(some, old, reached))
        return float(old[~reached].mean() - stopped[~reached].mean())

    return with_interval(change, len(above))


def _mean(values: Floats) -> Any:
    return lambda rows: float(values[rows].mean())


def _short(value: float) -> float:
    return round(float(value), 5)
