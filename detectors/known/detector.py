"""The known-content detector: attachments whose hashes stand in a bank.

    bytes → SHA-256 → banks of exact hashes
    image → PDQ     → banks of perceptual hashes, each within its own distance

A match scores 1 for the bank's category, and its evidence names bank, hash and distance, never the content. A bank's
`action_ratio` lets a new bank prove itself: that share of its hashes acts, chosen by the hash and so always the same;
the others are evidence with the score 0. Banks are looked at again every few seconds: a new file counts without a
restart; one that is not signed as it must be is not taken, and what was there before stays.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from detectors.interface import Answer
from detectors.items import Items
from detectors.known.banks import BadBank
from detectors.known.pdq import pdq
from detectors.known.watched import BankOptions, WatchedBank
from detectors.media.errors import MediaError
from detectors.media.images import frames
from detectors.media.remembered import Medium
from detectors.media.shared import fetcher
from detectors.options import checked
from schemas.attachments import Attachment
from schemas.errors import UserMistake
from schemas.evidence import Evidence
from schemas.roles import Role
from schemas.statuses import Reason, Status

_LOOK_EVERY: Final = 2.0  # seconds
_LEAST_QUALITY: Final = 50  # PDQ's own: below, an image is too flat to be told by it


class Options(BaseModel):
    """What configuration may say of this detector."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    banks: tuple[BankOptions, ...] = Field(min_length=1)
    max_attachments: int = Field(default=16, ge=1)  # looked at in one event; the others can't be called unknown

    @field_validator("banks")
    @classmethod
    def _distinct(cls, value: tuple[BankOptions, ...]) -> tuple[BankOptions, ...]:
        if len({each.file for each in value}) < len(value):
            raise ValueError("a bank is named twice")
        return value


class KnownContentDetector:
    """See `detectors.interface.Detector`."""

    modalities: Final = (Role.IMAGE.value, Role.AUDIO.value, Role.VIDEO.value)
    languages: Final = None
    cost_ms: Final = 5.0

    def __init__(self, options: Options) -> None:
        try:
            self._banks = [WatchedBank(each) for each in options.banks]
        except BadBank as bad:
            raise UserMistake(f"banks: {bad}") from None
        self.categories = tuple(dict.fromkeys(each.bank.header.category for each in self._banks))
        # the rules of matching; the banks change while it runs, so each match names its bank's own version
        rules = [
            [b.bank.header.model_dump(exclude={"count", "made_ms"}), b.options.distance, b.options.action_ratio]
            for b in self._banks
        ]
        told = json.dumps([options.max_attachments, *rules])
        self.version = hashlib.sha256(told.encode()).hexdigest()[:16]
        self._most = options.max_attachments
        self._perceptual = any(each.bank.header.kind == "pdq" for each in self._banks)
        self._looked = 0.0

    def warm(self) -> None:
        """Look for new banks: the process that was forked from may have read them long ago."""
        self._look(lambda: None)

    def score(self, items: Items, at: Callable[[int], None]) -> Answer:
        """1 for each category of which an attachment is known, else 0.

        What can't be read is `error`/`media`, unless a match acts: a row has one status, and known content must not be
        kept by adding a file that nobody can read. Then that file counts as not known.
        """
        probability = np.zeros((len(items), len(self.categories)), np.float32)
        status, reason = np.zeros(len(items), np.uint8), np.zeros(len(items), np.uint8)
        evidence: dict[int, list[Evidence]] = {}
        for row, attachments in enumerate(items.attachments):
            alive = partial(at, row)
            alive()
            if time.monotonic() - self._looked > _LOOK_EVERY:
                self._look(alive)
            found, readable = self._search(attachments, alive)
            for each in found:
                column = self.categories.index(each.category)
                probability[row, column] = max(probability[row, column], each.score)
            if found:
                evidence[row] = found
            if not readable and not probability[row].any():
                probability[row], status[row], reason[row] = np.nan, Status.error, Reason.media
        return Answer(probability, status, reason, evidence)

    def _search(self, attachments: Sequence[Attachment], alive: Callable[[], None]) -> tuple[list[Evidence], bool]:
        """All matches, and whether every attachment could be read. The same one twice counts once."""
        places = {each: place for place, each in reversed(list(enumerate(attachments)))}
        chosen = sorted(places.items(), key=lambda each: each[1])[: self._most]
        found, readable = list[Evidence](), len(places) <= self._most
        for attachment, place in chosen:
            try:
                for each in self._matches(place, attachment, alive):
                    found.append(each)
            except MediaError:
                readable = False
        return found, readable

    def _look(self, alive: Callable[[], None]) -> None:
        for each in self._banks:
            each.look(alive)
        self._looked = time.monotonic()

    def _matches(self, place: int, attachment: Attachment, alive: Callable[[], None]) -> Iterator[Evidence]:
        """Exact matches first: they need no decoding, so a file that is no image can be known too."""
        medium = fetcher().fetch(attachment, alive)
        for bank in self._banks:
            yield from self._evidence(bank, place, None, bank.exact(medium.sha256))
        if attachment.role == Role.IMAGE and self._perceptual:
            for number, hashed in _perceptual(medium, alive):
                for bank in self._banks:
                    yield from self._evidence(bank, place, number, bank.near(hashed))

    def _evidence(
        self, bank: WatchedBank, place: int, frame: int | None, matches: Iterator[tuple[bytes, int]]
    ) -> Iterator[Evidence]:
        header = bank.bank.header
        for matched, distance in matches:
            yield Evidence(
                header.category.value,
                float(bank.acts(matched)),
                attachment=place,
                frame=frame,
                bank=f"{header.name}@{bank.bank.version}",
                hash=matched.hex(),
                distance=distance,
            )


def _perceptual(medium: Medium, alive: Callable[[], None]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Frame numbers and hashes of those frames that can be told by theirs."""
    alive()
    for number, image in frames(medium.data, fetcher().limits):
        alive()
        bits, quality = pdq(image)
        if quality >= _LEAST_QUALITY:
            yield number, bits


def build(options: Mapping[str, Any]) -> KnownContentDetector:
    """The detector as configured, its banks read. UserMistake if an option or a bank is wrong."""
    chosen = checked(Options, options)
    return KnownContentDetector(chosen)
