"""A guard's model directory: which language model, how it is asked, what its verdicts are, what they are worth.

    guard.json            the conversation, the verdicts' words, the default policies, the adapter
    adapter.safetensors   what was trained, if anything: peft's names
    card.json             calibration, evaluation, data, licence, limits, and every file's digest

The base is SmolLM2 from its package, a folder or what `safestream models fetch` brought (Llama Guard, ShieldGemma,
Qwen3Guard), or the directory itself: then `guard.json` and `card.json` lie beside the model's own files.
"""

import hashlib
from pathlib import Path
from typing import Final, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import load
from torch import Tensor

from detectors.calibration import Platt
from detectors.llm import base
from detectors.llm.prompt import Turn
from detectors.loading.base_models import locate, verified_bytes
from detectors.loading.model_directory import (
    CARD,
    Calibration,
    CardBasics,
    FetchedBase,
    parsed,
    verified,
)
from schemas.categories import Category
from schemas.errors import UserMistake
from schemas.model_versions import draft, is_draft

GUARD: Final = "guard.json"
ANY: Final = "any"  # the calibration of a policy whose category has none of its own
_MODEL: Final = ("config.json", "tokenizer.json")  # of a base in the directory itself, beside its weights


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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


class GuardCard(CardBasics):
    """card.json."""

    calibration: dict[Literal["float32", "bfloat16"], dict[str, Calibration]] = Field(
        default={}, description="Platt scaling in each precision, by category; `any`: of a policy without its own."
    )


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
        return locate(self.guard.base.base())

    def adapter(self) -> dict[str, Tensor]:
        """Its tensors, from bytes that are verified as they are read; none where the guard has no adapter."""
        if self.guard.adapter is None:
            return {}
        name = self.guard.adapter.file
        return load(verified_bytes(self.folder / name, self.card.files[name]))


def open_guard(folder: Path) -> GuardDirectory:
    """Read and verify: a changed byte in any file is a UserMistake, as is a pickle, code, or a pointer to code."""
    if not (folder / GUARD).is_file():
        raise UserMistake(f"{folder} is not a guard's directory: {GUARD} is missing")
    found = verified(folder, GuardCard)
    guard = parsed(Guard, found.content(GUARD), folder / GUARD)
    needed = (guard.adapter.file,) if guard.adapter else ()
    for name in (*needed, *(_MODEL if guard.base is None else ())):
        if name not in found.card.files:
            raise UserMistake(f"{folder}: {name} is missing, or its digest is not in {CARD}")
    return GuardDirectory(folder=folder, guard=guard, card=found.card, version=found.version)


def version_with(directory: GuardDirectory, policies: dict[str, str]) -> str:
    """The detector's version: the directory's content and the policies', 16 hexadecimal digits; a draft's stays one."""
    lines = [directory.version, *(f"{name}\0{text}" for name, text in sorted(policies.items()))]
    version = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
    return draft(version) if is_draft(directory.version) else version


def platt(directory: GuardDirectory, precision: torch.dtype, category: str) -> Platt:
    """As the card says for this precision: the category's own, else that of all; else the margin as it is."""
    fitted = directory.card.calibration.get("bfloat16" if precision == torch.bfloat16 else "float32", {})
    one = fitted.get(category) or fitted.get(ANY)
    return Platt(one.slope, one.intercept) if one else Platt(1.0, 0.0)
