"""What is written in an event's images, scored by the text detector: each image's text, and all of it with the caption.

Each line is scored too, for the evidence alone: where in the picture it is.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from detectors.image.reading import Line
from detectors.image.sight import Frame
from detectors.items import Items
from detectors.text.detector import TextDetector
from schemas.evidence import Evidence
from schemas.statuses import Status

Scores: TypeAlias = NDArray[np.float64]  # (n, the text detector's categories); NaN where it declined


@dataclass(frozen=True, slots=True)
class Passage:
    """A text to be scored."""

    text: str
    of_caption: bool  # the caption is part of it, so that what the platform says of the language holds
    whole: bool  # not a line alone
    told: bool  # as evidence; the caption alone is for the text detector itself to report
    attachment: int | None = None
    frame: int | None = None
    box: tuple[int, int, int, int] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What the text detector says."""

    whole: Scores  # of the caption, each image's text, and all together
    understood: bool  # all that was read in images could be scored
    findings: Sequence[Evidence]  # of what was read in images, and of all together


class Writing:
    """Composes with a text detector, which is warmed and called here."""

    def __init__(self, detector: TextDetector) -> None:
        self._detector = detector

    def warm(self) -> None:
        """The text detector's own."""
        self._detector.warm()

    def score(self, caption: str, language: str, seen: Sequence[Frame], alive: Callable[[], None]) -> Scored:
        """Score a caption and what was read in the images that came with it; `language` is the event's."""
        passages = list(_passages(caption, seen))
        texts = list(dict.fromkeys((each.text, each.of_caption) for each in passages))
        said = [language if of_caption else "" for _, of_caption in texts]
        items = Items([text for text, _ in texts], said, [()] * len(texts))
        answer = self._detector.score(items, lambda _: alive())
        rows = [texts.index((each.text, each.of_caption)) for each in passages]
        scores = answer.probability.astype(np.float64)[rows].reshape(len(rows), len(self._detector.categories))
        scored = (answer.status == Status.scored)[rows]
        whole = np.array([each.whole for each in passages], np.bool_)
        read = np.array([not each.of_caption for each in passages], np.bool_)
        return Scored(scores[whole], bool(scored[whole & read].all()), list(self._findings(passages, scores)))

    def _findings(self, passages: Sequence[Passage], scores: Scores) -> Iterator[Evidence]:
        for passage, of_passage in zip(passages, scores.tolist(), strict=True):
            for category, score in zip(self._detector.categories, of_passage, strict=True):
                if passage.told and not math.isnan(score):
                    yield Evidence(category, score, passage.attachment, passage.frame, passage.box)


def _passages(caption: str, seen: Sequence[Frame]) -> Iterator[Passage]:
    """The caption, the text of each image, all together, and each line."""
    read = list[str]()
    for attachment, frames in groupby(seen, key=lambda frame: frame.attachment):
        written = [frame for frame in frames if frame.lines]
        if not written:
            continue
        lines = list(dict.fromkeys(line.text for frame in written for line in frame.lines))
        read.append(" ".join(lines))
        first = written[0]
        yield Passage(read[-1], False, True, True, attachment, first.number, _around(first.lines))
        if len(lines) > 1:
            for frame in written:
                for line in frame.lines:
                    yield Passage(line.text, False, False, True, attachment, frame.number, line.box)
    if caption:
        yield Passage(caption, True, True, False)
    if len(read) + bool(caption) > 1:
        yield Passage("\n".join([caption, *read]).strip(), bool(caption), True, True)


def _around(lines: Sequence[Line]) -> tuple[int, int, int, int]:
    """The smallest box that holds them all."""
    left, top = min(line.box[0] for line in lines), min(line.box[1] for line in lines)
    right, bottom = max(line.box[0] + line.box[2] for line in lines), max(line.box[1] + line.box[3] for line in lines)
    return left, top, right - left, bottom - top
