"""A detector that sees nothing dangerous: zeros. Measures the pipeline around it, or plays a device's latency."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from detectors.interface import Answer
from detectors.items import Items
from schemas.categories import Category
from schemas.errors import UserMistake


class NullDetector:
    """Zeros for every text; sleeps as a device would compute, without burning the CPU."""

    version = "0"
    categories: tuple[str, ...] = (Category.HATE, Category.HARASSMENT, Category.PROFANITY)
    modalities = ("text",)
    languages = None
    cost_ms = 0.0

    def __init__(self, delay_ms_per_batch: float = 0.0, ms_per_event: float = 0.0) -> None:
        self._per_batch = delay_ms_per_batch / 1000
        self._per_event = ms_per_event / 1000

    def warm(self) -> None:
        """Nothing to warm."""

    def score(self, items: Items, at: Callable[[int], None]) -> Answer:
        """Zeros, all `scored`, after the latency asked for."""
        at(0)
        if seconds := self._per_batch + self._per_event * len(items):
            time.sleep(seconds)
        return Answer.scored(np.zeros((len(items), len(self.categories))))


def build(options: Mapping[str, Any]) -> NullDetector:
    """Factory; options `delay_ms_per_batch` and `ms_per_event`, both 0."""
    if unknown := set(options) - {"delay_ms_per_batch", "ms_per_event"}:
        raise UserMistake(f"detector null: unknown option {min(unknown)!r}")
    return NullDetector(**options)
