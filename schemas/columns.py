"""Columns that flow from decode to detect to decide: a batch is a few arrays, never a list of objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from schemas.ages import Ages
from schemas.attachments import Attachment
from schemas.evidence import Evidence


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """`n` decoded events, a row each, rows of one source partition in offset order.

    Every list has length `n`; arrays have shape `(n,)`.
    """

    topics: list[str]
    topic_ids: list[bytes]  # 16 bytes: Kafka's topic id
    partitions: list[int]
    offsets: list[int]
    timestamps_ms: list[int]  # the broker's, or the worker's where the record's own is absurd
    records: list[dict[str, Any]]  # as decoded from Avro
    texts: list[str]  # every field with the role `text`, joined by newlines; "" where there is none
    languages: list[str]  # of the text, BCP 47 as the platform says; "" unknown
    attachments: list[tuple[Attachment, ...]]  # () nearly always
    values: list[bytes]  # the record's own bytes, for the commitment in its leaf
    flags: NDArray[np.uint16]  # bits of `schemas.flags.Flag`
    attempts: NDArray[np.uint8]  # how often whole workers died at this record
    origins: dict[int, str]  # row → "topic-id/partition/offset" of the dead letter that it replays
    earlier: "dict[int, Earlier]" = field(default_factory=dict)  # row → what is known of it from a first look
    signals: Sequence[Mapping[str, Any]] = ()  # `schemas.roles.Roles.signals_of`, {} mostly; (): of no event

    def __len__(self) -> int:
        return len(self.records)

    @classmethod
    def unplaced(
        cls,
        texts: Sequence[str],
        languages: Sequence[str],
        attachments: Sequence[Sequence[Attachment]],
        signals: Sequence[Mapping[str, Any]] = (),
    ) -> Self:
        """Events that come from no log, to be scored and no more."""
        n = len(texts)
        return cls(
            topics=[""] * n,
            topic_ids=[bytes(16)] * n,
            partitions=[0] * n,
            offsets=list(range(n)),
            timestamps_ms=[0] * n,
            records=[{} for _ in range(n)],
            texts=list(texts),
            languages=list(languages),
            attachments=[tuple(found) for found in attachments],
            values=[b""] * n,
            flags=np.zeros(n, np.uint16),
            attempts=np.zeros(n, np.uint8),
            origins={},
            signals=signals,
        )

    def take(self, rows: Sequence[int]) -> "Events":
        """The rows at these positions, in their order."""

        def column(values: list[Any]) -> list[Any]:
            return [values[row] for row in rows]

        def by_row(values: Mapping[int, Any]) -> dict[int, Any]:
            return {at: values[row] for at, row in enumerate(rows) if row in values}

        at = np.array(rows, np.intp)
        return Events(
            column(self.topics),
            column(self.topic_ids),
            column(self.partitions),
            column(self.offsets),
            column(self.timestamps_ms),
            column(self.records),
            column(self.texts),
            column(self.languages),
            column(self.attachments),
            column(self.values),
            self.flags[at],
            self.attempts[at],
            by_row(self.origins),
            by_row(self.earlier),
            [self.signals[row] for row in rows] if self.signals else (),
        )


@dataclass(frozen=True, slots=True)
class Score:
    """One column of probabilities: which detector, in which version, for which category."""

    detector: str
    category: str


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What the detectors said of `n` events.

    probability  float32 (n, len(columns)), NaN wherever the detector's status is not `scored`
    status       uint8 (n, len(detectors)), a `Status`
    reason       uint8 (n, len(detectors)), a `Reason`
    evidence     (row, detector's place) → where and what was found, where a detector says
    reused       bool (n, len(detectors)): the answer is that to an identical event shortly before; None: nowhere
    age          of each detector that estimates age, by name: (n, `schemas.ages.WIDTH`), NaN where not scored
    """

    columns: tuple[Score, ...]
    detectors: tuple[str, ...]  # names, in the order of the status columns
    versions: tuple[str, ...]  # model versions, in the same order
    probability: NDArray[np.float32]
    status: NDArray[np.uint8]
    reason: NDArray[np.uint8]
    evidence: Mapping[tuple[int, int], Sequence[Evidence]] = field(default_factory=dict)
    reused: NDArray[np.bool_] | None = None
    age: Mapping[str, Ages] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.status)

    def take(self, rows: Sequence[int]) -> "Scores":
        """The rows at these positions, in their order."""
        at = np.array(rows, np.intp)
        places = {row: place for place, row in enumerate(rows)}
        evidence = {(places[row], d): found for (row, d), found in self.evidence.items() if row in places}
        reused = None if self.reused is None else self.reused[at]
        return Scores(
            self.columns,
            self.detectors,
            self.versions,
            self.probability[at],
            self.status[at],
            self.reason[at],
            evidence,
            reused,
            {name: said[at] for name, said in self.age.items()},
        )


@dataclass(frozen=True, slots=True, eq=False)
class Earlier:
    """What was found of one event when it was decided provisionally, and who is to look at it now."""

    sequence: int  # of that decision
    wanted: tuple[str, ...]  # detectors
    follows: str  # the event's place, "topic-id/partition/offset"
    scores: Scores  # one row
