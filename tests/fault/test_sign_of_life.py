"""A record that takes long, and says all the while that it goes on, is no hang."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from detectors.interface import Answer, DetectorSpec, ProcessSettings
from detectors.items import Items
from schemas.categories import Category
from schemas.statuses import Reason, Status
from tests.event_columns import events
from tests.fault.scoring import Start, score

DEADLINE = 1.0  # seconds
STEPS = 6


class Plodder:
    """Takes as many steps over a text as it says, half a deadline each; says so before each, or only once."""

    version = "1"
    categories = (Category.HATE,)
    modalities = ("text",)
    languages = None
    cost_ms = 1000.0

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._silent = bool(options.get("silent"))

    def warm(self) -> None:
        return

    def score(self, items: Items, at: Callable[[int], None]) -> Answer:
        for row, text in enumerate(items.texts):
            at(row)
            for _ in range(STEPS if text == "long" else 0):
                time.sleep(DEADLINE / 2)
                if not self._silent:
                    at(row)
            while text == "for ever":
                time.sleep(0.01)
                at(row)
        return Answer.scored(np.full((len(items), 1), 0.5))


def spec(**options: Any) -> DetectorSpec:
    return DetectorSpec("plodder", options, f"{__name__}:Plodder")


def test_a_row_may_take_longer_than_the_deadline_if_it_gives_signs_of_life(start: Start) -> None:
    client = start(spec(), settings=ProcessSettings(deadline_ms=int(DEADLINE * 1000)))
    assert score(client, events(["short", "long"])).status[:, 0].tolist() == [Status.scored, Status.scored]


def test_without_them_it_is_taken_for_a_hang(start: Start) -> None:
    client = start(spec(silent=True), settings=ProcessSettings(deadline_ms=int(DEADLINE * 1000)))
    scores = score(client, events(["short", "long"]))
    assert scores.status[:, 0].tolist() == [Status.scored, Status.error]
    assert scores.reason[1, 0] == Reason.hung


def test_nor_may_it_go_on_for_ever(start: Start) -> None:
    client = start(spec(), settings=ProcessSettings(deadline_ms=200))
    scores = score(client, events(["short", "for ever"]))
    assert scores.status[:, 0].tolist() == [Status.scored, Status.error]
    assert scores.reason[1, 0] == Reason.hung
