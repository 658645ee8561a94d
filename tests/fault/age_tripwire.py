"""An age model that really fails, at a profile whose bio says `TRIP:<how>`: see `tests.fault.tripwire`."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from detectors.age import detector as age
from detectors.interface import Answer
from detectors.items import Items
from schemas.ages import YEARS
from tests.fault.tripwire import WAYS


class AgeTripwire:
    categories: tuple[str, ...] = ()
    modalities = ("signals",)
    languages = None
    cost_ms = 0.1

    def __init__(self, inner: age.AgeDetector) -> None:
        self._inner, self.version = inner, inner.version

    def warm(self) -> None:
        self._inner.warm()

    def score(self, items: Items, at: Callable[[int], None]) -> Answer:
        answer = self._inner.score(items, at)
        assert answer.age is not None
        for row, signals in enumerate(items.signals):
            at(row)
            how = str(signals.get("bio", "")).partition("TRIP:")[2]
            if how == "nan":
                answer.age[row, 30] = np.nan
            elif how == "mass":
                answer.age[row, :YEARS] /= 2
            elif how:
                WAYS[how]()
        return answer


def build(options: Mapping[str, Any]) -> AgeTripwire:
    return AgeTripwire(age.build(options))
