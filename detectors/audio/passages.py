"""Passages: what voices say without a long pause, cut at pauses into pieces of up to a minute.

A passage holds its own samples and where in the recording each stretch of them lay; nothing else of the recording is
kept.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.audio.decoding import RATE, Samples
from detectors.audio.hearing import FRAME, Kind, Kinds

MOST_SECONDS: Final = 60  # of voice in a passage
_LONGEST_STRETCH: Final = 30 * RATE  # samples without a pause: then it is cut in the middle of whatever it is
_LONGEST_PAUSE: Final = 5 * RATE  # samples: behind a longer one something else is said
_GAP: Final = 30  # frames: a shorter one is no pause
_BLIP: Final = 15  # frames: shorter ones are no voice
_MARGIN: Final = _GAP // 2  # frames kept before and after a voice


@dataclass(slots=True)
class Passage:
    """Some stretches of a recording."""

    stretches: list[tuple[int, Samples]] = field(default_factory=list)  # (place of its first sample, the samples)

    @property
    def samples(self) -> Samples:
        """The stretches end to end."""
        return np.concatenate([each for _, each in self.stretches])

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Where in the recording they lie, in samples."""
        return [(start, start + len(each)) for start, each in self.stretches]

    @property
    def seconds(self) -> float:
        """Of voice."""
        return sum(len(each) for _, each in self.stretches) / RATE

    @property
    def end(self) -> int:
        """The sample behind its last."""
        start, last = self.stretches[-1]
        return start + len(last)


def passages(heard: Iterable[tuple[Samples, Kinds]]) -> Iterator[Passage]:
    """What was said in a recording whose windows were heard, as soon as it is complete."""
    passage = Passage()
    for start, stretch in _stretches(heard):
        full = passage.seconds + len(stretch) / RATE > MOST_SECONDS
        if passage.stretches and (full or start - passage.end > _LONGEST_PAUSE):
            yield passage
            passage = Passage()
        passage.stretches.append((start, stretch))
    if passage.stretches:
        yield passage


def _stretches(heard: Iterable[tuple[Samples, Kinds]]) -> Iterator[tuple[int, Samples]]:
    """Places and samples of the voices between pauses; one that goes on in the next window is joined with it."""
    place, open_at, held = 0, 0, np.zeros(0, np.float32)
    for window, kinds in heard:
        for first, last in _voiced(kinds >= Kind.singing):
            piece = window[first * FRAME : last * FRAME]
            if len(held) and (first > 0 or len(held) + len(piece) > _LONGEST_STRETCH):
                yield open_at, held
                held = held[:0]
            held, open_at = np.concatenate((held, piece)), open_at if len(held) else place + first * FRAME
            if last < len(kinds):
                yield open_at, held
                held = held[:0]
        place += len(window)
        if len(held) and open_at + len(held) < place:  # the next window may not begin with a voice
            yield open_at, held
            held = held[:0]
    if len(held):
        yield open_at, held


def _voiced(voice: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Runs of frames with a voice, small gaps closed, blips dropped, with margins; the end excluded."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], voice, [False])).astype(np.int8)))
    runs: list[tuple[int, int]] = []
    for first, last in edges.reshape(-1, 2).tolist():
        if runs and first - runs[-1][1] < _GAP:
            runs[-1] = runs[-1][0], last
        else:
            runs.append((first, last))
    kept = [(first, last) for first, last in runs if last - first >= _BLIP or last == len(voice) or first == 0]
    return [(max(0, first - _MARGIN), min(len(voice), last + _MARGIN)) for first, last in kept]
