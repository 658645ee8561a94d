"""Where fetched models lie: a folder for each, in the user's cache."""

import hashlib
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

    hf://owner/name@revision → owner--name@revision; of any other address its last part and a hash of the whole, for
    two addresses may end alike.
    """
    if "://" not in source:
        return Path(source).expanduser()
    source = source.rstrip("/")
    if source.startswith(HUB):
        name = source.removeprefix(HUB).replace("/", "--")  # which no owner and no name has
    else:
        name = f"{source.rpartition('/')[2]}-{hashlib.sha256(source.encode()).hexdigest()[:8]}"
    return cache() / _AWKWARD.sub("-", name).lstrip(".")
