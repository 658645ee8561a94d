"""A guard's model directory: which language model, how it is asked, what its verdicts are, what they are worth.

    guard.json            the conversation, the verdicts' words, the default policies, the adapter
    adapter.safetensors   what was trained, if anything: peft's names
    card.json             calibration, evaluation, data, licence, limits, and every file's digest

The base is SmolLM2 from its package, a folder or what `safestream models fetch` brought (Llama Guard, ShieldGemma,
Qwen3Guard), or the directory itself: then `guard.json` and `card.json` lie beside the model's own files.
"""

import hashlib
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from detectors.base_models import locate, sha256
from detectors.calibration import Platt
from detectors.llm import base
from detectors.llm.model import check_folder
from detectors.llm.prompt import Message
from detectors.model_directory import CARD, Calibration, FetchedBase
from schemas.categories import Category
from schemas.errors import UserMistake

GUARD: Final = "guard.json"
ANY: Final = "any"  # the calibration of a policy whose category has none of its own
_NEEDED: Final = ("config.json", "tokenizer.json", "*.safetensors")  # of a base in the directory itself

_Model = TypeVar("_Model", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Turn(_Strict):
    """One turn of the conversation."""

    role: str
    content: str  # {policy} and {content} are replaced


class Verdicts(_Strict):
    """The words that the model begins its answer with; each must be one token of it."""

    breaks: tuple[str, ...] = Field(min_length=1)
    keeps: tuple[str, ...] = Field(min_length=1)


class Adapter(_Strict):
    """A low-rank adapter, merged at load: W + alpha / rank · B A."""

    rank: int = Field(gt=0)
    alpha: int = Field(gt=0)
    file: str = "adapter.safetensors"


class Guard(_Strict):
    """guard.json."""

    format: Literal[1] = 1
    base: Literal["smollm2-135m-instruct"] | FetchedBase | None = None  # None: this directory holds the model
    messages: tuple[Turn, ...] = Field(min_length=1)
    cue: str = ""  # what an answer begins with before its verdict, as in Llama Guard's two new lines
    verdicts: Verdicts
    adapter: Adapter | None = None
    policies: dict[Category, str] = {}  # where configuration gives none

    def turns(self) -> list[Message]:
        """The conversation."""
        return [Message(turn.role, turn.content) for turn in self.messages]


class GuardCard(_Strict):
    """card.json."""

    name: str
    summary: str
    licence: str
    languages: tuple[str, ...]
    calibration: dict[Literal["float32", "bfloat16"], dict[str, Calibration]] = {}  # by category, or ANY
    evaluation: dict[str, Any] = {}
    training: dict[str, Any] = {}
    limits: tuple[str, ...] = ()
    files: dict[str, str]  # SHA-256 of the directory's other files


class GuardDirectory(_Strict):
    """A directory that has been read and verified."""

    folder: Path
    guard: Guard
    card: GuardCard
    version: str  # 16 hexadecimal digits of the content hash

    def base(self) -> Path:
        """The language model's folder, verified; SmolLM2 is made on first use."""
        if self.guard.base is None:
            return self.folder
        if isinstance(self.guard.base, str):
            return base.base_folder()
        folder = locate(self.guard.base.base())
        check_folder(folder)
        return folder


def open_guard(folder: Path) -> GuardDirectory:
    """Read and verify: a changed byte in any file that scores depend on is a UserMistake, as is code."""
    guard, card = _read(Guard, folder / GUARD), _read(GuardCard, folder / CARD)
    if guard.base is None:
        check_folder(folder)
    for name in _scored_by(folder, guard):
        if card.files.get(name) != sha256(folder / name):
            raise UserMistake(
                f"{folder / name} is not what {CARD} says: it was changed, or its digest is missing there"
            )
    return GuardDirectory(folder=folder, guard=guard, card=card, version=_version(folder, card))


def version_with(directory: GuardDirectory, policies: dict[str, str]) -> str:
    """The detector's version: the directory's content and the policies', 16 hexadecimal digits."""
    lines = [directory.version, *(f"{name}\0{text}" for name, text in sorted(policies.items()))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def platt(directory: GuardDirectory, precision: torch.dtype, category: str) -> Platt:
    """As the card says for this precision: the category's own, else that of all; else the margin as it is."""
    fitted = directory.card.calibration.get("bfloat16" if precision == torch.bfloat16 else "float32", {})
    one = fitted.get(category) or fitted.get(ANY)
    return Platt(one.slope, one.intercept) if one else Platt(1.0, 0.0)


def _scored_by(folder: Path, guard: Guard) -> list[str]:
    patterns = [GUARD, *([guard.adapter.file] if guard.adapter else []), *(_NEEDED if guard.base is None else ())]
    found = {path.name for pattern in patterns for path in folder.glob(pattern)}
    found |= {pattern for pattern in patterns if "*" not in pattern}
    if missing := sorted(name for name in found if not (folder / name).is_file()):
        raise UserMistake(f"{folder} is not a guard's directory: {missing[0]} is missing")
    return sorted(found)


def _version(folder: Path, card: GuardCard) -> str:
    lines = [f"{digest}  {name}\n" for name, digest in sorted(card.files.items())]
    return hashlib.sha256("".join([*lines, sha256(folder / CARD)]).encode()).hexdigest()[:16]


def _read(kind: type[_Model], path: Path) -> _Model:
    if not path.is_file():
        raise UserMistake(f"{path.parent} is not a guard's directory: {path.name} is missing")
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserMistake(f"{path}: {where}: {first['msg']}") from None
