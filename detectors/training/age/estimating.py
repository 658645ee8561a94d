"""From rows to an estimator, and to a calibrated model."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from detectors.age.abstain import Familiar, Limits
from detectors.age.distribution import off_centre, reaching
from detectors.age.estimator import Estimates, Estimator, joined
from detectors.age.features import Features, Matrix, emptied
from detectors.age.model import AgeModel, Predictions
from detectors.age.network import AgeNetwork
from detectors.age.spec import PUBLISHED, Spec
from detectors.training.age import intervals, thresholds
from detectors.training.age.fit import Progress, Recipe, Weighing, evenly, fit
from detectors.training.age.groups import groups_of
from detectors.training.age.learning import learn
from detectors.training.age.parts import folds
from detectors.training.age.rows import Rows

COVERAGE: Final = 0.9
FAMILIAR: Final = 0.995  # share of people like those of the table whom the model answers
_ROWS: Final = 20_000  # that say what is familiar
_DIRECTIONS: Final = 32
LEAST: Final = 30  # people in a bucket
FOLDS: Final = 5  # that calibrate in a small table

Say = Callable[[str], None]


def estimator_for(
    rows: Rows, spec: Spec, recipe: Recipe, say: Callable[[Progress], None], weighing: Weighing = evenly
) -> Estimator:
    """Learnt from all the rows, which count as `weighing` has it."""
    features, condensed = learn(rows.table, rows.ages, spec)
    matrix = features.matrix(rows.table, condensed)
    buckets = supported(spec.buckets, rows.ages) if recipe.head == "classifier" else ()
    network = fit(matrix, rows.ages, rows.doubtful, features, spec.target.noise, recipe, say, buckets, weighing)
    return Estimator(spec, features, network, _familiar(network, matrix, features, recipe))


def supported(buckets: Sequence[int], ages: NDArray[np.int64]) -> tuple[int, ...]:
    """Of the first ages of buckets those that leave enough people in each."""
    kept: tuple[int, ...] = ()
    for border in buckets:
        tried = (*kept, border)
        if np.bincount(np.digitize(ages, tried), minlength=len(tried) + 1).min() >= LEAST:
            kept = tried
    return kept


def calibrated(estimator: Estimator, rows: Rows, found: Estimates) -> AgeModel:
    """The model, calibrated on rows that the estimator has not seen and its estimates of them."""
    scores = off_centre(found.pmf, rows.ages)
    reach = intervals.learn(scores, found.matrix, groups_of(rows.table, estimator.spec), COVERAGE)
    ages = sorted({*PUBLISHED, *estimator.spec.gates})
    sides = np.stack([reaching(found.pmf, age) for age in ages], axis=1)
    gates = thresholds.gates_at(ages, sides, rows.ages, thresholds.STOPPED, thresholds.CONFIDENCE)
    usual = found.distance[np.isfinite(found.distance)]
    farthest = float(np.quantile(usual, FAMILIAR)) if len(usual) else 1.0
    return AgeModel(estimator, reach, gates, Limits(signals=estimator.spec.least_signals, distance=max(farthest, 1e-6)))


def of_other_folds(rows: Rows, spec: Spec, recipe: Recipe, whole: Estimator, say: Say) -> Estimates:
    """Estimates of each row by an estimator that was learnt from the other folds; features as `whole` has them."""
    found: list[Estimates] = []
    places: list[NDArray[np.intp]] = []
    for number, (learn_from, others) in enumerate(folds(len(rows), FOLDS, recipe.seed), 1):
        say(f"calibration: fold {number} of {FOLDS}")
        part = estimator_for(rows.take(learn_from), spec, recipe, lambda _: None)
        found.append(part(rows.table.take(others)))
        places.append(others)
    width = whole.features.width
    same = [replace(each, matrix=np.zeros((len(each.pmf), width), np.float32)) for each in found]
    ordered = joined(same).take(np.argsort(np.concatenate(places)))
    return replace(ordered, matrix=whole.features.matrix(rows.table))


def on_folds(
    estimator: Estimator, rows: Rows, found: Estimates, seed: int
) -> Iterator[tuple[AgeModel, Predictions, NDArray[np.intp]]]:
    """Fold by fold: the model as the other folds calibrate it, what it says of the fold, and the fold's rows."""
    for others, fold in folds(len(rows), FOLDS, seed):
        model = calibrated(estimator, rows.take(others), found.take(others))
        yield model, model.calibrated(found.take(fold)), fold


@torch.inference_mode()
def _familiar(network: AgeNetwork, matrix: Matrix, features: Features, recipe: Recipe) -> Familiar:
    """Mean and main directions of what the last hidden layers hold, over training rows, some signals emptied."""
    rng = np.random.default_rng(recipe.seed)
    some = matrix[rng.permutation(len(matrix))[:_ROWS]]
    chance = rng.random((len(some), 1)) * (rng.random((len(some), 1)) < 0.5)
    drop = rng.random((len(some), len(features.indicators))) < chance
    held = network.both(torch.from_numpy(emptied(some, features, drop)))[0].numpy()
    centre = held.mean(axis=0)
    variance, directions = np.linalg.eigh(np.cov(held - centre, rowvar=False))
    kept = np.argsort(variance)[::-1][:_DIRECTIONS]
    kept = kept[variance[kept] > 1e-6 * variance.max()]
    return Familiar(centre, (directions[:, kept] / np.sqrt(variance[kept])).astype(np.float32))
