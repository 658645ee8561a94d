"""What follows from a distribution over years 0 to 120, for many rows at once: pmf (n, 121), rows adding up to 1.

An age is in completed years, so someone of age a has lived a to a + 1 years, and P(≥ 18) is the mass of 18 and up.
"""

import numpy as np
from numpy.typing import NDArray

from detectors.age.spec import YEARS

Floats = NDArray[np.float64]
AGES = np.arange(YEARS)


def mean(pmf: Floats) -> Floats:
    """(n,) expected completed years."""
    return np.asarray(pmf @ AGES, np.float64)


def median(pmf: Floats) -> Floats:
    """(n,) the age in the middle, with a fraction: it minimises the expected absolute error but for the rounding."""
    below = np.cumsum(pmf, axis=1)
    at = np.argmax(below >= 0.5, axis=1)
    rows = np.arange(len(pmf))
    mass = np.maximum(pmf[rows, at], 1e-12)
    return np.asarray(at + (0.5 - (below[rows, at] - mass)) / mass - 0.5, np.float64)


def reaching(pmf: Floats, gate: int) -> Floats:
    """(n,) P(age ≥ gate)."""
    return np.asarray(pmf[:, gate:].sum(axis=1).clip(0.0, 1.0), np.float64)


def middle(pmf: Floats) -> Floats:
    """(n, 121) mid-distribution function: P(age < a) + P(age = a) / 2; it never falls with a."""
    return np.asarray(np.cumsum(pmf, axis=1) - pmf / 2, np.float64)


def central(pmf: Floats, reach: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last age (n,) of those whose mid-distribution lies within `reach` (n,) of one half; never none.

    A `reach` of .45 is about the central 90 %: the interval's ends are included.
    """
    inside = np.abs(middle(pmf) - 0.5) <= reach[:, None] + 1e-12
    nearest = np.abs(middle(pmf) - 0.5).argmin(axis=1)
    inside[np.arange(len(pmf)), nearest] = True
    return inside.argmax(axis=1), YEARS - 1 - inside[:, ::-1].argmax(axis=1)


def off_centre(pmf: Floats, ages: NDArray[np.int64]) -> Floats:
    """(n,) how far from one half the mid-distribution is at `ages`: the `reach` at which `central` begins to cover."""
    return np.asarray(np.abs(middle(pmf)[np.arange(len(pmf)), ages] - 0.5), np.float64)


def crps(pmf: Floats, ages: NDArray[np.int64]) -> Floats:
    """(n,) continuous ranked probability score in years, lower is better: Σ (P(age ≤ a) - 1[truth ≤ a])².

    Gneiting and Raftery 2007; of a point forecast it is the absolute error.
    """
    step = ages[:, None] <= AGES
    return np.asarray(((np.cumsum(pmf, axis=1) - step) ** 2).sum(axis=1), np.float64)
