"""How good the scores are on texts that were held apart, a category at a time."""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from detectors.calibration import expected_calibration_error, threshold_at_precision
from detectors.model_directory import Threshold
from detectors.training.datasets import CATEGORIES, Examples, table

PRECISION: Final = 0.9  # what a shipped threshold has to keep, on the calibration part
LOWEST: Final = 0.5
POINTS: Final = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)  # thresholds that a policy may choose from

Floats = NDArray[np.float64]


def figures(probability: Floats, examples: Examples) -> dict[str, Any]:
    """For each category ROC AUC, PR AUC, ECE and rows, over all texts and by source, and what thresholds would do."""
    sources = np.array(examples.sources)
    report: dict[str, Any] = {}
    for c, category in enumerate(CATEGORIES):
        p, y = probability[:, c], examples.labels[:, c].astype(np.float64)
        report[category] = _one(p, y) | {
            "acting_from": [
                acting_from(point, *known(probability, examples.labels, c)).model_dump() for point in POINTS
            ],
            "by_source": {
                name: _one(p[mine], y[mine]) for name in sorted(set(sources)) if _both(y[mine := sources == name])
            },
        }
    return report


def choose_threshold(fitted: tuple[Floats, Floats], held_apart: tuple[Floats, Floats]) -> Threshold:
    """The lowest threshold with PRECISION on the first (probabilities, labels); what it does on the second.

    Never below LOWEST: where labels are nearly separable, so are the few texts in between, which nobody labelled. Where
    none has the precision, .99: then the category flags next to nothing, and the card shows it.
    """
    return acting_from(max(LOWEST, threshold_at_precision(*fitted, PRECISION) or 0.99), *held_apart)


def acting_from(threshold: float, probability: Floats, labels: Floats) -> Threshold:
    """What acting on every score from `threshold` on does: both (n,), labels 0 or 1."""
    flagged, positive = probability >= threshold, labels == 1
    right = float((flagged & positive).sum())
    return Threshold(
        threshold=threshold,
        precision=round(right / max(1.0, float(flagged.sum())), 4),
        recall=round(right / float(positive.sum()), 4),
        false_positive_rate=round(float((flagged & ~positive).sum()) / float((~positive).sum()), 4),
    )


def known(probability: Floats, labels: NDArray[np.float32], category: int) -> tuple[Floats, Floats]:
    """One category's column of both, without the rows whose label is unknown."""
    there = ~np.isnan(labels[:, category])
    return probability[there, category], labels[there, category].astype(np.float64)


def hatecheck(folder: Path) -> tuple[list[str], NDArray[np.bool_]] | None:
    """Texts and whether each is hateful; None if the set is not there. Röttger et al. 2021. Never trained on."""
    rows = table(folder / "hatecheck" / "test_suite_cases.csv")
    return (
        None
        if rows is None
        else ([row["test_case"] for row in rows], np.array([row["label_gold"] == "hateful" for row in rows]))
    )


def olid(folder: Path) -> tuple[list[str], dict[str, NDArray[np.bool_]]] | None:
    """OLID's tweets, who is `offensive`, and who offends one person (`individual`); None if the set is not there.

    Zampieri et al. 2019. Not trained on: its licence covers research only.
    """
    rows = table(folder / "olid" / "olid-training-v1.0.tsv", "\t")
    return (
        None
        if rows is None
        else (
            [row["tweet"] for row in rows],
            {
                "offensive": np.array([row["subtask_a"] == "OFF" for row in rows]),
                "individual": np.array([row["subtask_c"] == "IND" for row in rows]),
            },
        )
    )


def roc_auc(probability: Floats, labels: NDArray[Any]) -> float:
    """Chance that a positive text scores above a negative one, four decimals."""
    return round(float(roc_auc_score(labels, probability)), 4)


def _one(probability: Floats, labels: Floats) -> dict[str, Any]:
    there = ~np.isnan(labels)
    p, y = probability[there], labels[there]
    return {
        "rows": len(y),
        "positive": int(y.sum()),
        "roc_auc": roc_auc(p, y),
        "pr_auc": round(float(average_precision_score(y, p)), 4),
        "ece": round(expected_calibration_error(p, y), 4),
    }


def _both(labels: Floats) -> bool:
    return bool((labels == 1).any() and (labels == 0).any())
