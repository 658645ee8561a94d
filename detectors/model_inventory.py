"""Which models there are, shipped and fetched; what each is for; what is wrong with one."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from detectors.base_models import Base, locate
from detectors.model_cache import cache
from detectors.model_directory import (
    CARD,
    CONFIG,
    SHIPPED,
    Card,
    CardBasics,
    Config,
    faults,
    mistakes,
    open_directory,
    verified,
)
from detectors.model_files import files_of
from schemas.errors import UserMistake


class AnyCard(CardBasics):
    """The card of a hub's model, or of one for a detector of another package: it may say more."""

    model_config = ConfigDict(extra="allow", frozen=True)

    labels: dict[str, Any] = Field(default={})


@dataclass(frozen=True, slots=True)
class Entry:
    """What the inventory says of a model."""

    folder: Path
    name: str
    version: str
    detector: str  # that takes it; "" if the directory doesn't say
    categories: tuple[str, ...]
    languages: tuple[str, ...]  # BCP 47
    size: int  # bytes
    licence: str
    base: Base | None  # None: the directory has all its weights


def known() -> list[Path]:
    """The directories that come with the package, then those in the user's cache."""
    return [path.parent for place in (SHIPPED, cache()) for path in sorted(place.glob(f"[!.]*/{CARD}"))]


def find(name: str) -> Path:
    """A model directory by its path, or by its name among the known ones. UserMistake if there is neither."""
    if Path(name).is_dir():
        return Path(name)
    if found := [folder for folder in known() if folder.name == name]:
        return found[0]
    names = ", ".join(folder.name for folder in known())
    raise UserMistake(f"no model directory is called {name} (known: {names})")


def entry(folder: Path) -> Entry:
    """What a directory says of itself. UserMistake if it is not whole."""
    if _is_text(folder):
        text = open_directory(folder)
        return _entry(folder, text.version, text.card, "text", text.config.categories, text.config.base.base())
    found = verified(folder, AnyCard)
    return _entry(folder, found.version, found.card, "", tuple(found.card.labels), None)


def _entry(
    folder: Path, version: str, card: CardBasics, detector: str, categories: tuple[str, ...], base: Base | None
) -> Entry:
    size = sum(path.stat().st_size for path in files_of(folder))
    return Entry(folder, card.name, version, detector, categories, card.languages, size, card.licence, base)


def all_faults(folder: Path) -> list[str]:
    """Everything that is wrong with a directory and its base weights, each with file and place; none: it is whole."""
    if found := directory_faults(folder):
        return found
    try:
        if base := entry(folder).base:
            locate(base)
    except UserMistake as mistake:
        return [str(mistake)]
    return []


def directory_faults(folder: Path) -> list[str]:
    """The same without the base weights, which may be installed later."""
    text = _is_text(folder)
    found = list(faults(folder, Card if text else AnyCard))
    return found + list(mistakes(Config, folder / CONFIG)) if text else found


def _is_text(folder: Path) -> bool:
    """Ours says which format it has; a hub's config.json is transformers' own."""
    try:
        return "format" in json.loads((folder / CONFIG).read_bytes())
    except (OSError, ValueError):
        return False
