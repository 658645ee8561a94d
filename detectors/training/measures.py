"""Figures and how sure one can be of them: intervals are 95 % bootstraps (Efron 1979), percentiles of resamples."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]
RESAMPLES: Final = 200
_SEED: Final = 7


def roc_auc(score: Floats, positive: NDArray[Any]) -> float:
    """Chance that a positive text scores above a negative one, ties counting half; NaN without both kinds."""
    yes = positive.astype(bool)
    n, m = int(yes.sum()), int((~yes).sum())
    if not n or not m:
        return float("nan")
    return float((rankdata(score)[yes].sum() - n * (n + 1) / 2) / (n * m))


def with_interval(measure: Callable[[NDArray[np.intp]], float], rows: int) -> dict[str, float | list[float]]:
    """`measure` of all rows, and its interval over resampled ones; it gets row numbers. Four decimals."""
    rng = np.random.default_rng(_SEED)
    drawn = [measure(rng.integers(0, rows, rows)) for _ in range(RESAMPLES)]
    whole = measure(np.arange(rows))
    low, high = np.percentile([one for one in drawn if not np.isnan(one)] or [whole], [2.5, 97.5])
    return {"value": round(whole, 4), "interval": [round(float(low), 4), round(float(high), 4)]}


def auc_with_interval(score: Floats, positive: NDArray[Any]) -> dict[str, Any]:
    """ROC AUC with its interval and the rows it rests on."""
    found = with_interval(lambda rows: roc_auc(score[rows], positive[rows]), len(score))
    return found | {"rows": len(score), "positive": int(positive.sum())}


def rate_with_interval(hit: NDArray[np.bool_]) -> dict[str, Any]:
    """Share of True with its interval and the rows it rests on."""
    return with_interval(lambda rows: float(hit[rows].mean()), len(hit)) | {"rows": len(hit)}


def with_prior(probability: Floats, was: float, is_now: float) -> Floats:
    """Probabilities calibrated where a share `was` is positive, for a place where `is_now` is. Elkan 2001."""
    odds = probability / np.clip(1 - probability, 1e-12, None)
    odds = odds * (is_now / (1 - is_now)) / (was / (1 - was))
    return np.asarray(odds / (1 + odds), np.float64)
