"""At a gate: the calibrated probability of having reached it, and from where on someone is stopped.

Calibration is Platt scaling of the logit of the distribution's own P(age ≥ gate), learnt apart from training. The
threshold is chosen so that of those at or above the gate at most a wanted share is stopped (`detectors.training.age.
thresholds`).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from detectors.age.distribution import Floats, reaching
from detectors.age.spec import YEARS
from detectors.calibration import Platt

_LEAST: Final = 1e-6


class Threshold(BaseModel):
    """Below `threshold`, here or at a lower gate, someone is stopped. Figures of the calibration part."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float = Field(ge=0, le=1)
    stopped: float = Field(description="Of those at or above the gate at most this share is stopped …")
    confidence: float = Field(description="… with this confidence, over the draw of the calibration part.")
    above: int = Field(description="People at or above the gate that it was chosen from.")
    below: int = Field(description="People below it there.")
    passing: float | None = Field(description="Share of those below the gate who pass at this threshold, there.")


class Gate(BaseModel):
    """One gate, as the data allow: without people on both sides of it it is neither `supported` nor calibrated."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    age: int = Field(ge=1)
    supported: bool = True
    slope: float = Field(default=1.0, gt=0)
    intercept: float = 0.0
    threshold: Threshold | None = None

    def probability(self, reaching: Floats) -> Floats:
        """(n,) calibrated P(age ≥ gate), from the uncalibrated."""
        return Platt(self.slope, self.intercept).probability(logit(reaching))


def logit(probability: Floats) -> Floats:
    """Finite, whatever the probability."""
    p = np.clip(probability, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(p) - np.log1p(-p), np.float64)


def probabilities(gates: Sequence[Gate], pmf: Floats) -> NDArray[np.float64]:
    """(n, gates) calibrated P(age ≥ gate) of distributions (n, 121)."""
    return scaled(gates, np.stack([reaching(pmf, gate.age) for gate in gates], axis=1))


def scaled(gates: Sequence[Gate], reaching: Floats) -> NDArray[np.float64]:
    """(n, gates), which must rise by age: calibrated apart, they are made to fall from each gate to the next."""
    found = np.stack([gate.probability(reaching[:, place]) for place, gate in enumerate(gates)], axis=1)
    return np.asarray(np.minimum.accumulate(found, axis=1), np.float64)


def below_thresholds(gates: Sequence[Gate], probability: Floats) -> NDArray[np.bool_]:
    """(n, gates), by rising age: who is stopped, of `scaled` probabilities (n, gates), NaN being stopped.

    Whoever is stopped at a gate is at every higher one: no one is below 13 and has reached 16. Nobody is where there is
    no threshold.
    """
    lowest = np.array([gate.threshold.threshold if gate.threshold else -1.0 for gate in gates])
    return np.asarray(np.logical_or.accumulate(~(probability >= lowest), axis=1), bool)


def moved(pmf: Floats, probability: Floats, ages: Sequence[int]) -> Floats:
    """(n, 121) with P(age ≥ gate) as `probability` (n, gates) has it: the mass between two gates is scaled.

    Between gates without any mass it is spread evenly.
    """
    starts, width = [0, *ages], np.diff([0, *ages, YEARS])
    wanted = -np.diff(np.pad(probability, ((0, 0), (1, 1)), constant_values=(1.0, 0.0)))
    found = np.add.reduceat(pmf, starts, axis=1)
    band = np.repeat(np.arange(len(width)), width)
    scaled = pmf * (wanted / np.maximum(found, 1e-300))[:, band]
    return np.asarray(np.where(found[:, band] > 1e-12, scaled, (wanted / width)[:, band]), np.float64)
