"""The records of a decided batch as bytes, column by column: decision, leaf body, ledger input.

What only the outcome determines (action, rule, category, …) is encoded once for each outcome of the policy; what only
the worker determines (pack, models, …) once for all. What is left for each event: its ids, its coordinates, its scores.

A user's own schema may put anything into an optional field. What is not of the type that the record has is left out:
an event never fails here.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Final

import numpy as np

from enforcement import identity
from enforcement.account_facts import VERIFIED, Reading
from enforcement.audit.leaf import SALT_BYTES, LeafBodies
from enforcement.conditions import Facts
from enforcement.decide import NO_DEADLINE, Decisions, Outcome, Policy
from enforcement.records import Column, Field, Record, row_keys, varints
from schemas import flags
from schemas.columns import Events, Scores
from schemas.registry import Schema
from schemas.statuses import Reason, Status
from schemas.wire import frame

UNKNOWN: Final = "unknown"  # an operation that is no string

_FIRST: Final = 0  # sequence of the first decision about an event
_MOST_EVIDENCE: Final = 32  # findings of an event that are written down, the strongest
_STATUSES: Final = {status.value: status.name for status in Status}
_REASONS: Final = {reason.value: reason.name for reason in Reason}


@dataclass(frozen=True, slots=True, eq=False)
class Ruling:
    """A decided batch, with what several of its records share; lists have length `n`."""

    events: Events
    facts: Facts  # strings only
    scores: Scores
    decided: Decisions
    now_ms: int
    ids: list[bytes]  # decision ids, 36 ASCII bytes
    content_ids: list[str]
    salts: list[bytes]
    offsets: list[bytes]  # Avro longs
    times: list[bytes]  # Avro longs, milliseconds
    deadlines: list[int | None]
    sequences: list[int]

    @classmethod
    def of(
        cls, cluster_id: str, events: Events, facts: Facts, scores: Scores, decided: Decisions, now_ms: int
    ) -> "Ruling":
        """Works out what is shared. Draws the salts: they are no part of the decision, so deciding stays pure."""
        salts = os.urandom(SALT_BYTES * len(events))
        return cls(
            events,
            _tidy(facts),
            scores,
            decided,
            now_ms,
            identity.decision_ids(cluster_id, events.topic_ids, events.partitions, events.offsets),
            _content_ids(events),
            [salts[at : at + SALT_BYTES] for at in range(0, len(salts), SALT_BYTES)],
            varints(np.array(events.offsets, dtype=np.int64)),
            varints(np.array(events.timestamps_ms, dtype=np.int64)),
            [None if ms == NO_DEADLINE else ms for ms in decided.deadline_ms.tolist()],
            _sequences(events),
        )

    def __len__(self) -> int:
        return len(self.events)


class DecisionEncoder:
    """Values for moderation.decisions."""

    def __init__(self, policy: Policy, schema: Schema) -> None:
        self._record = record = Record(schema.raw, before=frame(schema.id))
        self._missing = _names(policy.detectors)
        self._later = _names(policy.second_look)
        self._outcomes = [record.run(_outcome(outcome) | _more(outcome)) for outcome in policy.outcomes]
        self._worker = record.run(_pack(policy) | {"models": _models(policy)})

    def __call__(self, ruling: Ruling) -> list[bytes]:
        """One a row."""
        record, events, decided = self._record, ruling.events, ruling.decided
        columns: Mapping[str, Column] = {
            "decision_id": record["decision_id"].ascii(ruling.ids, identity.LENGTH),
            "source_topic": record["source_topic"].choices(events.topics),
            "source_partition": record["source_partition"].choices(events.partitions),
            "source_offset": record["source_offset"].raw(ruling.offsets),
            "event_time": record["event_time"].raw(ruling.times),
            "event_id": record["event_id"].strings(r["event_id"] for r in events.records),
            "content_id": record["content_id"].strings(ruling.content_ids),
            "account_id": record["account_id"].strings(r["account_id"] for r in events.records),
            "content_type": record["content_type"].choices(ruling.facts.content_type),
            "surface": record["surface"].choices(ruling.facts.surface),
            "operation": record["operation"].choices(ruling.facts.operation),
            "revision": record["revision"].choices(_revisions(events)),
            "commitment_salt": record["commitment_salt"].raw(ruling.salts),
            "flags": record["flags"].choices(events.flags.tolist(), flags.names),
            "score": record["score"].floats(decided.score),
            "action rule category threshold reason review": [self._outcomes[i] for i in decided.outcome.tolist()],
            "degraded": record["degraded"].choices(decided.degraded.tolist()),
            "missing": record["missing"].choices(row_keys(decided.missing), self._missing),
            "hold_deadline": record["hold_deadline"].choices(ruling.deadlines),
            "sequence": record["sequence"].choices(ruling.sequences),
            "decided_at": record["decided_at"].constant(ruling.now_ms),
            "pack pack_version models": self._worker,
            "second_look": record["second_look"].choices(row_keys(decided.later), self._later),
            "evidence": _evidence(record["evidence"], ruling),
            "gates": _readings(record["gates"], ruling, _in_force),
        }
        return record.rows(len(ruling), columns)


class LeafEncoder:
    """Leaf bodies of kind `decision`: every value that was read."""

    def __init__(self, policy: Policy, bodies: LeafBodies) -> None:
        self._record = record = bodies.decision_record()
        self._fired = _names([rule.id for rule in policy.rules])
        self._later, self._detectors = _names(policy.second_look), _names(policy.detectors)
        self._outcomes = [record.run(_outcome(o) | {"review": o.review}) for o in policy.outcomes]
        thresholds = [{"name": name, "value": float(np.float32(t.value))} for name, t in policy.thresholds_by_name]
        columns = [{"detector": column.detector, "category": column.category} for column in policy.columns]
        self._worker = record.run(
            _pack(policy) | {"thresholds": thresholds, "models": _models(policy), "columns": columns}
        )

    def __call__(self, ruling: Ruling) -> list[bytes]:
        """One a row."""
        record, events, scores, decided = self._record, ruling.events, ruling.scores, ruling.decided
        columns: Mapping[str, Column] = {
            "decision_id": record["decision_id"].ascii(ruling.ids, identity.LENGTH),
            "commitment": record["commitment"].raw(_commitments(ruling)),
            "event_time": record["event_time"].raw(ruling.times),
            "content_type": record["content_type"].choices(ruling.facts.content_type),
            "surface": record["surface"].choices(ruling.facts.surface),
            "audience": record["audience"].choices(ruling.facts.audience),
            "operation": record["operation"].choices(ruling.facts.operation),
            "flags": record["flags"].choices(events.flags.tolist(), flags.names),
            "attached": record["attached"].choices(ruling.facts.attachment, list),
            "attempts": record["attempts"].choices(events.attempts.tolist()),
            "origin": _sparse(record["origin"], events.origins, len(events)),
            "scores": record["scores"].float_rows(scores.probability),
            "statuses": record["statuses"].choices(row_keys(scores.status), _all_of(_STATUSES)),
            "reasons": record["reasons"].choices(row_keys(scores.reason), _all_of(_REASONS)),
            "fired": record["fired"].choices(row_keys(decided.fired), self._fired),
            "score": record["score"].floats(decided.score),
            "action rule category threshold review": [self._outcomes[i] for i in decided.outcome.tolist()],
            "degraded": record["degraded"].choices(decided.degraded.tolist()),
            "hold_deadline": record["hold_deadline"].choices(ruling.deadlines),
            "sequence": record["sequence"].choices(ruling.sequences),
            "decided_at": record["decided_at"].constant(ruling.now_ms),
            "pack pack_version thresholds models columns": self._worker,
            "follows": _sparse(record["follows"], {i: e.follows for i, e in events.earlier.items()}, len(events)),
            "second_look": record["second_look"].choices(row_keys(decided.later), self._later),
            "reused": self._reused(scores),
            "evidence": _evidence(record["evidence"], ruling),
            "accounts": _readings(record["accounts"], ruling, _as_read),
            "candidate_stopped": record["candidate_stopped"].constant(_stopped(ruling.facts)),
        }
        return record.rows(len(ruling), columns)

    def _reused(self, scores: Scores) -> Column:
        field = self._record["reused"]
        return field.constant([]) if scores.reused is None else field.choices(row_keys(scores.reused), self._detectors)


class LedgerEncoder:
    """Values for moderation.ledger-inputs."""

    def __init__(self, policy: Policy, schema: Schema) -> None:
        self._record = record = Record(schema.raw, before=frame(schema.id))
        self._outcomes = [
            record.run({"action": o.action.name, "rule": o.rule or "", "category": o.category}) for o in policy.outcomes
        ]

    def __call__(self, ruling: Ruling, rows: Sequence[int]) -> list[bytes | None]:
        """One for each of `rows`: restrictions, and what a later look allows, with rule "" where none decided."""
        record, events, decided = self._record, ruling.events, ruling.decided
        outcomes, degraded = decided.outcome[rows].tolist(), decided.degraded[rows].tolist()
        revisions = _revisions(events)
        columns: Mapping[str, Column] = {
            "decision_id": record["decision_id"].ascii((ruling.ids[i] for i in rows), identity.LENGTH),
            "source_topic": record["source_topic"].choices(events.topics[i] for i in rows),
            "source_partition": record["source_partition"].choices(events.partitions[i] for i in rows),
            "source_offset": record["source_offset"].raw([ruling.offsets[i] for i in rows]),
            "event_time": record["event_time"].raw([ruling.times[i] for i in rows]),
            "account_id": record["account_id"].strings(events.records[i]["account_id"] for i in rows),
            "content_id": record["content_id"].strings(ruling.content_ids[i] for i in rows),
            "content_type": record["content_type"].choices(ruling.facts.content_type[i] for i in rows),
            "action rule category": [self._outcomes[outcome] for outcome in outcomes],
            "degraded": record["degraded"].choices(degraded),
            "sequence": record["sequence"].choices(ruling.sequences[i] for i in rows),
            "decided_at": record["decided_at"].constant(ruling.now_ms),
            "revision": record["revision"].choices(revisions[i] for i in rows),
        }
        inputs: list[bytes | None] = [None] * len(ruling)
        for row, value in zip(rows, record.rows(len(rows), columns), strict=True):
            inputs[row] = value
        return inputs


def evidence_of(scores: Scores, row: int) -> list[dict[str, Any]]:
    """What the detectors found in an event, the strongest findings first, as the schemas have it."""
    found = [
        (name, each) for place, name in enumerate(scores.detectors) for each in scores.evidence.get((row, place), ())
    ]
    found.sort(key=lambda pair: -pair[1].score)
    return [{"detector": name} | each.as_json() for name, each in found[:_MOST_EVIDENCE]]


def _evidence(field: Field, ruling: Ruling) -> Column:
    nothing = field.constant([])
    rows = {row for row, _ in ruling.scores.evidence}
    if not rows:
        return nothing
    return [field.constant(evidence_of(ruling.scores, i)) if i in rows else nothing for i in range(len(ruling))]


def _readings(field: Field, ruling: Ruling, meaning: Callable[[tuple[Reading, ...]], Any]) -> Column:
    """What was read of the accounts behind each event."""
    accounts = ruling.facts.accounts
    if accounts is None or not accounts.readings:
        return field.constant([])
    return field.choices((accounts.readings.get(row, ()) for row in range(len(ruling))), meaning)


def _as_read(readings: tuple[Reading, ...]) -> list[dict[str, Any]]:
    """As the leaf has it."""
    return [
        {
            "who": each.who,
            "in_force": each.in_force,
            "outcomes": [{"detector": d, "gate": gate, "outcome": outcome} for d, gate, outcome in each.outcomes],
            "strikes": each.strikes,
            "marks": [{"topic": topic, "offset": offset} for topic, offset in each.marks],
            "caught_up": each.caught_up,
        }
        for each in readings
    ]


def _in_force(readings: tuple[Reading, ...]) -> list[dict[str, Any]]:
    """As the decision has it: what counted, and not whose word it was."""
    said = dict.fromkeys(
        (each.who, gate, outcome)
        for each in readings
        for detector, gate, outcome in each.outcomes
        if detector in {each.in_force, VERIFIED}
    )
    return [{"who": who, "gate": gate, "outcome": outcome} for who, gate, outcome in said]


def _stopped(facts: Facts) -> bool:
    return facts.accounts is not None and facts.accounts.stopped


def _sparse(field: Field, values: Mapping[int, str], n: int) -> Column:
    """A nullable string that hardly any row has."""
    return field.strings(values.get(row) for row in range(n)) if values else field.constant(None)


def _sequences(events: Events) -> list[int]:
    sequences = [_FIRST] * len(events)
    for row, earlier in events.earlier.items():
        sequences[row] = earlier.sequence + 1
    return sequences


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "action": outcome.action.name,
        "rule": outcome.rule,
        "category": outcome.category,
        "threshold": outcome.threshold,
    }


def _more(outcome: Outcome) -> dict[str, Any]:
    return {"reason": outcome.reason, "review": outcome.review}


def _pack(policy: Policy) -> dict[str, Any]:
    return {"pack": policy.pack.name, "pack_version": policy.pack.version}


def _models(policy: Policy) -> list[dict[str, str]]:
    pairs = zip(policy.detectors, policy.versions, strict=True)
    return [{"detector": detector, "version": version} for detector, version in pairs]


def _names(names: Sequence[str]) -> Any:
    """A row key of booleans → the names of those that are true."""
    return lambda key: [name for name, there in zip(names, key, strict=True) if there]


def _all_of(names: Mapping[int, str]) -> Any:
    """A row key of numbers → their names."""
    return lambda key: [names[number] for number in key]


def _commitments(ruling: Ruling) -> list[bytes]:
    sha256 = hashlib.sha256
    return [sha256(s + v).digest() for s, v in zip(ruling.salts, ruling.events.values, strict=True)]


def _content_ids(events: Events) -> list[str]:
    ids: list[Any] = [record.get("content_id") or record["event_id"] for record in events.records]
    if set(map(type, ids)) <= {str}:
        return ids
    return [i if isinstance(i, str) else r["event_id"] for i, r in zip(ids, events.records, strict=True)]


def _revisions(events: Events) -> Sequence[int | None]:
    revisions = [record.get("revision") for record in events.records]
    if set(map(type, revisions)) <= {int, NoneType}:
        return revisions
    return [revision if type(revision) is int else None for revision in revisions]


def _tidy(facts: Facts) -> Facts:
    """The facts, as strings."""
    return Facts(
        facts.content_type,
        _strings(facts.surface, None),
        _strings(facts.audience, None),
        _strings(facts.operation, UNKNOWN),
        facts.attachment,
        facts.accounts,
    )


def _strings(column: Sequence[Any], other: Any) -> Sequence[Any]:
    if set(map(type, column)) <= {str, NoneType}:
        return column
    return [value if value is None or isinstance(value, str) else other for value in column]
