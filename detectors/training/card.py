"""What the text model's card says beside figures: the meaning of its labels, its limits, where it comes from."""

from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from detectors.base_models import sha256
from detectors.model_directory import CONFIG, WEIGHTS, Calibration, Card
from detectors.training.datasets import CATEGORIES, SOURCES, Examples
from detectors.training.fit import Recipe
from detectors.training.splits import Parts
from schemas.categories import Category

LABELS: Final = {
    Category.HATE: "People labelled it hateful: it attacks, demeans or threatens people for what they are "
    "(davidson: the class hate; hatemoji: hateful; toxigen: toxicity 3.5 or more, 2.5 or less for harmless; "
    "implicit hate: implicit or explicit hate; vicomtech: hate). The sources' definitions differ.",
    Category.HARASSMENT: "Derived: people labelled it offensive or hateful, and a pattern finds an insult aimed at the "
    "one addressed (detectors/training/labels.py). No person judged harassment itself.",
    Category.PROFANITY: "Derived: a strong swear word or slur stands in it, whoever says it of whom "
    "(detectors/training/labels.py). No person judged profanity itself.",
}
LIMITS: Final = (
    "English only. Mostly tweets and forum posts of 2002-2020 from the United States.",
    (
        "Davidson's tweets are largely in African-American English, and mostly labelled offensive: expect "
        "more false positives on that dialect. Fairness by subgroup has not been evaluated."
    ),
    (
        "Harassment and profanity are evaluated against the same derived labels as they were trained on: that "
        "says how well the definition was learnt, not how well it agrees with people. OLID's are an outside check."
    ),
    (
        "Probabilities are calibrated to the mix of sources of the calibration part, where abuse is more frequent than "
        "on a platform. Calibrate again on one's own traffic before reading them as frequencies there."
    ),
    "Trained with a few respellings of swear words; evasion in general has not been evaluated.",
)


def uncalibrated(folder: Path, training: dict[str, Any]) -> Card:
    """The card of freshly trained weights in `folder`: neutral calibration, no figures yet."""
    return Card(
        name="text-minilm",
        summary="Hate, harassment and profanity in short English texts: all-MiniLM-L6-v2, a LoRA adapter and a head.",
        licence="Apache-2.0 for the adapter and head. Base weights: Apache-2.0. The data sets keep their own licences, "
        "named under training; CC-BY and CC-BY-SA ask that their authors be named, which this card does.",
        languages=("en",),
        labels=LABELS,
        calibration={category: Calibration(slope=1.0, intercept=0.0, rows=0) for category in CATEGORIES},
        thresholds={},
        evaluation={},
        training=training,
        limits=LIMITS,
        files={name: sha256(folder / name) for name in (CONFIG, WEIGHTS)},
    )


def provenance(examples: Examples, parts: Parts, digests: Mapping[str, str], recipe: Recipe) -> dict[str, Any]:
    """Recipe, data sets with licence and digests, rows of each part by source, and the libraries' versions."""
    sources = np.array(examples.sources)
    rows = {
        name: dict(sorted(Counter(sources[positions].tolist()).items()))
        for name, positions in (("train", parts.train), ("calibration", parts.calibration), ("test", parts.test))
    }
    return {
        "recipe": recipe.describe(),
        "data": [
            {
                "name": source.name,
                "origin": source.origin,
                "licence": source.licence,
                "files": {name: digests[f"{source.name}/{name}"] for name in source.files},
            }
            for source in SOURCES
        ],
        "rows": rows,
        "libraries": {name: version(name) for name in ("torch", "transformers", "peft", "tokenizers")},
    }
