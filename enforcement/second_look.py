"""What is written for a detector that works elsewhere, and the decision once it has looked.

    worker          decides by what it has ──► a provisional decision, and the event with its scores to
                    moderation.second-look, in one transaction
    second look     scores what was asked for, joins it with the scores so far, decides: the next sequence

Events come from workers of several versions, so what has been scored so far differs from event to event: those that are
alike in this are decided together.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any, TypeAlias

import fastavro
import numpy as np
from numpy.typing import NDArray

from enforcement.decide import Policy
from enforcement.encode import Ruling, evidence_of
from schemas.columns import Earlier, Events, Score, Scores
from schemas.registry import Schema
from schemas.statuses import Reason, Status
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
    """Rows that may be decided together, and their scores: those of then, and behind them those of now.

    Of a detector that has looked twice, what it says now counts, but for no score where then it had one. One that is
    waited for and that nobody here has failed: it is missing, and policy says what that means.
    """
    alike: dict[_Kind, list[int]] = {}
    for row in range(len(events)):
        alike.setdefault(_kind(events.earlier[row], scores, row), []).append(row)
    for kind, rows in alike.items():
        then = _only(_stacked([events.earlier[row].scores for row in rows]), kind.stays)
        now = _only(scores.take(rows), [name for name in scores.detectors if name not in kind.stays])
        yield rows, _beside(then, now, _failed(kind.absent, len(rows)))


def shape(scores: Scores) -> Shape:
    """What a policy is bound to."""
    return scores.columns, scores.detectors, scores.versions


@dataclass(frozen=True, slots=True)
class _Kind:
    """What rows that are decided together have in common."""

    then: Shape
    stays: tuple[str, ...]  # detectors of which the first look counts
    absent: tuple[str, ...]  # detectors that are waited for, and that nobody here has


def _kind(earlier: Earlier, scores: Scores, row: int) -> _Kind:
    then = earlier.scores
    now = dict(zip(scores.detectors, scores.status[row].tolist(), strict=True))
    said = zip(then.detectors, then.status[0].tolist(), strict=True)
    stays = tuple(name for name, status in said if _stays(status, now.get(name, Status.skipped)))
    return _Kind(shape(then), stays, tuple(name for name in earlier.wanted if name not in {*then.detectors, *now}))


def _stays(then: int, now: int) -> bool:
    return now == Status.skipped or (then == Status.scored != now)


def _stacked(rows: Sequence[Scores]) -> Scores:
    """Single rows of one shape, one below the other."""
    probability, status, reason = (
        np.concatenate([getattr(each, name) for each in rows]) for name in ("probability", "status", "reason")
    )
    evidence = {(row, place): found for row, each in enumerate(rows) for (_, place), found in each.evidence.items()}
    return Scores(*shape(rows[0]), probability, status, reason, evidence)


def _only(scores: Scores, names: Sequence[str]) -> Scores:
    """What these detectors say."""
    columns = [i for i, column in enumerate(scores.columns) if column.detector in names]
    places = [i for i, name in enumerate(scores.detectors) if name in names]
    evidence = {(row, places.index(i)): found for (row, i), found in scores.evidence.items() if i in places}
    return Scores(
        tuple(scores.columns[i] for i in columns),
        tuple(scores.detectors[i] for i in places),
        tuple(scores.versions[i] for i in places),
        scores.probability[:, columns],
        scores.status[:, places],
        scores.reason[:, places],
        evidence,
    )


def _failed(detectors: Sequence[str], rows: int) -> Scores:
    """Of detectors that nobody here has: no score, and no record is to blame."""
    cells = (rows, len(detectors))
    status, reason = np.full(cells, Status.error, np.uint8), np.full(cells, Reason.device, np.uint8)
    return Scores((), tuple(detectors), ("",) * len(detectors), np.empty((rows, 0), np.float32), status, reason)


def _beside(*parts: Scores) -> Scores:
    """The same rows under different detectors."""
    columns, detectors, versions = (tuple(chain.from_iterable(every)) for every in zip(*map(shape, parts), strict=True))
    probability, status, reason = (
        np.concatenate([getattr(part, name) for part in parts], axis=1) for name in ("probability", "status", "reason")
    )
    before = accumulate([0, *(len(part.detectors) for part in parts)])
    evidence = {
        (r, start + i): f for start, part in zip(before, parts, strict=False) for (r, i), f in part.evidence.items()
    }
    return Scores(columns, detectors, versions, probability, status, reason, evidence)
