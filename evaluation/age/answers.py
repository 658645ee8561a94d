"""What a model does to people: its distributions, and whom it stops at each gate.

Whoever a model abstains from is stopped at every gate, because policy then takes the stricter audience.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.age.distribution import Floats
from detectors.age.gates import Gate, below_thresholds
from detectors.age.model import AgeModel, Predictions
from detectors.training.age.estimating import Say, of_other_folds, on_folds
from detectors.training.age.fit import Recipe
from detectors.training.age.rows import Rows

Truths = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class AtGate:
    """Of n people at one gate."""

    reach: Floats  # (n,) calibrated P(age ≥ gate), NaN where the model abstained
    stopped: Truths  # (n,) by the model's own threshold, or by that of a lower gate

    def below(self, threshold: float) -> Truths:
        """(n,) stopped by another threshold, at this gate alone."""
        return np.asarray(~(self.reach >= threshold), bool)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Of n people by one model; NaN where it abstained."""

    pmf: Floats  # (n, 121)
    low: Floats  # (n,) the interval's ends
    high: Floats
    gates: Mapping[int, AtGate]  # by age, those that the model was calibrated at and has a threshold for

    @property
    def answered(self) -> Truths:
        """(n,) not abstained from."""
        return np.asarray(~np.isnan(self.low), bool)

    def take(self, rows: NDArray[np.intp]) -> "Answers":
        """The same of other people."""
        gates = {age: AtGate(one.reach[rows], one.stopped[rows]) for age, one in self.gates.items()}
        return Answers(self.pmf[rows], self.low[rows], self.high[rows], gates)


def of_model(model: AgeModel, rows: Rows) -> Answers:
    """As the model answers."""
    return _answers(model.gates, model.predict(rows.table))


def of_folds(model: AgeModel, rows: Rows, recipe: Recipe, say: Say) -> Answers:
    """Of people whom the model has learnt from: each by one made in the same way from others."""
    found = of_other_folds(rows, model.estimator.spec, recipe, model.estimator, say)
    parts, places = [], []
    for by, said, fold in on_folds(model.estimator, rows, found, recipe.seed):
        parts.append(_answers(by.gates, said))
        places.append(fold)
    return _joined(parts).take(np.argsort(np.concatenate(places)))


def _answers(gates: Sequence[Gate], said: Predictions) -> Answers:
    stopped = below_thresholds(gates, said.gates)
    found = {
        gate.age: AtGate(said.gates[:, place], stopped[:, place]) for place, gate in enumerate(gates) if gate.threshold
    }
    return Answers(said.pmf, said.low, said.high, found)


def _joined(parts: Sequence[Answers]) -> Answers:
    common = set.intersection(*({*part.gates} for part in parts))
    gates = {
        age: AtGate(
            np.concatenate([part.gates[age].reach for part in parts]),
            np.concatenate([part.gates[age].stopped for part in parts]),
        )
        for age in sorted(common)
    }
    pmf, low, high = (np.concatenate([getattr(part, name) for part in parts]) for name in ("pmf", "low", "high"))
    return Answers(pmf, low, high, gates)
