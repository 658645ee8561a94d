"""From a logit to a probability that means what it says, and how well it does.

Platt scaling: p = 1 / (1 + exp(-(slope · logit + intercept))), two numbers a category, fitted by Newton's method to
texts held apart from training. Platt 1999; targets smoothed and steps as in Lin, Lin and Weng 2007.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

_RIDGE: Final = 1e-9  # keeps the Hessian invertible when all logits are equal
_STEPS: Final = 100
_SMALLEST: Final = 1e-10


@dataclass(frozen=True, slots=True)
class Platt:
    """One category's calibration. `slope` > 0, so the order of texts does not change."""

    slope: float
    intercept: float

    def probability(self, logits: ArrayLike) -> NDArray[np.float64]:
        """Any shape in, the same shape out, 0..1; a NaN stays one."""
        z = np.asarray(logits, np.float64) * self.slope + self.intercept
        return 0.5 * (1.0 + np.tanh(0.5 * z))  # the logistic function, without overflow


def fit(logits: NDArray[np.float64], labels: NDArray[np.float64]) -> Platt:
    """The likeliest slope and intercept; logits and labels (0 or 1) are (n,). ValueError if a class is absent."""
    positive = float(labels.sum())
    negative = len(labels) - positive
    if not positive or not negative:
        raise ValueError("calibration needs texts of both kinds")
    target = np.where(labels == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))
    design = np.stack([logits, np.ones_like(logits)], axis=1)
    weights = np.array([0.0, np.log((positive + 1) / (negative + 1))])
    for _ in range(_STEPS):
        step = _newton_step(design, target, weights)
        while _loss(design, target, weights - step) > _loss(design, target, weights) and np.abs(step).max() > _SMALLEST:
            step = step / 2  # a rare category's full step may lead away
        weights = weights - step
        if np.abs(step).max() < _SMALLEST:
            break
    return Platt(float(weights[0]), float(weights[1]))


def expected_calibration_error(probability: NDArray[np.float64], labels: NDArray[np.float64], bins: int = 15) -> float:
    """Mean distance of confidence and frequency over bins of equal count. Guo et al. 2017, arXiv:1706.04599."""
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return float(sum(len(p) * abs(probability[p].mean() - labels[p].mean()) for p in parts) / len(order))


def _loss(design: NDArray[np.float64], target: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Cross-entropy."""
    z = design @ weights
    return float((np.logaddexp(0.0, z) - target * z).sum())


def _newton_step(
    design: NDArray[np.float64], target: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    p = 0.5 * (1.0 + np.tanh(0.5 * (design @ weights)))
    gradient = design.T @ (p - target)
    hessian = (design * (p * (1 - p))[:, None]).T @ design + _RIDGE * np.eye(2)
    return np.asarray(np.linalg.solve(hessian, gradient), np.float64)
