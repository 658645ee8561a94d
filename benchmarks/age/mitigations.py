"""Ways to make an age model treat groups alike, and what each costs: tried on people whom no model has learnt from.

reweighted           each row counts by P(group) · P(age band) / P(both), so that group and age are independent
                     (Kamiran and Calders 2012)
group DRO            groups by age band, weighed anew in every step by how badly they do (Sagawa et al. 2020,
                     arXiv:1911.08731)
calibrated by group  the regressor as it is, its gates calibrated for each group by itself: who uses it must know
                     the group of everyone, so here it only shows what knowing would bring
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detectors.age.distribution import Floats, reaching
from detectors.age.gates import logit
from detectors.age.spec import Spec
from detectors.calibration import fit
from detectors.training.age.estimating import Say, calibrated, estimator_for
from detectors.training.age.fit import Recipe, Weighing, evenly
from detectors.training.age.groups import groups_of
from detectors.training.age.parts import digests_of, split
from detectors.training.age.rows import Rows
from evaluation.age import gaps, rates
from evaluation.age.answers import AtGate

BANDS: Final = (21, 25, 30, 40)
_STEP: Final = 0.05  # how fast group DRO turns to the groups that do badly
_LEAST: Final = 50  # people of a group, to be weighed as one

Truths = NDArray[np.bool_]
Reach = dict[int, Floats]  # P(age ≥ gate) of the tested people by gate


def tried(rows: Rows, spec: Spec, column: str, recipe: Recipe, say: Say) -> dict[str, Any]:
    """By way and gate: shares and gaps by group of the column where 5 % of all at or above the gate are stopped."""
    parts = split(digests_of(rows.table, spec, recipe.seed), rows.verified)
    training, holding, testing = (rows.take(part) for part in (parts.train, parts.calibration, parts.test))
    within = _kinds(training, spec, column)
    ways: Mapping[str, tuple[Recipe, Weighing]] = {
        "classifier": (recipe.with_head("classifier"), evenly),
        "regressor": (recipe, evenly),
        "reweighted": (recipe, reweighted(within)),
        "group DRO": (recipe, group_dro(within)),
    }
    found = {}
    for name, (own, weighing) in ways.items():
        say(f"{column}: {name}")
        reach, by_group = _reach(training, holding, testing, spec, own, weighing, column)
        found[name] = _figures(reach, testing, spec, column)
        if name == "regressor":
            found["calibrated by group"] = _figures(by_group, testing, spec, column)
    return found


def reweighted(kinds: NDArray[np.int64]) -> Weighing:
    """`kinds` (n, 2): group and age band of each row; -1 where the group is not known."""
    group, band = kinds.T
    weights = np.ones(len(kinds))
    for one in np.unique(group[group >= 0]):
        for other in np.unique(band):
            rows = (group == one) & (band == other)
            weights[rows] = (group == one).mean() * (band == other).mean() / max(rows.mean(), 1e-9)
    scale = torch.from_numpy(weights / weights.mean()).float()
    return lambda losses, rows: (losses * scale[rows]).mean()


def group_dro(kinds: NDArray[np.int64]) -> Weighing:
    """The losses of the kinds of people, weighed: the weight of one that does badly grows."""
    names, kind = np.unique(kinds, axis=0, return_inverse=True)
    of_row = torch.from_numpy(kind.reshape(-1))
    weight = torch.full((len(names),), 1 / len(names))

    def weigh(losses: Tensor, rows: Tensor) -> Tensor:
        kind_of, flat = of_row[rows].reshape(-1), losses.reshape(-1)
        count = torch.zeros(len(names)).index_add(0, kind_of, torch.ones_like(flat))
        mean = torch.zeros(len(names)).index_add(0, kind_of, flat) / count.clamp(min=1)
        weight.mul_(torch.exp(_STEP * mean.detach()))
        weight.div_(weight.sum())
        return (weight * mean).sum()

    return weigh


def _kinds(rows: Rows, spec: Spec, column: str) -> NDArray[np.int64]:
    """(n, 2) the group's number, -1 for none or a small one, and the age band."""
    group = np.full(len(rows), -1)
    for place, members in enumerate(_groups(rows, spec, column).values()):
        if members.sum() >= _LEAST:
            group[members] = place
    return np.column_stack([group, np.digitize(rows.ages, BANDS)])


def _reach(
    training: Rows, holding: Rows, testing: Rows, spec: Spec, recipe: Recipe, weighing: Weighing, column: str
) -> tuple[Reach, Reach]:
    """As the model comes, and calibrated by group."""
    estimator = estimator_for(training, spec, recipe, lambda _: None, weighing)
    held, asked = estimator(holding.table), estimator(testing.table)
    gates = {gate.age: gate for gate in calibrated(estimator, holding, held).gates if gate.age in spec.gates}
    plain = {age: gate.probability(reaching(asked.pmf, age)) for age, gate in gates.items()}
    by_group = {age: found.copy() for age, found in plain.items()}
    known = _groups(holding, spec, column)
    for name, members in _groups(testing, spec, column).items():
        for age in gates:
            own = known[name]
            platt = fit(logit(reaching(held.pmf[own], age)), (holding.ages[own] >= age).astype(float))
            by_group[age][members] = platt.probability(logit(reaching(asked.pmf[members], age)))
    return plain, by_group


def _figures(reach: Reach, testing: Rows, spec: Spec, column: str) -> dict[str, Any]:
    groups, found = _groups(testing, spec, column), {}
    for age, probability in reach.items():
        above = testing.ages >= age
        gate = AtGate(probability, np.zeros(len(above), bool))
        stopped = gate.below(rates.threshold_for(probability[above], gaps.STOPPED))
        found[str(age)] = {"everyone": rates.both(stopped, above)} | gaps.gap(stopped, above, groups)
    return found


def _groups(rows: Rows, spec: Spec, column: str) -> dict[str, Truths]:
    return {name: members for name, members in groups_of(rows.table, spec).items() if name.startswith(f"{column}=")}
