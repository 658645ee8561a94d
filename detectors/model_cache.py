"""Where fetched models lie: a folder for each, in the user's cache."""

import os
import re
from pathlib import Path
from typing import Final

HUB: Final = "hf://"
_AWKWARD: Final = re.compile(r"[^\w.@-]+")


def cache() -> Path:
    """$XDG_CACHE_HOME/safestream/models, or ~/.cache/safestream/models."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "safestream" / "models"


def place_of(source: str) -> Path:
    """The folder in the cache for what is fetched from `source`; a folder on this machine is its own place.

    hf://owner/name@revision → owner--name@revision; of any other address its last part.
    """
    if "://" not in source:
        return Path(source).expanduser()
    address = source.partition("://")[2].strip("/")
    name = address.replace("/", "--") if source.startswith(HUB) else address.rpartition("/")[2]
    return cache() / _AWKWARD.sub("-", name).lstrip(".")
