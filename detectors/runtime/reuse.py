"""What was just scored is not scored again: the answers to identical events, for a while.

    known        an identical event was answered within the window: its answer is this one's
    under way    an identical event is being scored: this one waits, and gets the same answer
    else         it is scored

Identical means: the same text, the same declared language, no attachments, for the same detector in the same version;
to a detector that reads signals of age also the same signals.
Only what the event itself led to is kept: a score, or that the detector abstains. An error never is. One that the event
is guilty of is handed to those that wait for it, or each copy would kill its processes too; after any other error, a
device's or a server's, who waited is scored after all.
"""

import time
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np

from detectors.interface import Answer, Description, ProcessSettings
from detectors.runtime.guilt import GUILTY
from detectors.runtime.outstanding import Batch, Rows
from schemas.evidence import Evidence
from schemas.statuses import Reason, Status

LEAST_COST_MS: Final = 0.1
MOST_CHARACTERS: Final = 2_000_000  # of the texts of one generation
_KEPT: Final = np.zeros((max(Status) + 1, max(Reason) + 1), np.bool_)
_KEPT[Status.scored, Reason.none] = True
_KEPT[Status.abstained, [Reason.none, Reason.language, Reason.unsure]] = True
_HANDED_ON: Final = _KEPT.copy()
_HANDED_ON[Status.error, GUILTY] = True

Cell: TypeAlias = tuple[Batch, int]  # a row of a batch


class _Generation:
    """Answers that go at the same time. `base` is the place of the first in the window's arrays."""

    def __init__(self, base: int, began: float) -> None:
        self.base = base
        self.began = began
        self.places: dict[Hashable, int] = {}
        self.evidence: dict[int, Sequence[Evidence]] = {}
        self.characters = 0
        self.used = 0


class Window:
    """The last answers of one detector: at most `entries`, none older than `seconds`."""

    def __init__(self, width: int, entries: int, seconds: float) -> None:
        """`width`: numbers of an answer."""
        self._half = max(1, entries // 2)
        self._seconds = seconds
        self._numbers = np.empty((2 * self._half, width), np.float32)
        self._status = np.empty(2 * self._half, np.uint8)
        self._reason = np.empty(2 * self._half, np.uint8)
        self._young, self._old = _Generation(0, 0.0), _Generation(self._half, 0.0)

    def find(self, keys: Sequence[Hashable], now: float) -> list[int]:
        """The place of each one's answer, -1 where there is none."""
        if now - self._young.began > self._seconds / 2:
            self._age(now)
        if now - self._old.began > self._seconds:
            self._old.places.clear()
        young, old = self._young.places, self._old.places
        if not old:
            return [young.get(key, -1) for key in keys]
        return [place if (place := young.get(key, -1)) >= 0 else old.get(key, -1) for key in keys]

    def _age(self, now: float) -> None:
        self._young, self._old = _Generation(self._old.base, now), self._young

    def keep(self, keys: Sequence[Hashable], batch: Batch, detector: int, rows: Rows, now: float) -> None:
        """Remember the answers of these rows."""
        characters = int(batch.units[detector][rows].sum())
        young = self._young
        if young.used + len(rows) > self._half or young.characters + characters > MOST_CHARACTERS:
            self._age(now)
            young = self._young
        if len(rows) > self._half or characters > MOST_CHARACTERS or not len(rows):
            return
        first = young.base + young.used
        places = slice(first, first + len(rows))
        self._numbers[places] = batch.numbers(detector, rows)
        self._status[places], self._reason[places] = batch.outcome(detector, rows)
        young.places.update(zip(keys, range(first, first + len(rows)), strict=True))
        young.used += len(rows)
        young.characters += characters
        for place, row in enumerate(rows.tolist(), first) if batch.evidence else ():
            if found := batch.evidence.get((row, detector)):
                young.evidence[place] = found

    def give(self, batch: Batch, detector: int, rows: Rows, places: Sequence[int]) -> None:
        """Settle rows with the answers at these places."""
        at = np.array(places, np.intp)
        evidence = {row: found for row, place in enumerate(places) if (found := self._evidence(place))}
        said = batch.answers(detector, self._numbers[at], self._status[at], self._reason[at])
        batch.reuse(detector, rows, replace(said, evidence=evidence))

    def _evidence(self, place: int) -> Sequence[Evidence] | None:
        young = self._young.base <= place < self._young.base + self._half
        return (self._young if young else self._old).evidence.get(place)


class Reuse:
    """A window for each detector that is dear enough, and who waits for whom."""

    def __init__(self, windows: Sequence[Window | None]) -> None:
        """A detector without a window scores everything."""
        self._windows = windows
        self._under_way: list[dict[Hashable, Cell]] = [{} for _ in windows]
        self._waiting: list[dict[Hashable, list[Cell]]] = [{} for _ in windows]
        self._released: list[tuple[Batch, int, Rows]] = []

    def sift(self, batch: Batch, detector: int, rows: Rows) -> Rows:
        """Settle rows whose answer is known, let those wait whose like is under way; the rest is to be scored."""
        window = self._windows[detector]
        if window is None or not len(rows):
            return rows
        of_rows = batch.keys(detector)
        keys = [of_rows[row] for row in rows.tolist()]
        places = window.find(keys, time.monotonic())
        under_way, waiting, asked = self._under_way[detector], self._waiting[detector], list[int]()
        for row, key, place in zip(rows.tolist(), keys, places, strict=True):
            if key is None:
                asked.append(row)
            elif place < 0:
                cell = (batch, row)
                if under_way.setdefault(key, cell) == cell:
                    asked.append(row)
                else:
                    waiting.setdefault(key, []).append(cell)
        known = np.array(places) >= 0
        if known.any():
            window.give(batch, detector, rows[known], [place for place in places if place >= 0])
        return np.array(asked, np.int64)

    def settled(self, batch: Batch, detector: int, rows: Rows) -> None:
        """These rows have an answer or an error: keep it, and hand it to those that wait, or release them."""
        window = self._windows[detector]
        if window is None:
            return
        under_way, waiting = self._under_way[detector], self._waiting[detector]
        places, keys = rows.tolist(), batch.keys(detector)
        outcome = batch.outcome(detector, rows)
        good, handed = _KEPT[outcome], _HANDED_ON[outcome]
        kept = [row for row, keep in zip(places, good.tolist(), strict=True) if keep and keys[row] is not None]
        window.keep([keys[row] for row in kept], batch, detector, np.array(kept, np.int64), time.monotonic())
        for row, hand in zip(places, handed.tolist(), strict=True):
            key = keys[row]
            if under_way.get(key) == (batch, row):
                del under_way[key]
                if found := waiting.pop(key, None):
                    self._hand_on(detector, found, batch.answer(detector, row) if hand else None)

    def _hand_on(self, detector: int, cells: list[Cell], answer: Answer | None) -> None:
        for batch, row in cells:
            if answer:
                batch.reuse(detector, np.array([row]), answer)
            else:
                self._released.append((batch, detector, np.array([row])))

    def released(self) -> list[tuple[Batch, int, Rows]]:
        """Those that waited for an answer that was none, once: batch, detector, rows."""
        released, self._released = self._released, []
        return released

    def forget(self) -> None:
        """All batches have been dropped; what is known stays."""
        for under_way, waiting in zip(self._under_way, self._waiting, strict=True):
            under_way.clear()
            waiting.clear()
        self._released.clear()


def window_for(detector: Description, settings: ProcessSettings) -> Window | None:
    """None where nothing is to be reused, and for a detector that is cheaper than looking for its answer."""
    if detector.cost_ms < LEAST_COST_MS or not settings.reuse_entries:
        return None
    return Window(detector.width, settings.reuse_entries, settings.reuse_seconds)
