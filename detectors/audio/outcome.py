"""What was found in the recordings of one event, and what that is worth."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.audio.decoding import RATE
from detectors.audio.hearing import FRAME, Kind, Kinds
from detectors.audio.passages import Passage
from detectors.audio.whisper import Said
from schemas.evidence import Evidence
from schemas.statuses import Reason, Status

MOST_EVIDENCE: Final = 32  # entries an event
UNREAD: Final = "unread"
_LEAST_SHARE: Final = 0.01  # of a recording: what is heard for less isn't told


class Outcome:
    """One event's; recordings are added one after the other."""

    def __init__(self, categories: Sequence[str], threshold: float) -> None:
        self.highest = np.zeros(len(categories), np.float32)
        self._categories, self._threshold = categories, threshold
        self._findings: list[Evidence] = []
        self._summaries: list[Evidence] = []
        self._readable = True
        self._foreign = False
        self._unread_share = 0.0  # the largest of a recording's

    def unreadable(self) -> None:
        """A recording can't be fetched or decoded."""
        self._readable = False

    def scored(self, place: int, texts: Sequence[Said], scores: NDArray[np.float32]) -> None:
        """What the text detector says of sentences and, last, of all of them together: (texts, categories).

        All together are a finding only where no sentence is one. NaN: not scored.
        """
        self.highest = np.fmax(self.highest, np.fmax.reduce(scores, axis=0))
        high = scores >= self._threshold
        high[-1] &= ~high[:-1].any(axis=0)
        for row, column in np.argwhere(high).tolist():
            said, score = texts[row], round(float(scores[row, column]), 4)
            name = str(self._categories[column])
            self._findings.append(Evidence(name, score, attachment=place, start_ms=said.start_ms, end_ms=said.end_ms))

    def heard(self, place: int, summary: "Summary") -> None:
        """A recording is done."""
        self._summaries += summary.evidence(place)
        self._foreign |= summary.foreign
        self._unread_share = max(self._unread_share, summary.unread_share)

    def verdict(self, most_unread: float) -> tuple[Status, Reason]:
        """What was not read is missing, whatever was found in the rest: that is told as evidence."""
        if not self._readable:
            return Status.error, Reason.media
        if self._unread_share > most_unread:
            return Status.abstained, Reason.language if self._foreign else Reason.unsure
        return Status.scored, Reason.none

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The highest findings in the order of their times, then what was heard."""
        summaries = self._summaries[:MOST_EVIDENCE]
        kept = sorted(self._findings, key=lambda each: -each.score)[: MOST_EVIDENCE - len(summaries)]
        kept.sort(key=lambda each: (each.attachment or 0, each.start_ms or 0))
        return (*kept, *summaries)


class Summary:
    """What kinds of sound one recording has, and how much of its voices was not understood."""

    def __init__(self) -> None:
        self.foreign = False  # something was said in a language that the text detector was not evaluated in
        self._frames = 0
        self._counts = np.zeros(len(Kind), np.int64)
        self._bounds: dict[Kind, tuple[int, int]] = {}  # first and last frame
        self._unread: list[tuple[int, int]] = []  # samples

    def add(self, kinds: Kinds) -> None:
        """Another window."""
        for kind in map(Kind, np.unique(kinds).tolist()):
            places = np.flatnonzero(kinds == kind) + self._frames
            first, _ = self._bounds.get(kind, (int(places[0]), 0))
            self._bounds[kind] = first, int(places[-1])
        self._counts += np.bincount(kinds, minlength=len(Kind))
        self._frames += len(kinds)

    def not_read(self, passage: Passage, *, foreign: bool) -> None:
        """A voice without words that could be judged."""
        self._unread += passage.spans
        self.foreign |= foreign

    @property
    def unread_share(self) -> float:
        """Of the recording."""
        return sum(end - start for start, end in self._unread) / max(1, self._frames * FRAME)

    def evidence(self, place: int) -> list[Evidence]:
        """An entry a kind: its share of the recording as score, from its first to its last moment."""
        shares = self._counts / max(1, self._frames)
        told = [
            Evidence(
                kind.name,
                round(float(shares[kind]), 4),
                attachment=place,
                start_ms=self._bounds[kind][0] * 10,
                end_ms=(self._bounds[kind][1] + 1) * 10,
            )
            for kind in sorted(self._bounds, reverse=True)
            if shares[kind] >= _LEAST_SHARE
        ]
        if self._unread:
            start, end = self._unread[0][0] * 1000 // RATE, self._unread[-1][1] * 1000 // RATE
            share = round(self.unread_share, 4)
            told.append(Evidence(UNREAD, share, attachment=place, start_ms=start, end_ms=end))
        return told
