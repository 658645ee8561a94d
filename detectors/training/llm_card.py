"""What the guard's card says beside figures: what it is, its limits, where it comes from."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

from detectors.llm.base import FILES, PACKAGE
from detectors.loading.base_models import sha256
from detectors.training.datasets import SOURCES
from detectors.training.llm_cases import GUARD
from detectors.training.llm_cases import SOURCES as USED
from schemas.categories import Category

SUMMARY: Final = (
    "Whether a short English message breaks a policy that is given as text: SmolLM2-135M-Instruct with a LoRA adapter; "
    "a score is the calibrated margin between the logits of `yes` and `no`."
)
LICENCE: Final = (
    "Apache-2.0 for the adapter. Base weights: Apache-2.0. The data sets keep their own licences, named under "
    "training; CC-BY and CC-BY-SA ask that their authors be named, which this card does."
)
LABELS: Final = dict.fromkeys(
    (
        Category.HATE,
        Category.HARASSMENT,
        Category.THREAT,
        Category.SEXUAL,
        Category.SELF_HARM,
        Category.SCAM,
    ),
    "It breaks the policy that is given for this category, as people who label messages by it would say.",
)
LIMITS: Final = (
    (
        "English only, short messages; a long one is scored in windows of 400 characters, so that harm which only "
        "shows over several windows is missed."
    ),
    (
        "135 million parameters: it tells kinds of harm apart that it was trained on, and reads a new policy only "
        "roughly. The figures under teen_safety and held_out_wording show how far that goes. It knows nothing of the "
        "world that a policy may presuppose."
    ),
    (
        "Calibrated to messages of which half break the policy, from the data sets named here. Calibrate again on "
        "one's own traffic before reading a score as a frequency there."
    ),
    (
        "Threat, sexual content, scam and self-harm were learnt from sentences written for this project, not from "
        "platforms' traffic; their figures are from sentences of the same kind, held apart by template."
    ),
    "Bfloat16 moves a score by some hundredths against float32; each precision has its own calibration.",
)


def provenance(recipe: Mapping[str, Any], digests: Mapping[str, str]) -> dict[str, Any]:
    """Recipe, data sets with licence and digests, own sentences with digests, base, and the libraries' versions."""
    own = {f"guard/{path.name}": sha256(path) for path in sorted(GUARD.glob("*.yaml"))}
    used = USED | {"safenlp"}  # one folder, two sources
    return {
        "recipe": dict(recipe),
        "base": {"package": PACKAGE.name, "files": dict(PACKAGE.files), "converted": dict(FILES)},
        "data": [
            {
                "name": source.name,
                "origin": source.origin,
                "licence": source.licence,
                "files": {name: digests[f"{source.name}/{name}"] for name in source.files},
            }
            for source in SOURCES
            if source.name in used
        ],
        "own": own | {"contrast/en.yaml": digests["contrast/en.yaml"]},
        "libraries": {name: version(name) for name in ("torch", "transformers", "peft", "tokenizers")},
    }
