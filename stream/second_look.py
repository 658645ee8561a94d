"""An event that comes back from moderation.second-look: where it lay, its own bytes, what was found of it so far."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from schemas.columns import Earlier, Score, Scores
from schemas.errors import Poison, PoisonReason
from schemas.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Place:
    """Where an event lies in the content's own topic."""

    topic: str
    topic_id: bytes
    partition: int
    offset: int


@dataclass(frozen=True, slots=True, eq=False)
class Returned:
    """The event as it was at the first look."""

    place: Place
    value: bytes
    timestamp_ms: int
    flags: int
    earlier: Earlier


def group_of(group: str) -> str:
    """The consumer group of those who look again: apart, so that neither waits for the other's rebalance."""
    return f"{group}-second-look"


def returned(record: Mapping[str, Any]) -> Returned:
    """What a decoded record of moderation.second-look holds.

    Raises:
        Poison: its columns don't fit each other: no worker wrote this.
    """
    counts = [len(record[name]) for name in ("models", "statuses", "reasons")]
    if len(set(counts)) > 1 or len(record["columns"]) != len(record["scores"]):
        raise Poison(PoisonReason.WRONG_TYPE, "scores, statuses and the detectors they are of differ in number")
    place = Place(
        record["source_topic"], record["source_topic_id"], record["source_partition"], record["source_offset"]
    )
    follows = f"{place.topic_id.hex()}/{place.partition}/{place.offset}"
    earlier = Earlier(record["sequence"], tuple(record["detectors"]), follows, _scores(record))
    return Returned(place, record["value"], record["event_time"], record["flags"], earlier)


def _scores(record: Mapping[str, Any]) -> Scores:
    detectors = tuple(model["detector"] for model in record["models"])
    evidence: dict[tuple[int, int], list[Evidence]] = {}
    for found in record["evidence"]:
        if found["detector"] not in detectors:
            raise Poison(PoisonReason.WRONG_TYPE, "evidence of a detector that is not among those asked")
        evidence.setdefault((0, detectors.index(found["detector"])), []).append(_evidence(found))
    return Scores(
        tuple(Score(column["detector"], column["category"]) for column in record["columns"]),
        detectors,
        tuple(model["version"] for model in record["models"]),
        np.array([record["scores"]], np.float32),
        np.array([record["statuses"]], np.uint8),
        np.array([record["reasons"]], np.uint8),
        evidence,
    )


def _evidence(found: Mapping[str, Any]) -> Evidence:
    return Evidence.from_json({n: v for n, v in found.items() if n != "detector" and v is not None and v != []})
