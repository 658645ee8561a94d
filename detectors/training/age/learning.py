"""What is learnt of each signal on the training part: quantiles, vocabularies, and of texts the linear models."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.stats import norm
from sklearn.linear_model import Ridge

from detectors.age import cells
from detectors.age.features import (
    Features,
    FlagStatistics,
    Matrix,
    NumberStatistics,
    TextStatistics,
    WordStatistics,
    said,
)
from detectors.age.spec import Kind, Signal, Spec
from detectors.age.table import Column, Table
from detectors.age.words import BUCKETS, Bags, Texts, bags_of, length, normalised, weighed
from schemas.errors import UserMistake

LANDMARKS: Final = 128
BINS: Final = 8
LEAST: Final = 20  # rows in which a word occurs, to stand in a vocabulary
MOST_WORDS: Final = 200  # of a signal
FOLDS: Final = 5
_CUTS: Final = (0.1, 0.25, 0.5, 0.75)  # quantiles of the ages: is it above each?
_RIDGE: Final = 0.05
_LEAST_TEXTS: Final = 4  # in which a word occurs, to count
_SEED: Final = 5

_Learnt = NumberStatistics | FlagStatistics | WordStatistics


def learn(table: Table, ages: NDArray[np.int64], spec: Spec) -> tuple[Features, dict[str, Matrix]]:
    """Features, and for each text signal what models of the other folds make of each row's text (n, outputs).

    A signal that says the same everywhere, or nothing, is left out; UserMistake if none remains.
    """
    statistics: dict[str, NumberStatistics | FlagStatistics | WordStatistics | TextStatistics] = {}
    texts: dict[str, Texts] = {}
    condensed: dict[str, Matrix] = {}
    for name, signal in spec.signals.items():
        column = table[name].without(signal.missing)
        if signal.kind == "text" and column.present.sum() >= FOLDS * 4:
            texts[name], condensed[name] = learn_texts(column, ages, spec.gates)
            statistics[name] = TextStatistics(outputs=condensed[name].shape[1])
        elif signal.kind != "text" and (found := _statistics(column, signal)):
            statistics[name] = found
    if not statistics:
        raise UserMistake("no signal says anything: each is missing, or the same, in every row")
    return Features({name: spec.signals[name] for name in statistics}, statistics, texts), condensed


def _statistics(column: Column, signal: Signal) -> _Learnt | None:
    if signal.kind in {"number", "count"}:
        return _number(cells.numbers(column), signal.kind)
    if signal.kind == "flag":
        return FlagStatistics() if np.unique(cells.flags(column)).size > 1 else None
    return _words(column, signal)


def _number(values: NDArray[np.float64], kind: Kind) -> NumberStatistics | None:
    values = values[~np.isnan(values)]
    assert kind in {"number", "count"}
    logged = np.sign(values) * np.log1p(np.abs(values)) if kind == "count" else values
    if not len(values) or logged.min() == logged.max():
        return None
    shares = (np.arange(LANDMARKS) + 0.5) / LANDMARKS
    landmarks = np.unique(np.concatenate([[logged.min()], np.quantile(logged, shares), [logged.max()]]))
    below = np.searchsorted(np.sort(logged), landmarks, "left") + np.searchsorted(np.sort(logged), landmarks, "right")
    scores = norm.ppf(np.clip(below / (2 * len(logged)), 0.5 / LANDMARKS, 1 - 0.5 / LANDMARKS))
    bins = np.unique(np.quantile(np.interp(logged, landmarks, scores), np.arange(1, BINS) / BINS)) if BINS else ()
    return NumberStatistics(
        kind="count" if kind == "count" else "number",
        landmarks=tuple(map(float, landmarks)),
        scores=tuple(map(float, scores)),
        bins=tuple(map(float, bins)),
    )


def _words(column: Column, signal: Signal) -> WordStatistics | None:
    rows = np.bincount(column.codes[column.present], minlength=len(column.values))
    found: Counter[str] = Counter()
    for value, count in zip(column.values, rows.tolist(), strict=True):
        for word in said(value, signal):
            found[word] += count
    vocabulary = tuple(word for word, count in found.most_common(MOST_WORDS) if count >= LEAST)
    if not vocabulary or (len(found) == 1 and column.present.all()):
        return None
    return WordStatistics(kind="tags" if signal.kind == "tags" else "category", vocabulary=vocabulary)


def learn_texts(column: Column, ages: NDArray[np.int64], gates: Sequence[int]) -> tuple[Texts, Matrix]:
    """Linear models of a text signal, and what those of the other folds make of each row (n, outputs), standardised."""
    rows = np.flatnonzero(column.present)
    wanted = _wanted(ages, gates)[rows]
    bags = bags_of([str(column.values[code]) for code in column.codes[rows]])
    apart = np.zeros((len(rows), wanted.shape[1]), np.float32)
    fold = np.random.default_rng(_SEED).permutation(len(rows)) % FOLDS
    for one in range(FOLDS):
        learn_from, others = np.flatnonzero(fold != one), np.flatnonzero(fold == one)
        model = _ridge(_part(bags, learn_from), wanted[learn_from])
        held = _part(bags, others)
        apart[others] = weighed(held, model[0], model[1]) + model[2]
    idf, weights, intercept = _ridge(bags, wanted)
    raw = np.column_stack([apart, length(bags)])
    centre, scale = raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-6)
    condensed = np.zeros((len(column), wanted.shape[1]), np.float32)
    condensed[rows] = ((apart - centre[:-1]) / scale[:-1]).astype(np.float32)
    return Texts(idf, weights, intercept, centre.astype(np.float32), scale.astype(np.float32)), condensed


def _wanted(ages: NDArray[np.int64], gates: Sequence[int]) -> NDArray[np.float64]:
    """(n, outputs): the age in standard deviations, and whether it reaches each gate and some quantiles."""
    cuts = sorted({*gates, *np.ceil(np.quantile(ages, _CUTS)).tolist()})
    sides = [ages >= cut for cut in cuts if ages.min() < cut <= ages.max()]
    return np.column_stack([(ages - ages.mean()) / max(ages.std(), 1e-6), *sides]).astype(np.float64)


def _ridge(bags: Bags, wanted: NDArray[np.float64]) -> tuple[Matrix, Matrix, Matrix]:
    """IDF (BUCKETS,), weights (BUCKETS, outputs) and intercept (outputs,)."""
    rows = len(bags.starts) - 1
    frequency = np.bincount(bags.buckets, minlength=BUCKETS)
    used = np.flatnonzero(frequency >= _LEAST_TEXTS)
    idf, weights = np.zeros(BUCKETS, np.float32), np.zeros((BUCKETS, wanted.shape[1]), np.float32)
    idf[used] = np.log((1 + rows) / (1 + frequency[used])) + 1
    if not len(used):
        return idf, weights, wanted.mean(axis=0).astype(np.float32)
    entries = normalised(bags, idf), bags.buckets, bags.starts
    model = Ridge(alpha=_RIDGE, solver="sparse_cg").fit(csr_matrix(entries, shape=(rows, BUCKETS))[:, used], wanted)
    weights[used] = model.coef_.T
    return idf, weights, model.intercept_.astype(np.float32)


def _part(bags: Bags, rows: NDArray[np.intp]) -> Bags:
    counts = np.diff(bags.starts)[rows]
    starts = np.concatenate([[0], np.cumsum(counts)])
    entries = np.repeat(bags.starts[rows] - starts[:-1], counts) + np.arange(starts[-1])
    return Bags(starts, bags.buckets[entries], bags.weights[entries])
