"""The rules that are compared: what the account declares, taken as it is; and models trained in different ways."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.age.abstain import Why
from detectors.age.model import AgeModel
from detectors.age.spec import PUBLISHED, Noise, Spec, read_spec
from detectors.age.table import Table, table_of
from detectors.training.age.estimating import calibrated, estimator_for
from detectors.training.age.fit import Recipe
from detectors.training.age.parts import digests_of, split
from detectors.training.age.population.signals import Columns
from detectors.training.age.rows import Rows, checked

SPEC: Final = Path("detectors/training/age/specs/listening.yaml")
DECLARED: Final = "the declared age, taken as it is"
WITHOUT: Final = "model without the declared age"
WITH: Final = "model with the declared age"
STATED: Final = "noise stated, nobody verified"
IGNORED: Final = "noise ignored"
LEAST: Final = (1, 3, 5)  # signals
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a rule says of n accounts at the gates 13, 16 and 18."""

    stopped: NDArray[np.bool_]  # (n, 3); whoever is abstained from is
    abstained: NDArray[np.bool_]  # (n,)


Rule = Callable[[Columns], Answers]


def rules(columns: Columns, recipe: Recipe, say: Say) -> Mapping[str, Rule]:
    """By name, learnt from a table of the population."""
    spec = read_spec(SPEC)
    models = {WITH: spec, STATED: _unverified(spec, spec.target.noise), IGNORED: _unverified(spec, Noise())}
    found: dict[str, Rule] = {DECLARED: by_declared}
    for name, one in models.items():
        say(f"training: {name}")
        with_declared, without = _models(checked(table_of(columns), one), one, recipe)
        found[name] = by_model(with_declared)
        if name == WITH:
            found[WITHOUT] = by_model(without)
            found |= {at_least(least): by_model(_asking(with_declared, least)) for least in LEAST}
    return found


def at_least(signals: int) -> str:
    """The model that abstains from profiles with fewer."""
    return f"{WITH}, at least {signals} signals"


def _asking(model: AgeModel, signals: int) -> AgeModel:
    return replace(model, limits=model.limits.model_copy(update={"signals": signals}))


def _unverified(spec: Spec, noise: Noise) -> Spec:
    return spec.model_copy(update={"target": spec.target.model_copy(update={"verified": None, "noise": noise})})


def _models(rows: Rows, spec: Spec, recipe: Recipe) -> tuple[AgeModel, AgeModel]:
    """One network, calibrated with the declared age and without it."""
    parts = split(digests_of(rows.table, spec, recipe.seed), rows.verified)
    estimator = estimator_for(rows.take(parts.train), spec, recipe, lambda _: None)
    holding = rows.take(parts.calibration)
    silent = replace(estimator, spec=spec.model_copy(update={"declared": None}))
    return calibrated(estimator, holding, estimator(holding.table)), calibrated(silent, holding, silent(holding.table))


def by_declared(columns: Columns) -> Answers:
    """Stops whoever declares less than the gate, or nothing."""
    told = np.array([-1 if age is None else age for age in columns["declared_age"]])
    return Answers(told[:, None] < np.array(PUBLISHED), told < 0)


def by_model(model: AgeModel) -> Rule:
    """Stops whom the model puts below the threshold of the gate or of a lower one, and whom it abstains from."""

    def rule(columns: Columns) -> Answers:
        said = model.predict(_asked(columns))
        silent = said.abstained != Why.none
        thresholds = {gate.age: gate.threshold.threshold if gate.threshold else 1.0 for gate in model.gates}
        below = np.stack([said.reaching(gate) < thresholds[gate] for gate in PUBLISHED], axis=1)
        return Answers(np.logical_or.accumulate(below, axis=1) | silent[:, None], silent)

    return rule


def _asked(columns: Columns) -> Table:
    """What a model may read: nothing that only the simulation knows."""
    hidden = {"true_age", "age", "age_verified", "account", "account_id"}
    return table_of({name: cells for name, cells in columns.items() if name not in hidden})
