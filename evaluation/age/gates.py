"""Two models at a gate: whom each stops, with its own threshold and with one that stops as many as the other's."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detectors.age.distribution import Floats
from detectors.calibration import expected_calibration_error
from detectors.training.measures import roc_auc, with_interval
from evaluation.age import rates
from evaluation.age.answers import AtGate, Truths

LEAST: Final = 20  # people on either side of a gate, to say anything of it
_BINS: Final = 10
_CURVE: Final = (0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15, 0.2)


def alone(at: AtGate, above: Truths) -> dict[str, Any]:
    """One model: its shares, how well it sorts people, its calibration, and the shares at other thresholds."""
    asked = ~np.isnan(at.reach)
    reach, reached = at.reach[asked], above[asked]
    return rates.both(at.stopped, above) | {
        "abstained": rates.rate(~asked[above]),
        "roc_auc": with_interval(lambda rows: roc_auc(reach[rows], reached[rows]), len(reach)),
        "ece": round(expected_calibration_error(reach, reached.astype(float), _bins(len(reach))), 4),
        "reliability": _reliability(reach, reached),
        "curve": _curve(at, above),
    }


def together(new: AtGate, old: AtGate, above: Truths) -> dict[str, Any]:
    """Both: changes and flips, as the models come and at the old one's share of people stopped."""
    threshold = rates.matching(new, old.stopped, above)
    same = new.below(threshold)
    return {
        "change": rates.change(new.stopped, old.stopped, above),
        "flips": flips(new.stopped, old.stopped, above),
        "matched": {
            "threshold": round(threshold, 4),
            "new": rates.both(same, above),
            "change": {"passing": rates.matched_change(new, old.stopped, above)},
            "flips": flips(same, old.stopped, above),
        },
    }


def flips(new: Truths, old: Truths, above: Truths) -> dict[str, Any]:
    """Whose treatment changes, in which direction, and for how many of them that is right."""
    return {
        "per_thousand": round(1000 * float((new != old).mean()), 2),
        "to_passing": _right((old & ~new), above),
        "to_stopped": _right((new & ~old), ~above),
    }


def _right(flipped: Truths, deserved: Truths) -> dict[str, Any]:
    return {"accounts": int(flipped.sum()), "right": rates.rate(deserved[flipped])}


def _bins(people: int) -> int:
    return int(np.clip(people // 100, 5, 15))  # fewer people in a bin are apart by chance alone


def _reliability(reach: Floats, reached: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Bins of equal count: what was said, and how many had reached the gate."""
    order = np.argsort(reach, kind="stable")
    parts = [part for part in np.array_split(order, _BINS) if len(part)]
    return [{"said": round(float(reach[part].mean()), 4), "found": rates.rate(reached[part])} for part in parts]


def _curve(at: AtGate, above: Truths) -> list[dict[str, float]]:
    """What share of those below passes, by what share of those at or above is stopped."""
    found = []
    for share in _CURVE:
        stopped = at.below(rates.threshold_for(at.reach[above], share))
        one = {"stopped": float(stopped[above].mean()), "passing": float((~stopped[~above]).mean())}
        found.append({name: round(value, 4) for name, value in one.items()})
    return found
