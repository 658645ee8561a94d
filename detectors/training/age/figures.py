"""How good distributions over ages are, on people held apart: proper score, errors, gates, intervals, by group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from detectors.age import distribution
from detectors.age.distribution import Floats
from detectors.age.gates import Gate
from detectors.calibration import expected_calibration_error
from detectors.training.measures import roc_auc, with_interval

LARGE: Final = 1_000  # rows of a group from which its coverage is judged as it is; smaller ones are tested
FLOOR: Final = 0.88  # coverage of every group
_BANDS: Final = (0, 13, 16, 18, 21, 25, 30, 40, 50, 65, 121)


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """What is judged, of n people."""

    pmf: Floats  # (n, 121)
    gates: Floats  # (n, gates) P(age ≥ gate)
    low: Floats  # (n,) the interval's ends, both within
    high: Floats
    stopped: NDArray[np.bool_]  # (n, gates) `detectors.age.gates.below_thresholds`


def joined(parts: Sequence[Forecast]) -> Forecast:
    """One after the other."""
    return Forecast(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Forecast)))


def figures(forecast: Forecast, ages: NDArray[np.int64], gates: tuple[Gate, ...]) -> dict[str, Any]:
    """CRPS and MAE (of the median) with intervals, bias, coverage, width; and each gate's own."""
    error = distribution.median(forecast.pmf) - ages
    score, absolute = distribution.crps(forecast.pmf, ages), np.abs(error)
    return {
        "rows": len(ages),
        "crps": with_interval(lambda rows: float(score[rows].mean()), len(ages)),
        "mae": with_interval(lambda rows: float(absolute[rows].mean()), len(ages)),
        "bias": round(float(error.mean()), 3),
        "coverage": round(float(_covered(forecast, ages).mean()), 4),
        "width": round(float((forecast.high - forecast.low + 1).mean()), 2),
        "by_age": _by_age(absolute, error, ages),
        "gates": {
            str(gate.age): _at(gate, forecast.gates[:, place], forecast.stopped[:, place], ages)
            for place, gate in enumerate(gates)
        },
    }


def by_group(forecast: Forecast, ages: NDArray[np.int64], groups: Mapping[str, NDArray[np.bool_]]) -> dict[str, Any]:
    """Coverage, MAE and bias of each group. Of small ones: whether chance explains a coverage below the floor.

    `p_value`: one-sided exact binomial test that the coverage is at least the floor, times the number of small groups.
    """
    covered = _covered(forecast, ages)
    error = distribution.median(forecast.pmf) - ages
    small = sum(0 < rows.sum() < LARGE for rows in groups.values())
    found: dict[str, Any] = {}
    for name, rows in groups.items():
        if not (n := int(rows.sum())):
            continue
        one = {"rows": n, "coverage": round(float(covered[rows].mean()), 4)}
        one |= {"mae": round(float(np.abs(error[rows]).mean()), 3), "bias": round(float(error[rows].mean()), 3)}
        if n < LARGE:
            test = binomtest(int(covered[rows].sum()), n, FLOOR, alternative="less").pvalue
            one["p_value"] = round(min(1.0, float(test) * small), 4)
        found[name] = one
    return found


def _covered(forecast: Forecast, ages: NDArray[np.int64]) -> NDArray[np.bool_]:
    return (forecast.low <= ages) & (ages <= forecast.high)


def _by_age(absolute: Floats, error: Floats, ages: NDArray[np.int64]) -> dict[str, Any]:
    found = {}
    for first, after in pairwise(_BANDS):
        rows = (ages >= first) & (ages < after)
        if rows.any():
            one = {"rows": int(rows.sum()), "mae": round(float(absolute[rows].mean()), 3)}
            found[f"{first}-{after - 1}"] = one | {"bias": round(float(error[rows].mean()), 3)}
    return found


def _at(gate: Gate, probability: Floats, stopped: NDArray[np.bool_], ages: NDArray[np.int64]) -> dict[str, Any]:
    above = ages >= gate.age
    bins = int(np.clip(len(ages) // 100, 5, 15))  # fewer people in a bin are apart by chance alone
    found: dict[str, Any] = {"above": int(above.sum()), "below": int((~above).sum())}
    if not gate.supported or not found["above"] or not found["below"]:
        return found | {"note": "too few people on one side of it: neither calibrated nor tested"}
    found["roc_auc"] = with_interval(lambda rows: roc_auc(probability[rows], above[rows]), len(ages))
    found["ece"] = round(expected_calibration_error(probability, above.astype(np.float64), bins), 4)
    if gate.threshold:
        found |= {
            "threshold": gate.threshold.threshold,
            "stopped": with_interval(lambda rows: _share(stopped[rows], above[rows]), len(ages)),
            "passing": with_interval(lambda rows: _share(~stopped[rows], ~above[rows]), len(ages)),
        }
    return found


def _share(hit: NDArray[np.bool_], of: NDArray[np.bool_]) -> float:
    return float(hit[of].mean()) if of.any() else float("nan")
