"""A card for a model that comes without one: what can be known of it, and that nobody has evaluated it."""

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

import yaml

from detectors.loading.base_models import sha256
from detectors.loading.model_directory import CARD, CardBasics
from detectors.loading.model_files import files_of

README: Final = "README.md"
SOURCE: Final = "source"  # within `training`
_MARK: Final = "---"
_HEAD_BYTES: Final = 64 << 10  # of the README, within which its head has to end
_LONGEST: Final = 200  # characters of a licence's or a language's name
_MOST: Final = 200  # of them


def draft_card(folder: Path, name: str, address: str) -> CardBasics:
    """The draft for the files in `folder`; licence and languages as the head of its README says, as hubs have it."""
    said = _head(folder / README)
    licences = chain(_words(said.get("license_name")), _words(said.get("license")))
    return CardBasics(
        name=name,
        summary=f"Fetched from {address}. Not evaluated: say here what it scores.",
        licence=next(licences, "unknown: look it up where it comes from"),
        languages=(),
        training={SOURCE: address, "languages_named_there": list(_words(said.get("language")))},
        limits=("Not evaluated here, so nothing is known of its weaknesses.",),
        files={path.name: sha256(path) for path in files_of(folder) if path.name != CARD},
        draft=True,
    )


def _head(readme: Path) -> Mapping[str, Any]:
    """The YAML between the first two lines of dashes; nothing if there is none, or it is none."""
    text = _beginning(readme) if readme.is_file() else ""
    _, mark, rest = text.partition(f"{_MARK}\n")
    try:
        head = rest.partition(f"\n{_MARK}")[0] if mark and text.startswith(_MARK) else ""
        said = yaml.load(head, yaml.BaseLoader)  # noqa: S506 - makes nothing but strings, lists and mappings
    except (yaml.YAMLError, RecursionError):
        said = None
    return said if isinstance(said, dict) else {}


def _beginning(readme: Path) -> str:
    with readme.open("rb") as file:
        return file.read(_HEAD_BYTES).decode("utf-8", errors="replace")


def _words(value: Any) -> Iterator[str]:
    """A string, or those of a list. Bounded, for aliases can make anything as large as its author likes."""
    each = value if isinstance(value, list) else [value]
    return islice((word for word in each if isinstance(word, str) and 0 < len(word) <= _LONGEST), _MOST)
