"""When the model does not answer: nearly empty profiles, and those unlike all that it was trained on.

Unlike: the squared Mahalanobis distance of what the network's last hidden layer holds, from the training part's mean
(Lee et al. 2018, arXiv:1807.03888), in the directions that vary most. Training rows are emptied at random for it, as in
the fit, so that a sparse profile is not strange for being sparse. The limit is a quantile of the calibration part.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field


class Why(IntEnum):
    """Why there is no answer."""

    none = 0
    empty = 1  # too few signals
    strange = 2  # unlike the training part


class Limits(BaseModel):
    """From where on the model abstains."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    signals: int = Field(
        default=1, ge=0, description="Least number of signals that are there, declared age not counted."
    )
    distance: float = Field(gt=0, description="Greatest squared distance, in units of its number of directions.")


@dataclass(frozen=True, slots=True, eq=False)
class Familiar:
    """What was seen. With h the width of the last hidden layers and k directions."""

    centre: NDArray[np.float32]  # (h,)
    directions: NDArray[np.float32]  # (h, k), each divided by its standard deviation

    def distance(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n,) of vectors (n, h): 1 on average over the training part."""
        return np.asarray((((vectors - self.centre) @ self.directions) ** 2).mean(axis=1), np.float64)


def why(present: NDArray[np.int64], distance: NDArray[np.float64], limits: Limits) -> NDArray[np.uint8]:
    """(n,) `Why`; `present` (n,): how many signals there are."""
    strange = np.where(distance > limits.distance, Why.strange, Why.none)
    return np.where(present < limits.signals, Why.empty, strange).astype(np.uint8)
