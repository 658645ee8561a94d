"""The figures for each group of people, and whether a group is treated otherwise than the others beyond chance.

Each figure of a group is tested against that of all others: means by Welch's test, shares by Fisher's exact test. Among
so many comparisons some are striking by chance, so the p-values of a model are corrected together (Holm 1979).
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from scipy.stats import fisher_exact, ttest_ind

from detectors.age.distribution import Floats
from evaluation.age.accuracy import Ages, covered, errors, mean
from evaluation.age.answers import Answers, Truths

LEAST: Final = 100  # people in a group
LEAST_SIDE: Final = 30  # of them on the side of a gate of which a share is taken

Values = dict[str, tuple[Floats, Truths]]  # by figure: a value of each person, and whose count


def by_group(new: Answers, old: Answers | None, ages: Ages, groups: Mapping[str, Truths]) -> dict[str, Any]:
    """Of each group that is large enough its figures by model, and how they change from old to new."""
    large = {name: rows for name, rows in groups.items() if rows.sum() >= LEAST}
    models = {"new": values(new, ages)} | ({"old": values(old, ages)} if old else {})
    found: dict[str, Any] = {}
    for name, rows in large.items():
        found[name] = {"people": int(rows.sum())}
        found[name] |= {model: _of(every, rows) for model, every in models.items()}
        if old:
            found[name]["change"] = _changes(models["new"], models["old"], rows)
    for model, every in models.items():
        _mark(found, model, every, large)
    return found


def values(answers: Answers, ages: Ages) -> Values:
    """What is averaged: error, signed error and coverage of those answered; whom each gate treats wrongly."""
    error, kept = errors(answers, ages), answers.answered
    found = {
        "mae": (np.abs(error), kept),
        "bias": (error, kept),
        "coverage": (covered(answers, ages).astype(float), kept),
    }
    for age, at in answers.gates.items():
        found[f"stopped_{age}"] = at.stopped.astype(float), ages >= age
        found[f"passing_{age}"] = (~at.stopped).astype(float), ages < age
    return found


def _of(every: Values, group: Truths) -> dict[str, Any]:
    sides = {name: (value, group & counts) for name, (value, counts) in every.items()}
    return {name: mean(value[rows]) for name, (value, rows) in sides.items() if rows.sum() >= LEAST_SIDE}


def _changes(new: Values, old: Values, group: Truths) -> dict[str, Any]:
    found = {}
    for name in (name for name in new if name in old and name != "bias"):
        rows = group & new[name][1] & old[name][1]
        if rows.sum() >= LEAST_SIDE:
            found[name] = mean(new[name][0][rows] - old[name][0][rows])
    return found


def _mark(found: dict[str, Any], model: str, every: Values, groups: Mapping[str, Truths]) -> None:
    """Write `p` beside each figure that has others to compare with."""
    places, tests = [], []
    for group, rows in groups.items():
        for name in found[group][model]:
            value, counts = every[name]
            inside, others = value[rows & counts], value[~rows & counts]
            if len(others) >= LEAST_SIDE:
                places.append(found[group][model][name])
                tests.append(_p_value(inside, others, is_share=name not in {"mae", "bias"}))
    for place, p in zip(places, holm(np.array(tests)).tolist(), strict=True):
        place["p"] = round(p, 5)


def _p_value(inside: Floats, others: Floats, is_share: bool) -> float:
    if is_share:
        table = [[int(part.sum()), int(len(part) - part.sum())] for part in (inside, others)]
        return float(fisher_exact(table).pvalue)
    return float(np.nan_to_num(ttest_ind(inside, others, equal_var=False).pvalue, nan=1.0))


def holm(p: Floats) -> Floats:
    """(n,) p-values corrected for their number."""
    order = np.argsort(p, kind="stable")
    found = np.empty(len(p))
    found[order] = np.maximum.accumulate(np.minimum(1.0, p[order] * np.arange(len(p), 0, -1)))
    return found
