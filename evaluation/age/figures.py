"""All figures of a report, as they stand in report.json: of one model, or of two against each other."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from detectors.loading.base_models import sha256
from detectors.training.age.groups import groups_of
from evaluation.age import accuracy, gaps, gates, groups, limits
from evaluation.age.answers import Answers
from evaluation.age.contenders import Contender
from schemas.errors import UserMistake


def figures(new: Contender, old: Contender | None, tables: Sequence[Path]) -> dict[str, Any]:
    """On people by whom both may be judged. UserMistake if there are none, or the models aim at different ages."""
    places = _common(new, old)
    ages, spec = new.rows.ages[places], new.model.estimator.spec
    said = {"new": new.about(places)} | ({"old": old.about(places)} if old else {})
    judged = limits.judged_gates(sorted(set.intersection(*({*one.gates} for one in said.values()))), ages)
    by_group = groups_of(new.rows.table.take(places), spec)
    return {
        "cannot_show": limits.first_line(spec, ages, judged),
        "models": {"new": _model(new)} | ({"old": _model(old)} if old else {}),
        "people": {
            "judged": len(places),
            "ages": [int(ages.min()), int(ages.max())],
            "abstained": {name: int((~one.answered).sum()) for name, one in said.items()},
            "tables": [{"name": path.name, "sha256": sha256(path)} for path in tables],
        },
        "gates": {str(age): _gate(age, said, ages, by_group) for age in judged},
        **_accuracy(said, ages),
        "groups": groups.by_group(said["new"], said.get("old"), ages, by_group),
        "safestream": version("safestream"),
    }


def _common(new: Contender, old: Contender | None) -> Any:
    if old is None:
        return new.places
    if new.model.estimator.spec.target != old.model.estimator.spec.target:
        raise UserMistake(f"{new.name} and {old.name} have learnt different targets: they can't be compared")
    places = np.intersect1d(new.places, old.places)
    if not len(places):
        raise UserMistake(
            f"{new.name} and {old.name} have held nobody apart in common: train both with the same --seed"
        )
    return places


def _model(one: Contender) -> dict[str, Any]:
    network = one.model.estimator.network
    return {
        "name": one.name,
        "version": one.model.version,
        "summary": one.card.summary,
        "head": network.head,
        "borders": list(network.borders),
        "judged": one.way,
        "seed": one.card.training["recipe"]["seed"],
    }


def _gate(age: int, said: dict[str, Answers], ages: accuracy.Ages, by_group: Any) -> dict[str, Any]:
    above = ages >= age
    at = {name: one.gates[age] for name, one in said.items()}
    found: dict[str, Any] = {"above": int(above.sum()), "below": int((~above).sum())}
    found |= {name: gates.alone(one, above) for name, one in at.items()}
    if "old" in at:
        found |= gates.together(at["new"], at["old"], above)
    return found | {"equal_stops": {name: gaps.at(one, age, ages, by_group) for name, one in at.items()}}


def _accuracy(said: dict[str, Answers], ages: accuracy.Ages) -> dict[str, Any]:
    """Of people whom every model has answered, so that one that abstains more is not the better for it."""
    kept = np.flatnonzero(np.logical_and.reduce([one.answered for one in said.values()]))
    answers, truth = {name: one.take(kept) for name, one in said.items()}, ages[kept]
    error = {name: accuracy.errors(one, truth) for name, one in answers.items()}
    overall: dict[str, Any] = {name: accuracy.overall(one, truth) for name, one in answers.items()}
    if "old" in said:
        overall["change"] = {"mae": accuracy.mean(np.abs(error["new"]) - np.abs(error["old"]))}
    return {"overall": overall, "by_age": accuracy.by_age(error["new"], error.get("old"), truth)}
