"""The image detector: what a picture shows, what is written in it, and both together with the event's own text.

    image ─► frames ─┬─► open_nsfw ───────────────────────► sexual ─────┐
                     ├─► joint model, if configured ──────► categories ─┼─► one probability a category
                     └─► lines ─┬─► text detector ─┐                    │
    caption ────────────────────┴─► text detector ─┴─► categories ──────┘

An image that can't be fetched or decoded makes its event an error (`media`), and no other. Text in a language that the
text detector was not evaluated in makes it abstain, and what was found in the rest is told as evidence.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from detectors.calibration import Platt
from detectors.image.card import read_card, require_extra
from detectors.image.combination import either, highest
from detectors.image.joint import Joint, JointOptions
from detectors.image.picture import Picture
from detectors.image.reading import Reader
from detectors.image.sight import Eyes, Frame
from detectors.image.writing import Writing
from detectors.interface import Answer
from detectors.items import Items
from detectors.media.errors import MediaError
from detectors.options import checked
from detectors.runtime.canary import canary
from detectors.text import detector as text_detector
from schemas.attachments import Attachment
from schemas.categories import Category
from schemas.evidence import Evidence
from schemas.roles import Role
from schemas.statuses import Reason, Status

_WORTH_TELLING: Final = 0.25  # a finding's score
_MOST_FINDINGS: Final = 16


class Options(BaseModel):
    """What configuration may say of this detector."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: text_detector.Options = Field(default_factory=text_detector.Options)  # of the one that scores what is read
    max_images: int = Field(default=16, ge=1)  # of one event; more make it an error
    joint: JointOptions | None = None  # a model that encodes pictures and words together


class ImageDetector:
    """See `detectors.interface.Detector`. Not thread-safe."""

    modalities: Final = (Role.IMAGE.value,)
    languages: Final = None  # pictures have none; of text in them the text detector decides
    cost_ms: Final = 300.0

    def __init__(self, options: Options) -> None:
        require_extra()
        card, digest = read_card()
        joint = Joint(options.joint) if options.joint else None
        reads = text_detector.loaded(options.text)
        mine = (*reads.categories, Category.SEXUAL.value, *(joint.categories if joint else ()))
        self.categories: tuple[str, ...] = tuple(dict.fromkeys(mine))
        parts = [digest, reads.version, joint.version if joint else "", options.max_images]
        self.version = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
        self._writing = Writing(reads)
        self._text_platt = Platt(card.text_calibration.slope, card.text_calibration.intercept)
        self._sexual = self.categories.index(Category.SEXUAL.value)
        self._joint_columns = [self.categories.index(each) for each in joint.categories] if joint else []
        self._eyes = Eyes(Picture(card), Reader(card), joint, options.max_images)

    def warm(self) -> None:
        """Load what can't be forked, and look at a first image."""
        self._eyes.warm()
        self._writing.warm()
        self.score(canary(self.modalities), lambda _: None)

    def score(self, items: Items, at: Callable[[int], None]) -> Answer:
        """Probabilities (n, categories); `at(i)` again and again while row `i` is worked on."""
        probability = np.full((len(items), len(self.categories)), np.nan, np.float32)
        status, reason = np.zeros(len(items), np.uint8), np.zeros(len(items), np.uint8)
        evidence = dict[int, Sequence[Evidence]]()
        for row, (caption, language, attached) in enumerate(
            zip(items.texts, items.languages, items.attachments, strict=True)
        ):
            at(row)
            try:
                found, understood, told = self._judge(caption, language, attached, partial(at, row))
            except MediaError:
                status[row], reason[row] = Status.error, Reason.media
                continue
            evidence[row] = told
            if understood:
                probability[row] = found
            else:
                status[row], reason[row] = Status.abstained, Reason.language
        return Answer(probability, status, reason, evidence)

    def _judge(
        self, caption: str, language: str, attached: Sequence[Attachment], alive: Callable[[], None]
    ) -> tuple[NDArray[np.float64], bool, list[Evidence]]:
        """Probabilities (categories,), whether all that was read was understood, and what was found where."""
        seen = self._eyes.look(attached, alive)
        scored = self._writing.score(caption, language, seen, alive)
        of_text = np.zeros(len(self.categories))
        of_text[: scored.whole.shape[1]] = highest(scored.whole, self._text_platt)  # its columns come first
        told = [*scored.findings, *self._shown(seen)]
        told = sorted((each for each in told if each.score >= _WORTH_TELLING), key=lambda each: -each.score)
        return either([of_text, *self._of_pictures(seen)]), scored.understood, told[:_MOST_FINDINGS]

    def _of_pictures(self, seen: Sequence[Frame]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The highest over the frames, by open_nsfw and by the joint model: (categories,) each."""
        shown, joint = np.zeros((2, len(self.categories)))
        for frame in seen:
            shown[self._sexual] = max(shown[self._sexual], frame.shown)
            joint[self._joint_columns] = np.maximum(joint[self._joint_columns], frame.joint)
        return shown, joint

    def _shown(self, seen: Sequence[Frame]) -> Iterator[Evidence]:
        for frame in seen:
            yield Evidence(Category.SEXUAL.value, frame.shown, frame.attachment, frame.number)
            for column, score in zip(self._joint_columns, frame.joint.tolist(), strict=True):
                yield Evidence(self.categories[column], score, frame.attachment, frame.number)


def build(options: Mapping[str, Any]) -> ImageDetector:
    """The detector as configured, loaded on the CPU. UserMistake if an option, the extra or a model file is wrong."""
    chosen = checked(Options, options)
    return ImageDetector(chosen)
