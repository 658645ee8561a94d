"""Heads against each other, a bucket classifier among them, and gradient boosting: calibrated and tested alike.

Each is given the same rows to learn from and the same to be calibrated on: Platt scaling at the gates, one conformal
quantile for the intervals, the same risk control for the thresholds.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.age.conformal import quantile
from detectors.age.distribution import Floats, central, off_centre, reaching
from detectors.age.gates import Gate, below_thresholds, scaled
from detectors.age.network import HEADS, Head
from detectors.age.spec import PUBLISHED, Spec
from detectors.age.table import Table
from detectors.training.age import rivals, thresholds
from detectors.training.age.estimating import COVERAGE, FOLDS, Say, estimator_for
from detectors.training.age.figures import Forecast, figures, joined
from detectors.training.age.fit import Recipe
from detectors.training.age.learning import learn
from detectors.training.age.parts import Parts, folds
from detectors.training.age.rows import Rows

Answer = tuple[Floats, Floats]  # pmf (n, 121), and P(age ≥ gate) (n, gates), before calibration
Contender = Callable[[Rows], Callable[[Table], Answer]]


def compared(rows: Rows, parts: Parts, spec: Spec, recipe: Recipe, say: Say) -> dict[str, Any]:
    """Figures of the test part by contender; those of the last are of one distribution for everyone."""
    found = {}
    gates = sorted({*PUBLISHED, *spec.gates})
    for name, contender in contenders(spec, recipe, gates).items():
        say(f"comparison: {name}")
        found[name] = _judged(contender, rows, parts, gates, recipe.seed)
    return found


def contenders(spec: Spec, recipe: Recipe, gates: list[int]) -> Mapping[str, Contender]:
    """By name: every head, and the rivals."""
    heads = {str(head): _of_head(spec, recipe, head, gates) for head in HEADS}
    return heads | {
        "gradient boosting": _of_rival(rivals.boosting, spec, gates),
        "always the same": _of_rival(rivals.always, spec, gates),
    }


def _of_head(spec: Spec, recipe: Recipe, head: Head, gates: list[int]) -> Contender:
    def learnt(rows: Rows) -> Callable[[Table], Answer]:
        estimator = estimator_for(rows, spec, recipe.with_head(head), lambda _: None)

        def answer(table: Table) -> Answer:
            pmf = estimator(table).pmf
            return pmf, np.stack([reaching(pmf, gate) for gate in gates], axis=1)

        return answer

    return learnt


def _of_rival(kind: Callable[..., rivals.Rival], spec: Spec, gates: list[int]) -> Contender:
    def learnt(rows: Rows) -> Callable[[Table], Answer]:
        features, condensed = learn(rows.table, rows.ages, spec)
        rival = kind(features.matrix(rows.table, condensed), rows.ages, gates)

        def answer(table: Table) -> Answer:
            matrix = features.matrix(table)
            return rival.pmf(matrix), rival.reaching(matrix)

        return answer

    return learnt


def _judged(contender: Contender, rows: Rows, parts: Parts, gates: list[int], seed: int) -> dict[str, Any]:
    training = rows.take(parts.train)
    if len(parts.test):
        holding, testing = rows.take(parts.calibration), rows.take(parts.test)
        answer = contender(training)
        forecast, fitted = _calibrated(answer(holding.table), holding.ages, answer(testing.table), gates)
        return figures(forecast, testing.ages, fitted)
    whole, forecasts, ages = _of_folds(contender, training, seed), [], []
    for others, fold in folds(len(training), FOLDS, seed):
        held, asked = ((whole[0][some], whole[1][some]) for some in (others, fold))
        forecasts.append(_calibrated(held, training.ages[others], asked, gates)[0])
        ages.append(training.ages[fold])
    return figures(joined(forecasts), np.concatenate(ages), _calibrated(whole, training.ages, whole, gates)[1])


def _calibrated(
    held: Answer, ages: NDArray[np.int64], asked: Answer, gates: list[int]
) -> tuple[Forecast, tuple[Gate, ...]]:
    """What is said of those asked about, calibrated on those held apart and their ages."""
    reach = quantile(off_centre(held[0], ages), COVERAGE)
    low, high = (end.astype(np.float64) for end in central(asked[0], np.full(len(asked[0]), reach)))
    fitted = thresholds.gates_at(gates, held[1], ages, thresholds.STOPPED, thresholds.CONFIDENCE)
    said = scaled(fitted, asked[1])
    return Forecast(asked[0], said, low, high, below_thresholds(fitted, said)), fitted


def _of_folds(contender: Contender, rows: Rows, seed: int) -> Answer:
    parts, places = [], []
    for learn_from, others in folds(len(rows), FOLDS, seed):
        parts.append(contender(rows.take(learn_from))(rows.table.take(others)))
        places.append(others)
    order = np.argsort(np.concatenate(places))
    return np.concatenate([pmf for pmf, _ in parts])[order], np.concatenate([sides for _, sides in parts])[order]
