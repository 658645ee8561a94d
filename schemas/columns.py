"""Columns that flow from decode to detect to decide: a batch is a few arrays, never a list of objects."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
    values: list[bytes]  # the record's own bytes, for the commitment in its leaf
    flags: NDArray[np.uint16]  # bits of `schemas.flags.Flag`
    attempts: NDArray[np.uint8]  # how often whole workers died at this record
    origins: dict[int, str]  # row → "topic-id/partition/offset" of the dead letter that it replays

    def __len__(self) -> int:
        return len(self.records)


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
    """

    columns: tuple[Score, ...]
    detectors: tuple[str, ...]  # names, in the order of the status columns
    versions: tuple[str, ...]  # model versions, in the same order
    probability: NDArray[np.float32]
    status: NDArray[np.uint8]
    reason: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.status)
