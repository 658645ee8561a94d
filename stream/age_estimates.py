"""Values for moderation.age-estimates: what detectors of age said of events, for the account ledger alone."""

import io
from collections.abc import Mapping
from typing import Any, Final

import fastavro
import numpy as np

from schemas.ages import HIGH, LOW, MEAN, YEARS, encode_log_pmf
from schemas.columns import Events, Scores
from schemas.registry import Schema
from schemas.statuses import Status
from schemas.wire import frame

_TOLD: Final = {Status.scored: False, Status.abstained: True}  # status → whether it abstained; no other is an estimate
_NOTHING: Final[dict[str, Any]] = {"mean": None, "low": None, "high": None, "log_pmf": b""}


class AgeEstimates:
    """Encodes the estimates of batches."""

    def __init__(self, schema: Schema) -> None:
        self._frame = frame(schema.id)
        self._schema = schema.parsed

    def encode(self, events: Events, scores: Scores, now_ms: int) -> dict[int, list[bytes]]:
        """The values of each row that has any, one for each detector that scored it or abstained; {} mostly."""
        found: dict[int, list[bytes]] = {}
        for place, name in enumerate(scores.detectors):
            if name not in scores.age:
                continue
            scored = np.flatnonzero(scores.status[:, place] == Status.scored)
            packed = dict(zip(scored.tolist(), encode_log_pmf(scores.age[name][scored, :YEARS]), strict=True))
            for row, status in enumerate(scores.status[:, place].tolist()):
                if status in _TOLD:
                    model = {"detector": name, "model_version": scores.versions[place], "estimated_at": now_ms}
                    said = _NOTHING if _TOLD[status] else _numbers(scores.age[name][row].tolist(), packed[row])
                    record = _source(events, row) | model | {"abstained": _TOLD[status]} | said
                    found.setdefault(row, []).append(self._value(record))
        return found

    def _value(self, record: Mapping[str, Any]) -> bytes:
        buffer = io.BytesIO()
        buffer.write(self._frame)
        fastavro.schemaless_writer(buffer, self._schema, record)
        return buffer.getvalue()


def _source(events: Events, row: int) -> dict[str, Any]:
    return {
        "source_topic": events.topics[row],
        "source_partition": events.partitions[row],
        "source_offset": events.offsets[row],
        "event_time": events.timestamps_ms[row],
        "account_id": events.records[row]["account_id"],
    }


def _numbers(said: list[float], log_pmf: bytes) -> dict[str, Any]:
    return {"mean": said[MEAN], "low": round(said[LOW]), "high": round(said[HIGH]), "log_pmf": log_pmf}
