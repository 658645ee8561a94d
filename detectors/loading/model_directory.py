"""A model is a directory. Nothing in it is code: JSON and safetensors only (`detectors.loading.model_files`).

    config.json         how to rebuild it: base weights (package and digests), adapter, categories
    model.safetensors   what was trained: adapter (peft's names) and head
    card.json           what it is worth: labels, calibration, thresholds, evaluation, data, licence, limits

A hub's model is one too, with whatever files it has beside a card.json that names them all. Its version is the hash of
what is in it, so a decision that names the version names the exact weights and calibration.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from detectors.loading.base_models import Base, sha256, verified_bytes
from detectors.loading.model_files import NAME, fault, files_of, is_weights
from schemas.categories import Category
from schemas.errors import UserMistake
from schemas.model_versions import draft

SHIPPED: Final = Path(__file__).parents[1] / "models"
CONFIG: Final = "config.json"
WEIGHTS: Final = "model.safetensors"
CARD: Final = "card.json"

_Model = TypeVar("_Model", bound=BaseModel)
FileName = Annotated[str, StringConstraints(pattern=NAME)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BaseConfig(_Strict):
    """The base weights: see `detectors.loading.base_models.Base`, and `detectors.text.foundation` for the kinds."""

    kind: Literal["transformers", "e5s1"] = "transformers"
    package: str
    version: str
    module: str
    folder: str
    files: dict[FileName, Digest] = Field(min_length=1)

    def base(self) -> Base:
        """As `locate` takes it."""
        return Base(**self.model_dump(exclude={"kind"}))


class FetchedBase(_Strict):
    """Base weights that no package delivers: a folder, or what `safestream models fetch` brings from an address."""

    kind: Literal["transformers", "e5s1"] = "transformers"
    source: str = Field(min_length=1)
    files: dict[FileName, Digest] = Field(min_length=1)

    def base(self) -> Base:
        """As `locate` takes it."""
        return Base(self.files, source=self.source)


class AdapterConfig(_Strict):
    """A low-rank adapter, merged at load: W + alpha / rank · B A."""

    kind: Literal["lora"] = "lora"
    rank: int = Field(gt=0)
    alpha: int = Field(gt=0)


class Config(_Strict):
    """config.json."""

    format: Literal[1] = 1
    detector: Literal["text"] = "text"
    base: BaseConfig | FetchedBase
    adapter: AdapterConfig
    pooling: Literal["mean"] = "mean"
    categories: tuple[Category, ...] = Field(min_length=1)  # the head's outputs, in order


class Calibration(_Strict):
    """One category's Platt scaling: p = 1 / (1 + exp(-(slope · logit + intercept)))."""

    slope: float = Field(gt=0)
    intercept: float
    rows: int = Field(description="Texts it was fitted to.")


class Threshold(_Strict):
    """From which score on to act, chosen on the calibration part; the rest is how it does on the test part."""

    threshold: float = Field(gt=0, lt=1)
    precision: float
    recall: float
    false_positive_rate: float


class CardBasics(_Strict):
    """What every card.json says, whatever detector the model is for."""

    name: str = Field(min_length=1)
    detector: str = Field(default="", description="Detector that takes the model, where its configuration doesn't say.")
    summary: str = Field(description="One sentence: what it scores, in what, and how it is built.")
    licence: str = Field(description="Of the weights, and what the data sets' licences ask for.")
    languages: tuple[str, ...] = Field(description="BCP 47 tags it was evaluated in; empty: language does not matter.")
    labels: dict[Category, str] = Field(default={}, description="What a score is the probability of, by category.")
    evaluation: dict[str, Any] = Field(
        default={},
        description="Figures by data set, with `value`, `interval` (95 %) and `rows` where they make sense; what is "
        "split by subgroup stands under a key with `by_`.",
    )
    training: dict[str, Any] = Field(
        default={},
        description="Recipe, libraries, rows, and under `data` each data set with name, origin, licence and its files' "
        "SHA-256.",
    )
    limits: tuple[str, ...] = Field(default=(), description="Known weaknesses, and what not to expect.")
    files: dict[FileName, Digest] = Field(description="SHA-256 of every other file of the directory.")
    draft: bool = Field(
        default=False,
        description="Not evaluated: written by `safestream models fetch` for a person to fill in. The version then "
        "begins with `draft-`, and no policy pack binds a threshold to it. So it is where `evaluation` is empty.",
    )


class Card(CardBasics):
    """card.json of a text model."""

    calibration: dict[Category, Calibration]
    thresholds: dict[Category, Threshold]


_Card = TypeVar("_Card", bound=CardBasics)


@dataclass(frozen=True, slots=True)
class Verified(Generic[_Card]):
    """A directory whose files are all there, all allowed, and as the card says."""

    folder: Path
    version: str  # 16 hexadecimal digits of the content hash; of a draft, those of a draft
    card: _Card

    def content(self, name: str) -> bytes:
        """A file that the card names, verified as it is read; UserMistake if it is not there, or has been changed."""
        if name not in self.card.files:
            raise UserMistake(f"{self.folder}: {name} is missing, or its digest is not in {CARD}")
        return verified_bytes(self.folder / name, self.card.files[name])


class ModelDirectory(_Strict):
    """A text model's directory that has been read and verified."""

    folder: Path
    version: str  # as in `Verified`
    config: Config
    card: Card

    @property
    def weights(self) -> bytes:
        """The safetensors file, verified as it is read."""
        return verified_bytes(self.folder / WEIGHTS, self.card.files[WEIGHTS])


def open_directory(folder: Path) -> ModelDirectory:
    """A text model, verified: every file as the card's digests say, and card and configuration of one mind.

    Raises UserMistake otherwise. The base weights are verified when they are loaded (`base_models.locate`).
    """
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise UserMistake(f"{folder} is not a model directory: {name} is missing")
    found = verified(folder, Card)
    config, card = parsed(Config, found.content(CONFIG), folder / CONFIG), found.card
    if set(card.calibration) != set(config.categories) or set(card.labels) != set(config.categories):
        raise UserMistake(f"{folder}: {CARD} must describe and calibrate exactly the categories of {CONFIG}")
    return ModelDirectory(folder=folder, version=found.version, config=config, card=card)


def verified(folder: Path, kind: type[_Card]) -> Verified[_Card]:
    """Any detector's model directory, verified, with its card read as `kind`. UserMistake if a fault is found."""
    for wrong in faults(folder, kind):
        raise UserMistake(wrong)
    data = (folder / CARD).read_bytes()
    card = parsed(kind, data, folder / CARD)
    digests = card.files | {CARD: hashlib.sha256(data).hexdigest()}
    lines = [f"{digest}  {name}\n" for name, digest in sorted(digests.items())]
    version = hashlib.sha256("".join(lines).encode()).hexdigest()[:16]
    return Verified(folder, draft(version) if card.draft or not card.evaluation else version, card)


def faults(folder: Path, kind: type[CardBasics]) -> Iterator[str]:
    """All that is wrong with a directory, each with its file and its place there. Reads every byte.

    A file is judged by its name, its first bytes, its content, then its digest: the first that is wrong is told.
    """
    if not (folder / CARD).is_file():
        yield f"{folder} is not a model directory: {CARD} is missing"
        return
    wrong = list(mistakes(kind, folder / CARD))
    yield from wrong
    named = {} if wrong else read_json(kind, folder / CARD).files
    yield from (f"{folder / name}: named in {CARD}, and missing" for name in named if not (folder / name).is_file())
    for path in files_of(folder):
        if why := fault(path):
            yield f"{path}: {why}"
        elif not wrong and path.name != CARD:
            yield from _changed(path, named.get(path.name, ""))
    if CONFIG in named and not any(map(is_weights, named)):
        yield f"{folder} is not a model directory: *.safetensors is missing"


def _changed(path: Path, digest: str) -> Iterator[str]:
    """Whether the card's digest is another; it is "" where the card has none."""
    if digest != (found := sha256(path)):
        missing = f': not among the files of {CARD}; if it belongs here, add "{path.name}": "{found}"'
        yield f"{path} was changed: its digest is not the one in {CARD}" if digest else f"{path}{missing}"


def write_json(model: BaseModel, path: Path) -> None:
    """Indented, with a final newline: a card is read by people and compared by git."""
    path.write_text(model.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_json(kind: type[_Model], path: Path) -> _Model:
    """The file as `kind`; UserMistake with the file, the place in it and what is wrong there."""
    return parsed(kind, path.read_bytes(), path)


def parsed(kind: type[_Model], data: bytes, path: Path) -> _Model:
    """What was read from `path`, as `read_json` has it."""
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise UserMistake(next(_told(error, path))) from None


def mistakes(kind: type[BaseModel], path: Path) -> Iterator[str]:
    """Everything in which the file is not as `kind` wants it, each with its place."""
    try:
        kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        yield from _told(error, path)


def _told(error: ValidationError, path: Path) -> Iterator[str]:
    for each in error.errors():
        yield f"{path}: {'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}"
