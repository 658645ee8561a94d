"""A model is a directory. Nothing in it is code: JSON and safetensors only.

    config.json         how to rebuild it: base weights (package and digests), adapter, categories
    model.safetensors   what was trained: adapter (peft's names) and head
    card.json           what it is worth: labels, calibration, thresholds, evaluation, data, licence, limits

Its version is the hash of what is in it, so a decision that names the version names the exact weights and calibration.
"""

import hashlib
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from detectors.base_models import Base, sha256
from schemas.categories import Category
from schemas.errors import UserMistake

SHIPPED: Final = Path(__file__).parent / "models"
CONFIG: Final = "config.json"
WEIGHTS: Final = "model.safetensors"
CARD: Final = "card.json"

_Model = TypeVar("_Model", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BaseConfig(_Strict):
    """The base weights: see `detectors.base_models.Base`."""

    package: str
    version: str
    module: str
    folder: str
    files: dict[str, str]

    def base(self) -> Base:
        """As `locate` takes it."""
        return Base.from_config(self.model_dump())


class AdapterConfig(_Strict):
    """A low-rank adapter, merged at load: W + alpha / rank · B A."""

    kind: Literal["lora"] = "lora"
    rank: int = Field(gt=0)
    alpha: int = Field(gt=0)


class Config(_Strict):
    """config.json."""

    format: Literal[1] = 1
    detector: Literal["text"] = "text"
    base: BaseConfig
    adapter: AdapterConfig
    pooling: Literal["mean"] = "mean"
    categories: tuple[Category, ...] = Field(min_length=1)  # the head's outputs, in order


class Calibration(_Strict):
    """One category's Platt scaling."""

    slope: float = Field(gt=0)
    intercept: float
    rows: int  # texts it was fitted to


class Threshold(_Strict):
    """From which score on to act, chosen on the calibration part; the rest is how it does on the test part."""

    threshold: float = Field(gt=0, lt=1)
    precision: float
    recall: float
    false_positive_rate: float


class Card(_Strict):
    """card.json."""

    name: str
    summary: str
    licence: str
    languages: tuple[str, ...]
    labels: dict[Category, str]  # what a score is the probability of
    calibration: dict[Category, Calibration]
    thresholds: dict[Category, Threshold]
    evaluation: dict[str, Any]
    training: dict[str, Any]
    limits: tuple[str, ...]
    files: dict[str, str]  # SHA-256 of the directory's other files


class ModelDirectory(_Strict):
    """A directory that has been read and verified."""

    folder: Path
    version: str  # 16 hexadecimal digits of the content hash
    config: Config
    card: Card

    @property
    def weights(self) -> Path:
        """The safetensors file."""
        return self.folder / WEIGHTS


def open_directory(folder: Path) -> ModelDirectory:
    """Read and verify: every file present, as the card's digests say, and card and configuration of one mind.

    Raises UserMistake otherwise. The base weights are verified when they are loaded (`base_models.locate`).
    """
    for name in (CONFIG, WEIGHTS, CARD):
        if not (folder / name).is_file():
            raise UserMistake(f"{folder} is not a model directory: {name} is missing")
    config, card = _read(Config, folder / CONFIG), _read(Card, folder / CARD)
    for name in (CONFIG, WEIGHTS):
        if card.files.get(name) != sha256(folder / name):
            raise UserMistake(f"{folder / name} was changed: its digest is not the one in {CARD}")
    if set(card.calibration) != set(config.categories) or set(card.labels) != set(config.categories):
        raise UserMistake(f"{folder}: {CARD} must describe and calibrate exactly the categories of {CONFIG}")
    return ModelDirectory(folder=folder, version=content_version(folder), config=config, card=card)


def content_version(folder: Path) -> str:
    """First 16 hexadecimal digits of SHA-256 over a line "<sha256>  <name>" for each file, by name."""
    lines = [f"{sha256(folder / name)}  {name}\n" for name in sorted((CONFIG, WEIGHTS, CARD))]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def shipped() -> list[Path]:
    """The directories that come with the package."""
    return sorted(path.parent for path in SHIPPED.glob(f"*/{CONFIG}"))


def write_json(model: BaseModel, path: Path) -> None:
    """Indented, with a final newline: a card is read by people and compared by git."""
    path.write_text(model.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _read(kind: type[_Model], path: Path) -> _Model:
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserMistake(f"{path}: {where}: {first['msg']}") from None
