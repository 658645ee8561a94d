"""Where a cheap detector is unsure, chosen from data: the band in which an expensive one is to be asked.

Learn then test (Angelopoulos, Bates, Candès, Jordan, Lei 2021, arXiv:2110.01052), with fixed-sequence testing: from the
lowest candidate up, "more than 1 - recall of the harmful texts score below it" is tested by an exact binomial test, and
the last candidate at which it is rejected is taken. So with the given confidence, over the draw of the texts it was
chosen from, at least the wanted share of harmful texts is acted upon or asked about. That holds for texts like those.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom


@dataclass(frozen=True, slots=True)
class Band:
    """Ask from `low` to below `high`."""

    low: float
    high: float
    recall: float  # the share of harmful texts at or above `low`, wanted
    confidence: float  # with which it is reached
    harmful: int  # texts it was chosen from
    asked: float  # share of all texts of the choice that lie in the band


def choose(
    probability: NDArray[np.float64], labels: NDArray[np.float64], high: float, recall: float, confidence: float
) -> Band | None:
    """The narrowest band below `high` that keeps the wanted recall; None where the texts are too few to promise it.

    Args:
        probability, labels: (n,), calibrated scores and 0 or 1.
        high: from here on the cheap detector's own rule acts.
        recall: 0 to 1, wanted of the two together, if the expensive one made no mistake.
        confidence: 0 to 1.
    """
    harmful = np.sort(probability[labels == 1])
    low = None
    for candidate in np.arange(0, high, 0.005):
        missed = int(np.searchsorted(harmful, candidate, side="left"))
        if binom.cdf(missed, len(harmful), 1 - recall) > 1 - confidence:
            break
        low = round(float(candidate), 3)
    if low is None:
        return None
    asked = float(((probability >= low) & (probability < high)).mean())
    return Band(low, high, recall, confidence, len(harmful), asked)
