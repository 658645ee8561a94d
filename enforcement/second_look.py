"""What is written for a detector that works elsewhere, and the decision once it has looked.

    worker          decides by what it has ──► a provisional decision, and the event with its scores to
                    moderation.second-look, in one transaction
    second look     scores what was asked for, joins it with the scores so far, decides: the next sequence

Events come from workers of several versions, so what has been scored so far differs from event to event: those of one
shape are decided together.
"""

import io
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import fastavro
import numpy as np
from numpy.typing import NDArray

from enforcement.decide import Policy
from enforcement.encode import Ruling, evidence_of
from schemas.columns import Events, Score, Scores
from schemas.registry import Schema
from schemas.wire import frame

Shape: TypeAlias = tuple[tuple[Score, ...], tuple[str, ...], tuple[str, ...]]  # columns, detectors, versions


class SecondLookEncoder:
    """Values for moderation.second-look."""

    def __init__(self, policy: Policy, schema: Schema) -> None:
        self._policy = policy
        self._parsed, self._frame = schema.parsed, frame(schema.id)
        pairs = zip(policy.detectors, policy.versions, strict=True)
        self._same = {
            "models": [{"detector": detector, "version": version} for detector, version in pairs],
            "columns": [{"detector": column.detector, "category": column.category} for column in policy.columns],
        }

    def __call__(self, ruling: Ruling) -> list[bytes | None]:
        """One a row; None where nobody is still to look."""
        values: list[bytes | None] = [None] * len(ruling)
        for row in np.flatnonzero(ruling.decided.later.any(axis=1)).tolist():
            out = io.BytesIO()
            out.write(self._frame)
            fastavro.schemaless_writer(out, self._parsed, self._record(ruling, row))
            values[row] = out.getvalue()
        return values

    def _record(self, ruling: Ruling, row: int) -> dict[str, Any]:
        events, scores = ruling.events, ruling.scores
        later = zip(self._policy.second_look, ruling.decided.later[row].tolist(), strict=True)
        return self._same | {
            "event_id": events.records[row]["event_id"],
            "account_id": events.records[row]["account_id"],
            "source_topic": events.topics[row],
            "source_topic_id": events.topic_ids[row],
            "source_partition": events.partitions[row],
            "source_offset": events.offsets[row],
            "event_time": events.timestamps_ms[row],
            "value": events.values[row],
            "flags": int(events.flags[row]),
            "sequence": ruling.sequences[row],
            "detectors": [name for name, wanted in later if wanted],
            "scores": scores.probability[row].tolist(),
            "statuses": scores.status[row].tolist(),
            "reasons": scores.reason[row].tolist(),
            "evidence": evidence_of(scores, row),
        }


def wanted(events: Events, detectors: Sequence[str]) -> NDArray[np.bool_]:
    """Which of the detectors each event waits for; shape (n, len(detectors))."""
    asked = np.zeros((len(events), len(detectors)), dtype=bool)
    for row, earlier in events.earlier.items():
        asked[row] = [name in earlier.wanted for name in detectors]
    return asked


def joined(events: Events, scores: Scores) -> Iterator[tuple[list[int], Scores]]:
    """Rows that were scored alike at first, and their scores: those of then, and behind them those of now.

    Of a detector that has looked twice, what it says now counts.
    """
    alike: dict[Shape, list[int]] = {}
    for row in range(len(events)):
        alike.setdefault(shape(events.earlier[row].scores), []).append(row)
    for rows in alike.values():
        yield rows, _behind([events.earlier[row].scores for row in rows], scores.take(rows))


def shape(scores: Scores) -> Shape:
    """What a policy is bound to."""
    return scores.columns, scores.detectors, scores.versions


def _behind(then: Sequence[Scores], now: Scores) -> Scores:
    """One row each of `then`, with the rows of `now` behind them."""
    columns, detectors, versions = shape(then[0])
    kept = [i for i, name in enumerate(detectors) if name not in now.detectors]
    kept_columns = [i for i, column in enumerate(columns) if column.detector not in now.detectors]
    evidence = {
        (row, kept.index(place)): found
        for row, each in enumerate(then)
        for (_, place), found in each.evidence.items()
        if place in kept
    }
    evidence |= {(row, len(kept) + place): found for (row, place), found in now.evidence.items()}
    return Scores(
        (*(columns[i] for i in kept_columns), *now.columns),
        (*(detectors[i] for i in kept), *now.detectors),
        (*(versions[i] for i in kept), *now.versions),
        np.concatenate((_stacked(then, "probability")[:, kept_columns], now.probability), axis=1),
        np.concatenate((_stacked(then, "status")[:, kept], now.status), axis=1),
        np.concatenate((_stacked(then, "reason")[:, kept], now.reason), axis=1),
        evidence,
    )


def _stacked(rows: Sequence[Scores], name: str) -> NDArray[Any]:
    stacked: NDArray[Any] = np.concatenate([getattr(each, name) for each in rows])
    return stacked
