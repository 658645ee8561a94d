"""A model that encodes pictures and words into one space, by configuration: SigLIP, SigLIP 2 (Zhai et al. 2023, 2025).

Its probability for a category is the highest over the category's prompts of sigmoid(scale · cosine + bias), the pair's
own probability as the model was trained; it needs no training here. The folder is one that transformers reads.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field
from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoTokenizer

from detectors.calibration import Platt
from detectors.loading.base_models import sha256
from detectors.loading.model_files import fault, files_of
from schemas.categories import Category
from schemas.errors import UserMistake

_KINDS: Final = ("siglip",)  # SigLIP 2 of a fixed resolution is of this kind too
_PROMPTS: Final[dict[Category, tuple[str, ...]]] = {
    Category.SEXUAL: ("a photo of a naked person", "a pornographic picture", "a drawing of a sexual act"),
    Category.HATE: ("a swastika", "a racist caricature", "a burning cross of the Ku Klux Klan"),
    Category.THREAT: ("a person pointing a gun at the camera", "a noose"),
    Category.SELF_HARM: ("a picture of self-harm", "fresh cuts on an arm"),
}


class JointOptions(BaseModel):
    """The option `joint`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Path  # a folder: config.json, model.safetensors, preprocessor_config.json and the tokenizer's files
    prompts: dict[Category, tuple[str, ...]] = Field(default=_PROMPTS, min_length=1)
    slope: float = Field(default=1.0, gt=0)  # of the calibration of its logit
    intercept: float = 0.0


class Joint:
    """The model and its prompts. `warm` before `probability`."""

    def __init__(self, options: JointOptions) -> None:
        """Load it on the CPU. UserMistake if the folder isn't one of SigLIP, or holds pickles or code."""
        self.categories = tuple(category.value for category in options.prompts)
        self.version = _version(options)
        self._of = [place for place, said in enumerate(options.prompts.values()) for _ in said]
        self._prompts = [prompt for said in options.prompts.values() for prompt in said]
        self._platt = Platt(options.slope, options.intercept)
        try:
            kind = AutoConfig.from_pretrained(options.model, **_LOCAL).model_type
            if kind not in _KINDS:
                raise UserMistake(f"joint: {options.model} holds a model of the kind {kind}, not SigLIP")
            self._tokenizer: Any = AutoTokenizer.from_pretrained(options.model, **_LOCAL)
            processors: Any = AutoImageProcessor
            self._processor: Any = processors.from_pretrained(options.model, backend="pil", **_LOCAL)
            self._model: Any = AutoModel.from_pretrained(
                options.model, use_safetensors=True, dtype=torch.float32, **_LOCAL
            )
        except (OSError, ValueError, KeyError) as error:
            raise UserMistake(f"joint: {options.model}: {' '.join(str(error).split())[:200]}") from None
        self._model.train(mode=False)
        self._said: Any = None

    @torch.inference_mode()
    def warm(self) -> None:
        """Encode the prompts, once."""
        length = self._model.config.text_config.max_position_embeddings
        ids = self._tokenizer(
            self._prompts, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        ).input_ids
        self._said = _unit(self._model.get_text_features(input_ids=ids).pooler_output)

    @torch.inference_mode()
    def probability(self, image: Image.Image) -> NDArray[np.float64]:
        """Of one RGB image, for each of `categories`, calibrated as configured: (len(categories),)."""
        pixels = self._processor(images=image, return_tensors="pt").pixel_values
        shown = _unit(self._model.get_image_features(pixel_values=pixels).pooler_output)
        logits = (self._said @ shown[0] * self._model.logit_scale.exp() + self._model.logit_bias).double().numpy()
        highest = np.full(len(self.categories), -np.inf)
        np.maximum.at(highest, self._of, logits)
        return self._platt.probability(highest)


_LOCAL: Final[dict[str, Any]] = {"local_files_only": True, "trust_remote_code": False}


def _version(options: JointOptions) -> str:
    """A hash of the folder's files and of the options."""
    if not options.model.is_dir():
        raise UserMistake(f"joint.model: {options.model} is no folder")
    digests = dict[str, str]()
    for path in files_of(options.model):
        if why := fault(path):
            raise UserMistake(f"joint.model: {path}: {why}")
        digests[path.name] = sha256(path)
    said = [digests, options.model_dump(mode="json", exclude={"model"})]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(vectors, dim=-1)
