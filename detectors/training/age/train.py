"""An age model from anyone's table.

read → check → split (one row is one account) → learn the signals → fit → calibrate apart → figures → directory
"""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from detectors.age.abstain import Why
from detectors.age.distribution import off_centre
from detectors.age.estimator import Estimates
from detectors.age.gates import below_thresholds
from detectors.age.model import AgeCard, AgeModel, Predictions
from detectors.age.reading import read
from detectors.age.spec import Spec
from detectors.loading.base_models import sha256
from detectors.training.age import intervals, saving
from detectors.training.age.comparison import compared
from detectors.training.age.estimating import FOLDS, Say, calibrated, estimator_for, of_other_folds, on_folds
from detectors.training.age.figures import Forecast, by_group, figures, joined
from detectors.training.age.fit import Progress, Recipe
from detectors.training.age.groups import groups_of
from detectors.training.age.parts import Parts, apart, digests_of, fingerprints, split
from detectors.training.age.rows import Rows, checked
from schemas.errors import UserMistake


def train(tables: Sequence[Path], spec: Spec, out: Path, recipe: Recipe, compare: bool, say: Say) -> AgeCard:
    """Train from the tables and write the model directory `out`.

    Raises UserMistake if `out` is there already, or the tables are not such that something can be learnt from them.
    """
    if out.exists():
        raise UserMistake(f"{out} is there already: remove it, or name another folder with --out")
    rows = checked(read(tables, spec), spec)
    for warning in rows.warnings:
        say(f"warning: {warning}")
    digests = digests_of(rows.table, spec, recipe.seed)
    parts = split(digests, rows.verified)
    say(
        f"{len(rows)} rows: {len(parts.train)} to train, {len(parts.calibration)} to calibrate, "
        f"{len(parts.test)} to test"
    )
    model, evaluation = fitted(rows, parts, spec, recipe, say)
    if compare:
        evaluation["comparison"] = compared(rows, parts, spec, recipe, say)
    card = _card(model, rows, parts, evaluation, tables, recipe, out.name)
    learnt = np.concatenate([parts.train, parts.calibration])
    known = {"apart": apart(len(rows), rows.verified), "fingerprints": fingerprints(digests, learnt)}
    card = card.model_copy(update={"training": card.training | known})
    saving.save(model, card, out)
    return card


def fitted(rows: Rows, parts: Parts, spec: Spec, recipe: Recipe, say: Say) -> tuple[AgeModel, dict[str, Any]]:
    """The calibrated model and its figures: on parts held apart, or in small tables on folds."""
    training = rows.take(parts.train)
    estimator = estimator_for(training, spec, recipe, lambda progress: say(_line(progress)))
    if len(parts.test):
        holding, testing = rows.take(parts.calibration), rows.take(parts.test)
        held = estimator(holding.table)
        model = calibrated(estimator, holding, held)
        test = evaluated(model, [model.predict(testing.table)], [testing], [model])
        return model, {"test": test, "width": _price(model, holding, held)}
    found = of_other_folds(training, spec, recipe, estimator, say)
    models, said, tested = [], [], []
    for by, answers, fold in on_folds(estimator, training, found, recipe.seed):
        models.append(by)
        said.append(answers)
        tested.append(training.take(fold))
    model = calibrated(estimator, training, found)
    test = evaluated(model, said, tested, models) | {"folds": FOLDS}
    return model, {"test": test, "width": _price(model, training, found)}


def _price(model: AgeModel, rows: Rows, found: Estimates) -> dict[str, float]:
    return intervals.price(found.pmf, off_centre(found.pmf, rows.ages), found.matrix, model.reach)


def evaluated(
    model: AgeModel, said: Sequence[Predictions], tested: Sequence[Rows], models: Sequence[AgeModel]
) -> dict[str, Any]:
    """Figures of the rows that are answered, and what share those are; and by group. Each part by its own model."""
    forecasts, ages, groups = [], [], []
    for one, rows, by in zip(said, tested, models, strict=True):
        kept = np.flatnonzero(one.abstained == Why.none)
        stopped = below_thresholds(by.gates, one.gates[kept])
        forecasts.append(Forecast(one.pmf[kept], one.gates[kept], one.low[kept], one.high[kept], stopped))
        ages.append(rows.ages[kept])
        groups.append(groups_of(rows.table.take(kept), model.estimator.spec))
    names = sorted({name for each in groups for name in each})
    of_group = {
        name: np.concatenate([each.get(name, np.zeros(len(a), bool)) for each, a in zip(groups, ages, strict=True)])
        for name in names
    }
    whole, truth = joined(forecasts), np.concatenate(ages)
    found = figures(whole, truth, model.gates)
    found["abstained"] = round(1 - len(truth) / sum(map(len, tested)), 4)
    return found | {"by_group": by_group(whole, truth, of_group)}


def _card(
    model: AgeModel,
    rows: Rows,
    parts: Parts,
    evaluation: dict[str, Any],
    tables: Sequence[Path],
    recipe: Recipe,
    name: str,
) -> AgeCard:
    estimator, about = model.estimator, model.estimator.spec.about
    data = [{"name": path.name, "files": {path.name: sha256(path)}} for path in tables]
    origin = {"origin": about.origin, "licence": about.licence} if about.origin else {}
    return AgeCard(
        name=about.name or name,
        detector="age",
        summary=f"{about.summary} A distribution over years of age from the signals "
        f"{', '.join(estimator.features.statistics)}; head {recipe.head}, {recipe.members} members.".strip(),
        licence=about.licence,
        languages=(),
        evaluation=evaluation,
        training={
            "recipe": asdict(recipe),
            "libraries": {each: version(each) for each in ("torch", "numpy", "scikit-learn")},
            "rows": {part: len(getattr(parts, part)) for part in ("train", "calibration", "test")},
            "ages": {"least": int(rows.ages.min()), "most": int(rows.ages.max())},
            "warnings": list(rows.warnings),
            "data": [each | origin for each in data],
        },
        limits=(*about.limits, *_limits(model, parts)),
        files={},
    )


def _limits(model: AgeModel, parts: Parts) -> tuple[str, ...]:
    found = ["All figures hold for people like those of the table: how others differ is not known."]
    if unsupported := [str(gate.age) for gate in model.gates if not gate.supported]:
        found.append(f"Too few people on one side of {', '.join(unsupported)}: these gates are not calibrated.")
    if not len(parts.calibration):
        found.append(
            "Few rows: calibrated and tested on folds, so that coverage and gate errors hold about, not exactly."
        )
    if model.estimator.spec.target.verified:
        found.append(
            "Only some ages are verified: they calibrate and test, and the others are learnt from as doubtful."
        )
    if said := model.estimator.spec.declared:
        most = f"{said.weight:g}, one below 18 by {said.weight_below:g}"
        found.append(f"A declared age multiplies the odds of one age against another by at most {most}.")
    return tuple(found)


def _line(progress: Progress) -> str:
    return f"step {progress.step}/{progress.of}  loss {progress.loss:.3f}"
