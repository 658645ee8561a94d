"""How far from the true ages the distributions are: overall and by true age. Errors are of the median, in years."""

from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detectors.age import distribution
from detectors.age.distribution import Floats
from detectors.training.measures import with_interval
from evaluation.age.answers import Answers, Truths

BANDS: Final = (0, 13, 16, 18, 21, 25, 30, 40, 50, 65, 121)
LEAST: Final = 10  # people in a band

Ages = NDArray[np.int64]


def errors(answers: Answers, ages: Ages) -> Floats:
    """(n,) signed, NaN where the model abstained."""
    found = np.full(len(ages), np.nan)
    kept = answers.answered
    found[kept] = distribution.median(answers.pmf[kept]) - ages[kept]
    return found


def covered(answers: Answers, ages: Ages) -> Truths:
    """(n,) whose age is within the interval."""
    return np.asarray((answers.low <= ages) & (ages <= answers.high), bool)


def overall(answers: Answers, ages: Ages) -> dict[str, Any]:
    """Of people who were answered."""
    error, score = errors(answers, ages), distribution.crps(answers.pmf, ages)
    inside, width = covered(answers, ages).astype(float), answers.high - answers.low + 1
    found = {"crps": score, "mae": np.abs(error), "bias": error, "coverage": inside, "width": width}
    return {name: mean(values) for name, values in found.items()}


def by_age(new: Floats, old: Floats | None, ages: Ages) -> list[dict[str, Any]]:
    """By bands of true age, from signed errors (n,) of people whom both have answered."""
    found = []
    for first, after in pairwise(BANDS):
        rows = (ages >= first) & (ages < after)
        if rows.sum() >= LEAST:
            one: dict[str, Any] = {"band": _band(first, after), "people": int(rows.sum()), "new": _two(new[rows])}
            if old is not None:
                one |= {"old": _two(old[rows]), "change": mean(np.abs(new[rows]) - np.abs(old[rows]))}
            found.append(one)
    return found


def mean(values: Floats) -> dict[str, Any]:
    """The mean with its bootstrap interval."""
    return with_interval(lambda rows: float(values[rows].mean()), len(values))


def _two(error: Floats) -> dict[str, Any]:
    return {"mae": mean(np.abs(error)), "bias": mean(error)}


def _band(first: int, after: int) -> str:
    return f"{first} and over" if after == BANDS[-1] else f"{first} to {after - 1}"
