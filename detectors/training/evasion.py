"""What each way of disguising a text costs the detector: ROC AUC for hate, plain against disguised."""

import random
from typing import Any

import numpy as np

from detectors.training.measures import roc_auc, with_interval
from detectors.training.obfuscation import WAYS
from detectors.training.rows import Examples
from detectors.training.suites import HATE, Score

_MOST = 800  # texts; each is scored once for each way
_SEED = 99  # not one that training uses


def evasion(examples: Examples, score: Score) -> dict[str, Any]:
    """Every text in every way, hateful and harmless alike, where the way changes it at all."""
    known = np.flatnonzero(~np.isnan(examples.labels[:, HATE]))
    rng = np.random.default_rng(_SEED)
    rows = np.sort(rng.choice(known, min(_MOST, len(known)), replace=False))
    texts = [examples.texts[row] for row in rows]
    hateful = examples.labels[rows, HATE] == 1
    plain = score(texts)[:, HATE]
    found: dict[str, Any] = {}
    for name, way in WAYS.items():
        disguise = random.Random(f"{_SEED}/{name}")  # noqa: S311 - reproducible, not secret
        changed = [way(text, disguise) for text in texts]
        touched = np.flatnonzero([a != b for a, b in zip(texts, changed, strict=True)])
        if len(set(hateful[touched].tolist())) < 2:
            continue  # it hardly ever applies to such texts
        before, after, truth = plain[touched], score([changed[i] for i in touched])[:, HATE], hateful[touched]
        found[name] = _lost(before, after, truth)
    return found


def _lost(before: Any, after: Any, truth: Any) -> dict[str, Any]:
    def lost(rows: Any) -> float:
        return roc_auc(before[rows], truth[rows]) - roc_auc(after[rows], truth[rows])

    return {
        "texts": len(truth),
        "plain": round(roc_auc(before, truth), 4),
        "disguised": round(roc_auc(after, truth), 4),
        "lost": with_interval(lost, len(truth)),
    }
