"""A gate's calibration and its threshold, from people held apart.

Learn then test (Angelopoulos et al. 2021, arXiv:2110.01052) with fixed-sequence testing: thresholds go up, and at each
"more than `stopped` of those at or above the gate score below it" is tested by an exact binomial test; the last at
which it is rejected is taken. So over the draw of the calibration part, with the confidence, at most the share is stopped.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from detectors.age.distribution import Floats
from detectors.age.gates import Gate, Threshold, logit
from detectors.calibration import fit

STOPPED: Final = 0.02
CONFIDENCE: Final = 0.95
LEAST: Final = 20  # people on either side of a gate, to calibrate it
_STEP: Final = 0.001


def gate_at(age: int, reaching: Floats, ages: NDArray[np.int64], stopped: float, confidence: float) -> Gate:
    """The gate, calibrated on uncalibrated P(age ≥ gate) and ages, (n,) each, as far as there are people on both sides."""
    above = ages >= age
    if min(above.sum(), (~above).sum()) < LEAST:
        return Gate(age=age, supported=False)
    platt = fit(logit(reaching), above.astype(np.float64))
    if platt.slope <= 0:
        return Gate(age=age, supported=False)
    threshold = choose(platt.probability(logit(reaching)), above, stopped, confidence)
    return Gate(age=age, slope=platt.slope, intercept=platt.intercept, threshold=threshold)


def choose(probability: Floats, above: NDArray[np.bool_], stopped: float, confidence: float) -> Threshold | None:
    """The highest threshold that keeps the promise; None where those above are too few for any.

    Args:
        probability: (n,) of having reached the gate.
        above: (n,) whether they have.
        stopped: share of those above that may score below the threshold.
        confidence: with which that holds.
    """
    reached = np.sort(probability[above])
    chosen = None
    for candidate in np.arange(_STEP, 1.0, _STEP):
        below = int(np.searchsorted(reached, candidate, side="left"))
        if binom.cdf(below, len(reached), stopped) > 1 - confidence:
            break
        chosen = round(float(candidate), 3)
    if chosen is None:
        return None
    others = probability[~above]
    return Threshold(
        threshold=chosen,
        stopped=stopped,
        confidence=confidence,
        above=len(reached),
        below=len(others),
        passing=float((others >= chosen).mean()) if len(others) else None,
    )
