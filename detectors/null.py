"""A detector that sees nothing dangerous: zeros. Measures the pipeline around it, or plays a device's latency."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from detectors.interface import Answer
from detectors.items import Items
from detectors.options import checked
from schemas.categories import Category


class Options(BaseModel):
    """What configuration may say of this detector."""

    model_config = ConfigDict(extra="forbid")

    delay_ms_per_batch: float = Field(default=0.0, ge=0, le=3_600_000)
    ms_per_event: float = Field(default=0.0, ge=0, le=3_600_000)


class NullDetector:
    """Zeros for every text; sleeps as a device would compute, without burning the CPU."""

    version = "0"
    categories: tuple[str, ...] = (Category.HATE, Category.HARASSMENT, Category.PROFANITY)
    modalities = ("text",)
    languages = None
    cost_ms = 0.0

    def __init__(self, options: Options) -> None:
        self._per_batch = options.delay_ms_per_batch / 1000
        self._per_event = options.ms_per_event / 1000

    def warm(self) -> None:
        """Nothing to warm."""

    def score(self, items: Items, at: Callable[[int], None]) -> Answer:
        """Zeros, all `scored`, after the latency asked for."""
        at(0)
        if seconds := self._per_batch + self._per_event * len(items):
            time.sleep(seconds)
        return Answer.scored(np.zeros((len(items), len(self.categories))))


def build(options: Mapping[str, Any]) -> NullDetector:
    """The detector as configured. UserMistake if an option is wrong."""
    return NullDetector(checked(Options, options))
