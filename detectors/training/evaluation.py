"""How good the scores are on texts that were held apart, a category at a time."""

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from detectors.calibration import Platt, expected_calibration_error
from detectors.loading.model_directory import Threshold
from detectors.training.measures import Floats, auc_with_interval, roc_auc, with_prior
from detectors.training.rows import CATEGORIES, Examples
from schemas.categories import Category

FALSE_POSITIVES: Final = 0.06  # of the negatives of the calibration part: the most that a shipped threshold flags
LOWEST: Final = 0.5
POINTS: Final = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)  # thresholds that a policy may choose from
_FEWEST: Final = 100  # rows of a source, to say anything about it


def figures(probability: Floats, examples: Examples, priors: Mapping[Category, float]) -> dict[str, Any]:
    """For each category ROC AUC, PR AUC, ECE, rows and what thresholds would do; the first and third by source too.

    `priors`: share of positives where it was calibrated. By source the ECE is after correcting for the source's own.
    """
    sources = np.array(examples.sources)
    report: dict[str, Any] = {}
    for c, category in enumerate(CATEGORIES):
        p, y = known(probability, examples.labels, c)
        if not _both(y):
            continue
        mine = sources[~np.isnan(examples.labels[:, c])]
        report[category] = {
            "roc_auc": auc_with_interval(p, y == 1),
            "pr_auc": round(float(average_precision_score(y, p)), 4),
            "ece": round(expected_calibration_error(p, y), 4),
            "acting_from": [acting_from(point, p, y).model_dump() for point in POINTS],
            "by_source": {
                name: by_prior(p[mine == name], y[mine == name], priors[category])
                for name in sorted(set(mine.tolist()))
                if (mine == name).sum() >= _FEWEST and _both(y[mine == name])
            },
        }
    return report


def by_prior(probability: Floats, labels: Floats, prior: float) -> dict[str, Any]:
    """One source: its ROC AUC and its ECE once the prior is its own."""
    own = float(labels.mean())
    corrected = with_prior(probability, prior, own)
    return {
        "rows": len(labels),
        "positive": int(labels.sum()),
        "roc_auc": round(roc_auc(probability, labels), 4),
        "ece_after_prior": round(expected_calibration_error(corrected, labels), 4),
    }


def choose_threshold(probability: Floats, labels: Floats) -> float:
    """The lowest threshold, in hundredths, that flags at most FALSE_POSITIVES of the negatives; never below LOWEST."""
    point = float(np.quantile(probability[labels == 0], 1 - FALSE_POSITIVES))
    return round(min(0.99, max(LOWEST, math.ceil(point * 100) / 100)), 2)


def acting_from(threshold: float, probability: Floats, labels: Floats) -> Threshold:
    """What acting on every score from `threshold` on does: both (n,), labels 0 or 1."""
    flagged, positive = probability >= threshold, labels == 1
    right = float((flagged & positive).sum())
    return Threshold(
        threshold=threshold,
        precision=round(right / max(1.0, float(flagged.sum())), 4),
        recall=round(right / max(1.0, float(positive.sum())), 4),
        false_positive_rate=round(float((flagged & ~positive).sum()) / max(1.0, float((~positive).sum())), 4),
    )


def known(probability: Floats, labels: NDArray[np.float32], category: int) -> tuple[Floats, Floats]:
    """One category's column of both, without the rows whose label is unknown."""
    there = ~np.isnan(labels[:, category])
    return probability[there, category], labels[there, category].astype(np.float64)


def probabilities(platts: list[Platt], logits: Floats) -> Floats:
    """Calibrated, (n, categories)."""
    return np.stack([platt.probability(logits[:, c]) for c, platt in enumerate(platts)], axis=1)


def _both(labels: Floats) -> bool:
    return bool((labels == 1).any() and (labels == 0).any())
