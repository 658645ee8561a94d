"""What the guard is shown of a text, windows and parts of them, and which texts it is not asked about."""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np

from detectors.items import Items
from detectors.llm.prompt import Neutraliser
from detectors.text.language import LanguageGate
from schemas.statuses import Reason, Status

WINDOW: Final = 400  # characters of a message that one forward sees
OVERLAP: Final = 100  # characters that two neighbouring windows share, so that nothing is cut in half unseen
MOST_WINDOWS: Final = 16  # of one message; a longer one is not seen whole, so there is no score
MOST_PARTS: Final = 16  # lines, and as many sentences, of a long message that are shown on their own as well
END: Final = 160  # characters of its beginning and of its end, likewise
_SHORTEST: Final = 12  # characters of a part; what is shorter says nothing on its own
_SENTENCE_ENDS: Final = re.compile(r"(?<=[.!?:;\"”])\s+|\n")


@dataclass(frozen=True, slots=True)
class Shown:
    """What the guard is shown of a text."""

    parts: list[str]
    whole: bool  # every character stands in one of them

    @property
    def outcome(self) -> tuple[Status, Reason]:
        """Of a text shown like this: what was not seen is missing, whatever was found in the rest."""
        if not self.parts:
            return Status.abstained, Reason.none
        return (Status.scored, Reason.none) if self.whole else (Status.abstained, Reason.unsure)


def to_ask(
    items: Items, gate: LanguageGate | None, neutral: Neutraliser
) -> tuple[list[tuple[Status, Reason]], list[int], list[Shown]]:
    """What becomes of each row if the guard answers, the rows that it is to be asked about, and what of them."""
    shown = [views(text, neutral) for text in items.texts]
    outcomes = [one.outcome for one in shown]
    if gate is not None:
        for row in np.flatnonzero(gate.declined(items.texts, items.languages)).tolist():
            outcomes[row] = (Status.abstained, Reason.language)
    rows = [row for row, (status, _) in enumerate(outcomes) if status == Status.scored]
    return outcomes, rows, [shown[row] for row in rows]


def views(text: str, neutral: Neutraliser) -> Shown:
    """What the guard is shown of a text, all of it neutral; nothing if there is nothing to read.

    A short text is shown as it is. Of a long one windows are shown, and on their own its lines, its sentences, its
    beginning and its end: what stands around a message to talk the guard out of its answer (pages of it, mostly) is
    then not in sight.
    """
    whole = neutral(text)
    if len(whole) <= WINDOW:
        return Shown([whole] if whole else [], whole=True)
    lines, sentences = (
        [part for part in map(neutral, cut) if _SHORTEST <= len(part) <= WINDOW]
        for cut in (text.splitlines(), _SENTENCE_ENDS.split(text))
    )
    ends = [whole[: _cut(whole, END // 2, END)], whole[len(whole) - END :].partition(" ")[2]]
    every = windows(whole)
    shown = [*spread(every, MOST_WINDOWS), *spread(lines, MOST_PARTS), *spread(sentences, MOST_PARTS), *ends]
    return Shown(list(dict.fromkeys(view for view in shown if view)), len(every) <= MOST_WINDOWS)


def windows(text: str) -> list[str]:
    """A neutral text in overlapping windows, cut at spaces where there are any; short ones are one window."""
    found, start = [], 0
    while len(text) - start > WINDOW:
        stop = _cut(text, start + WINDOW - OVERLAP // 2, start + WINDOW)
        found.append(text[start:stop])
        start = _cut(text, stop - OVERLAP, stop - OVERLAP // 2)
    found.append(text[start:])
    return [window.strip() for window in found]


def spread(found: list[str], most: int) -> list[str]:
    """At most so many of them: the first, the last and others evenly between."""
    last = len(found) - 1
    return found if len(found) <= most else [found[round(i * last / (most - 1))] for i in range(most)]


def _cut(text: str, low: int, high: int) -> int:
    """The last space in text[low:high], else `high`."""
    space = text.rfind(" ", low, high)
    return high if space < 0 else space
