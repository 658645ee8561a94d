"""From what was read and what was seen to one probability for each category.

    text      the highest of: the caption, the text of each image, and all of it together, as the text detector scores
              them, calibrated once more: the highest of three is more often high than one
    picture   the highest over the frames, of open_nsfw and of the joint model
    both      1 - (1 - text) · (1 - picture): either is enough, and two suspicions are more than one (a noisy or; it
              takes the two for independent of each other)

"Together" finds what neither part says alone: "all those women" as the caption, "belong in the kitchen" in the picture.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.calibration import Platt

_LEAST: Final = 1e-7  # a probability's distance from 0 and 1, so that it has a logit


def highest(scores: NDArray[np.float64], platt: Platt) -> NDArray[np.float64]:
    """One probability for each category, (C,), from those of several texts, (n, C); a NaN is a text not scored."""
    best = np.zeros(scores.shape[1]) if not len(scores) else np.nan_to_num(scores).max(axis=0)
    p = np.clip(best, _LEAST, 1 - _LEAST)
    return np.where(best > 0, platt.probability(np.log(p / (1 - p))), 0.0)


def either(parts: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """A noisy or over parts of shape (C,)."""
    none = np.ones_like(parts[0])
    for part in parts:
        none = none * (1 - part)
    return np.asarray(1 - none, np.float64)
