"""How unequally a gate stops groups of people when it stops the same share of all, whatever the model's threshold."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any, Final

import numpy as np

from detectors.training.measures import with_interval
from evaluation.age import rates
from evaluation.age.accuracy import Ages
from evaluation.age.answers import AtGate, Truths

STOPPED: Final = 0.05  # of all at or above the gate
LEAST_ABOVE: Final = 200  # people of a group at or above the gate …
LEAST_BELOW: Final = 30  # … and below it


def at(gate: AtGate, age: int, ages: Ages, groups: Mapping[str, Truths]) -> dict[str, Any]:
    """By column of groups: the shares of each group, and the widest gap in each, at one threshold for everyone."""
    above = ages >= age
    stopped = gate.below(rates.threshold_for(gate.reach[above], STOPPED))
    found: dict[str, Any] = {
        "threshold": _threshold(gate, above),
        "everyone": rates.both(stopped, above),
        "columns": {},
    }
    for column, names in groupby(sorted(groups), key=lambda name: name.partition("=")[0]):
        large = [name for name in names if _is_large(groups[name], above)]
        if len(large) > 1:
            found["columns"][column] = gap(stopped, above, {name: groups[name] for name in large})
    return found


def gap(stopped: Truths, above: Truths, groups: Mapping[str, Truths]) -> dict[str, Any]:
    """Shares by group, and the widest gap of each with its bootstrap interval."""
    wrong = {"stopped": (stopped.astype(float), above), "passing": (1.0 - stopped, ~above)}
    found: dict[str, Any] = {name: rates.both(stopped[rows], above[rows]) for name, rows in groups.items()}
    gaps = {}
    for name, (value, side) in wrong.items():
        sides = [rows & side for rows in groups.values()]
        gaps[name] = with_interval(lambda rows, v=value, s=sides: _widest(v, s, rows), len(stopped))  # type: ignore[misc]
    return {"groups": found, "gap": gaps}


def _widest(value: Any, sides: list[Truths], rows: Any) -> float:
    shares = [float(value[rows][side[rows]].mean()) for side in sides if side[rows].any()]
    return max(shares) - min(shares)


def _threshold(gate: AtGate, above: Truths) -> float:
    return round(rates.threshold_for(gate.reach[above], STOPPED), 4)


def _is_large(rows: Truths, above: Truths) -> bool:
    return bool(np.sum(rows & above) >= LEAST_ABOVE and np.sum(rows & ~above) >= LEAST_BELOW)
