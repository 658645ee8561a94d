"""From scores to the bytes of everything that is published about them: decisions, leaf bodies, ledger inputs.

    decide → which outcome, which score        `enforcement.decide`, arrays
    encode → a column at a time                `enforcement.records`, one bytes.join a row

A policy that raises on a batch is asked again row by row; the row that raises is held. Whatever can be decoded gets a
decision, so nothing about an event may stop this: what a user's own schema puts where we expect a string is left out
of the records, not complained about.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from enforcement.audit.leaf import LeafBodies, commitment, next_offset, read_leaf
from enforcement.conditions import Facts, facts
from enforcement.decide import Decisions, Policy, decide, failed
from enforcement.encode import DecisionEncoder, LeafEncoder, LedgerEncoder, Ruling
from enforcement.packs import Pack
from schemas.columns import Events, Score, Scores
from schemas.leaf_header import Kind
from schemas.registry import Schema
from schemas.wire import frame


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """What a batch of `n` events leads to; every list has length `n`."""

    actions: NDArray[np.uint8]  # `Action`, (n,)
    degraded: NDArray[np.bool_]  # (n,)
    decisions: list[bytes]  # values for moderation.decisions
    leaf_bodies: list[bytes]  # of kind `decision`, without frame and header
    ledger_inputs: list[bytes | None]  # values for moderation.ledger-inputs; None for what is allowed


class Judge:
    """Decides batches and encodes the result. Not for use from several threads.

    Args:
        columns, detectors, versions: of the scores that it will be given.
        schema_of: schema id → schema, as `Registry.by_id`: a chain may hold leaves of older schemas.

    Raises:
        UserMistake: the pack does not fit the detectors' versions.
    """

    def __init__(
        self,
        pack: Pack,
        cluster_id: str,
        decision_schema: Schema,
        leaf_schema: Schema,
        ledger_schema: Schema,
        columns: Sequence[Score],
        detectors: Sequence[str],
        versions: Sequence[str],
        schema_of: Callable[[int], Schema],
    ) -> None:
        self.policy = Policy(pack, columns, detectors, versions)
        self.leaf_frame = frame(leaf_schema.id)
        self._cluster_id = cluster_id
        self._schema_of = schema_of
        self._actions = np.array([outcome.action for outcome in self.policy.outcomes], dtype=np.uint8)
        self._bodies = LeafBodies(leaf_schema)
        self._decisions = DecisionEncoder(self.policy, decision_schema)
        self._leaves = LeafEncoder(self.policy, self._bodies)
        self._ledger_inputs = LedgerEncoder(self.policy, ledger_schema)

    def judge(self, events: Events, scores: Scores, now_ms: int) -> Verdicts:
        """Decide and encode a batch.

        Args:
            now_ms: the time of the decision, milliseconds since 1970; deadlines count from it.
        """
        asked = facts(events)
        decided = self._decide(asked, scores, now_ms)
        ruling = Ruling.of(self._cluster_id, events, asked, scores, decided, now_ms)
        actions = self._actions[decided.outcome]
        return Verdicts(
            actions,
            decided.degraded,
            self._decisions(ruling),
            self._leaves(ruling),
            self._ledger_inputs(ruling, np.flatnonzero(actions).tolist()),
        )

    def dead_letter_body(
        self,
        reason: str,
        topic: str,
        timestamp_ms: int,
        attempt: int,
        value: bytes | None,
        origin: str | None,
        salt: bytes,
        now_ms: int,
    ) -> bytes:
        """The leaf body of a record that can't be decoded.

        Args:
            value: the record's own bytes; None for a tombstone.
            origin: "topic-id/partition/offset" of the dead letter that it replays.
            salt: 16 random bytes, which go into the dead letter's header and nowhere else.
        """
        bound = None if value is None else commitment(salt, value)
        values = {"topic": topic, "event_time": timestamp_ms, "reason": reason, "attempt": attempt, "origin": origin}
        return self._bodies.body(Kind.dead_letter, values | {"commitment": bound, "decided_at": now_ms})

    def genesis_body(self, topic: str, cluster_id: str, previous_topic_id: bytes | None, now_ms: int) -> bytes:
        """The leaf body with which a chain begins; `previous_topic_id` (16 bytes) where the topic was made anew."""
        values = {"topic": topic, "cluster_id": cluster_id, "previous_topic_id": previous_topic_id}
        return self._bodies.body(Kind.genesis, values | {"decided_at": now_ms})

    def lost_body(self, topic: str, first: int, next_offset: int, now_ms: int) -> bytes:
        """The leaf body for the offsets from `first` to before `next_offset`, which the log no longer has."""
        values = {"topic": topic, "first": first, "next": next_offset, "decided_at": now_ms}
        return self._bodies.body(Kind.lost_to_retention, values)

    def recorded_body(self, topic: str, timestamp_ms: int, value: bytes, salt: bytes | None, now_ms: int) -> bytes:
        """The leaf body of a control or a review. Without a salt that somebody keeps there is no commitment."""
        bound = None if salt is None else commitment(salt, value)
        values = {"topic": topic, "event_time": timestamp_ms, "commitment": bound, "decided_at": now_ms}
        return self._bodies.body(Kind.control, values)

    def next_offset(self, leaf: bytes) -> int:
        """The source offset that follows what a leaf stands for."""
        return next_offset(leaf, self._schema_of)

    def topic_of_genesis(self, leaf: bytes) -> str | None:
        """The topic's name in a genesis leaf; None for any other leaf."""
        read = read_leaf(leaf, self._schema_of)
        return str(read.body["topic"]) if read.header.kind is Kind.genesis else None

    def _decide(self, asked: Facts, scores: Scores, now_ms: int) -> Decisions:
        try:
            return decide(self.policy, asked, scores, now_ms)
        except Exception:  # noqa: BLE001 - whatever a policy raises, every event gets a decision
            return _joined([self._decide_one(asked.row(i), _row(scores, i), now_ms) for i in range(len(asked))])

    def _decide_one(self, asked: Facts, scores: Scores, now_ms: int) -> Decisions:
        try:
            return decide(self.policy, asked, scores, now_ms)
        except Exception:  # noqa: BLE001 - as above; the decision says `policy_error`
            return failed(self.policy, len(scores.detectors), now_ms)


def _row(scores: Scores, i: int) -> Scores:
    """One event's scores alone."""
    one = slice(i, i + 1)
    return replace(scores, probability=scores.probability[one], status=scores.status[one], reason=scores.reason[one])


def _joined(rows: Sequence[Decisions]) -> Decisions:
    return Decisions(*(np.concatenate([getattr(row, field.name) for row in rows]) for field in fields(Decisions)))
