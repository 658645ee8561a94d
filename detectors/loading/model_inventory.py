"""Which models there are, shipped and fetched; what each is for; what is wrong with one."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ConfigDict, ValidationError

from detectors.loading.base_models import Base, locate
from detectors.loading.model_cache import cache
from detectors.loading.model_directory import (
    CARD,
    CONFIG,
    SHIPPED,
    BaseConfig,
    Card,
    CardBasics,
    Config,
    FetchedBase,
    faults,
    mistakes,
    open_directory,
    verified,
)
from detectors.loading.model_files import files_of
from detectors.loading.named_bases import NAMED
from schemas.errors import UserMistake

GUARD: Final = "guard.json"  # of a language model that judges by a policy: `detectors.llm`


class AnyCard(CardBasics):
    """The card of a model for whatever detector: it may say more."""

    model_config = ConfigDict(extra="allow", frozen=True)


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
    bases: tuple[Base, ...]  # weights that it builds on; none: the directory has all it needs


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
    found = open_directory(folder) if _is_text(folder) else verified(folder, AnyCard)
    settings = _settings(folder)
    said_by_file = "llm" if (folder / GUARD).is_file() else ""
    categories = dict.fromkeys([*found.card.labels, *settings.get("categories", ()), *settings.get("policies", ())])
    return Entry(
        folder,
        found.card.name,
        found.version,
        str(settings.get("detector") or said_by_file),
        tuple(map(str, categories)),
        found.card.languages,
        sum(path.stat().st_size for path in files_of(folder)),
        found.card.licence,
        tuple(_bases(settings)),
    )


def _settings(folder: Path) -> dict[str, Any]:
    """What the directory's own JSON says at its top, all files together."""
    found: dict[str, Any] = {}
    for name in (CARD, CONFIG, GUARD):
        found |= _object(folder / name)
    return found


def _object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; nothing where there is none."""
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _bases(settings: Mapping[str, Any]) -> Iterator[Base]:
    """Wherever they stand: what looks like base weights is such, or is their name."""
    if named := NAMED.get(str(settings.get("base"))):
        yield named
    for said in settings.values():
        for kind in (BaseConfig, FetchedBase):
            with suppress(ValidationError):
                yield kind.model_validate(said).base()


def all_faults(folder: Path) -> list[str]:
    """Everything that is wrong with a directory and its base weights, each with file and place; none: it is whole."""
    if found := directory_faults(folder):
        return found
    try:
        for base in entry(folder).bases:
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
    """Ours says which format it has, and another detector's whose it is; a hub's config.json is transformers' own."""
    said = _object(folder / CONFIG)
    return "format" in said and said.get("detector", "text") == "text"
