"""The audio detector: recordings to text, and the text to the text detector.

    bytes → 30 s of sound → speech, singing, music, noise, silence → passages of voice → words → sentences → scores

An event's score is the highest of any sentence, or of a passage of up to a minute; each finding is evidence with its
time range. Nothing of the sound or the words is kept. A recording in which nothing is said scores 0: it was listened
to, and its evidence says what it is instead.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from detectors.audio.decoding import Samples, windows
from detectors.audio.hearing import Ear, Kinds, events_model
from detectors.audio.outcome import Outcome, Summary
from detectors.audio.passages import Passage, passages
from detectors.audio.sentences import sentences, together
from detectors.audio.whisper import Transcriber, Weights
from detectors.interface import Answer, Detector
from detectors.items import Items
from detectors.loading.base_models import sha256
from detectors.media.errors import MediaError
from detectors.media.shared import fetcher
from detectors.options import checked
from detectors.text import detector as text_detector
from schemas.attachments import Attachment
from schemas.roles import Role
from schemas.statuses import Reason, Status

_RULES: Final = 1  # of cutting and joining: another number, another version


class Options(BaseModel):
    """What configuration may say of this detector."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: text_detector.Options = Field(default_factory=text_detector.Options)  # of the one that reads what is said
    whisper: Path | None = None  # a folder with a Whisper model for CTranslate2; None: the packaged base model
    device: Literal["auto", "cpu", "cuda"] = "auto"  # of Whisper
    threshold: float = Field(default=0.5, gt=0, le=1)  # a range that scores so much is evidence
    max_minutes: float = Field(default=120, gt=0)  # of a recording; a longer one is an error
    most_unread: float = Field(default=0.1, ge=0, le=1)  # share of it that is said and not understood: then it abstains


class AudioDetector:
    """See `detectors.interface.Detector`. Not thread-safe."""

    modalities: Final = (Role.AUDIO.value,)
    cost_ms: Final = 3000.0

    def __init__(self, options: Options) -> None:
        self._options = options
        self._weights = Weights.of(options.whisper) if options.whisper else Weights.packaged()
        self._reader: Detector = text_detector.loaded(options.text)
        self.categories = self._reader.categories
        self.languages = self._reader.languages
        models = [self._reader.version, self._weights.version, sha256(events_model())]
        told = [_RULES, options.threshold, options.most_unread, *models]
        self.version = hashlib.sha256(" ".join(map(str, told)).encode()).hexdigest()[:16]

    def warm(self) -> None:
        """Load Whisper and take the device. Call it in the process that scores, once."""
        self._reader.warm()
        self._ear = Ear()
        self._transcriber = Transcriber(self._weights, self._options.device)
        self._transcriber.language(Passage([(0, np.zeros(1000, np.float32))]))

    def score(self, items: Items, at: Callable[[int], None]) -> Answer:
        """Probabilities (n, categories); `at(i)` again and again while row `i` lasts, every few seconds of work."""
        probability = np.full((len(items), len(self.categories)), np.nan, np.float32)
        status, reason = np.zeros(len(items), np.uint8), np.zeros(len(items), np.uint8)
        evidence = {}
        for row, attachments in enumerate(items.attachments):
            outcome = self._event(attachments, partial(at, row))
            status[row], reason[row] = outcome.verdict(self._options.most_unread)
            if status[row] == Status.scored:
                probability[row] = outcome.highest
            if outcome.evidence:
                evidence[row] = outcome.evidence
        return Answer(probability, status, reason, evidence)

    def _event(self, attachments: Sequence[Attachment], alive: Callable[[], None]) -> Outcome:
        outcome = Outcome(self.categories, self._options.threshold)
        for place, attachment in enumerate(attachments):
            if attachment.role == Role.AUDIO:
                alive()
                try:
                    self._recording(outcome, place, attachment, alive)
                except MediaError:
                    outcome.unreadable()
        return outcome

    def _recording(self, outcome: Outcome, place: int, attachment: Attachment, alive: Callable[[], None]) -> None:
        summary = Summary()
        sound = windows(fetcher().fetch(attachment, alive).data, 60 * self._options.max_minutes)
        for passage in passages(_noted(self._ear.hear(sound), summary, alive)):
            self._passage(outcome, summary, place, passage, alive)
        outcome.heard(place, summary)

    def _passage(
        self, outcome: Outcome, summary: Summary, place: int, passage: Passage, alive: Callable[[], None]
    ) -> None:
        alive()
        likeliest, told = self._transcriber.language(passage)
        alive()
        said = sentences(self._transcriber.words(passage, likeliest, alive))
        if not said:
            summary.not_read(passage, foreign=False)
            return
        texts = [*said, together(said)]
        items = Items([each.text for each in texts], [told] * len(texts), [()] * len(texts))
        answer = self._reader.score(items, lambda _: alive())
        outcome.scored(place, texts, answer.probability)
        if answer.status[-1] != Status.scored:
            summary.not_read(passage, foreign=answer.reason[-1] == Reason.language)


def _noted(
    heard: Iterator[tuple[Samples, Kinds]], summary: Summary, alive: Callable[[], None]
) -> Iterator[tuple[Samples, Kinds]]:
    for window, kinds in heard:
        alive()
        summary.add(kinds)
        yield window, kinds


def build(options: Mapping[str, Any]) -> AudioDetector:
    """The detector as configured, loaded on the CPU. UserMistake if an option or a model is wrong."""
    chosen = checked(Options, options)
    return AudioDetector(chosen)
