"""A card for a model that comes without one: what can be known of it, and that nobody has evaluated it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from detectors.base_models import sha256
from detectors.model_directory import CARD, CardBasics
from detectors.model_files import files_of

README: Final = "README.md"
SOURCE: Final = "source"  # within `training`
_MARK: Final = "---"


def draft_card(folder: Path, name: str, address: str) -> CardBasics:
    """The draft for the files in `folder`; licence and languages as the head of its README says, as hubs have it."""
    said = _head(folder / README)
    return CardBasics(
        name=name,
        summary=f"Fetched from {address}. Not evaluated: say here what it scores.",
        licence=str(said.get("license_name") or said.get("license") or "unknown: look it up where it comes from"),
        languages=(),
        training={SOURCE: address, "languages_named_there": _listed(said.get("language"))},
        limits=("Not evaluated here, so nothing is known of its weaknesses.",),
        files={path.name: sha256(path) for path in files_of(folder) if path.name != CARD},
        draft=True,
    )


def _head(readme: Path) -> Mapping[str, Any]:
    """The YAML between the first two lines of dashes; nothing if there is none, or it is none."""
    text = readme.read_text(encoding="utf-8", errors="replace") if readme.is_file() else ""
    _, mark, rest = text.partition(f"{_MARK}\n")
    try:
        said = yaml.safe_load(rest.partition(f"\n{_MARK}")[0]) if mark and text.startswith(_MARK) else None
    except yaml.YAMLError:
        said = None
    return said if isinstance(said, dict) else {}


def _listed(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)] if value else []
