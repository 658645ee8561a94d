"""A gate's calibration and its threshold, from people held apart.

Learn then test (Angelopoulos et al. 2021, arXiv:2110.01052) with fixed-sequence testing: thresholds go up, and at each
"more than `stopped` of those at or above the gate score below it" is tested by an exact binomial test; the last at
which it is rejected is taken. So with the confidence, over the draw of the calibration part, at most that share is
stopped. What is tested is what is applied: probabilities that fall from gate to gate, and whoever a lower gate stops
counts as stopped. Scaling and lower thresholds come from the same people, and the test takes them as given.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from detectors.age.distribution import Floats
from detectors.age.gates import Gate, Threshold, below_thresholds, logit, scaled
from detectors.calibration import fit

STOPPED: Final = 0.02
CONFIDENCE: Final = 0.95
LEAST: Final = 20  # people on either side of a gate, to calibrate it
_STEP: Final = 0.001


def gates_at(
    gates: Sequence[int], reaching: Floats, ages: NDArray[np.int64], stopped: float, confidence: float
) -> tuple[Gate, ...]:
    """The gates, which must rise, from P(age ≥ gate) before calibration (n, gates) and ages (n,)."""
    found = [_calibrated(gate, reaching[:, place], ages) for place, gate in enumerate(gates)]
    said = scaled(found, reaching)
    for place, gate in enumerate(found):
        if gate.supported:
            lower = below_thresholds(found, said)[:, place]  # it has no threshold itself yet
            score = np.where(lower, -1.0, said[:, place])
            threshold = choose(score, ages >= gate.age, stopped, confidence)
            found[place] = gate.model_copy(update={"threshold": threshold})
    return tuple(found)


def _calibrated(age: int, reaching: Floats, ages: NDArray[np.int64]) -> Gate:
    """Without its threshold; not supported unless there are people on both sides."""
    above = ages >= age
    if min(above.sum(), (~above).sum()) < LEAST:
        return Gate(age=age, supported=False)
    platt = fit(logit(reaching), above.astype(np.float64))
    if platt.slope <= 0:
        return Gate(age=age, supported=False)
    return Gate(age=age, slope=platt.slope, intercept=platt.intercept)


def choose(probability: Floats, above: NDArray[np.bool_], stopped: float, confidence: float) -> Threshold | None:
    """The highest threshold that keeps the promise; None where those above are too few for any.

    Args:
        probability: (n,) of having reached the gate; -1 for those whom a lower one stops.
        above: (n,) whether they have.
        stopped: share of those above that may score below the threshold.
        confidence: with which that holds.
    """
    reached = np.sort(probability[above])
    candidates = np.arange(_STEP, 1.0, _STEP)
    below = np.searchsorted(reached, candidates, side="left")
    kept = binom.cdf(below, len(reached), stopped) <= 1 - confidence
    if not kept[0]:
        return None
    chosen = round(float(candidates[-1 if kept.all() else np.argmin(kept) - 1]), 3)
    others = probability[~above]
    return Threshold(
        threshold=chosen,
        stopped=stopped,
        confidence=confidence,
        above=len(reached),
        below=len(others),
        passing=float((others >= chosen).mean()) if len(others) else None,
    )
