"""The leaf bodies of all that is no decision: dead letters, the beginning of a chain, what was lost, controls."""

from collections.abc import Callable

from enforcement.audit.leaf import LeafBodies, commitment, next_offset, read_leaf
from schemas.leaf_header import Kind
from schemas.registry import Schema
from schemas.wire import frame


class OtherLeaves:
    """Writes them, and reads back what a worker needs of any leaf."""

    def __init__(self, leaf_schema: Schema, schema_of: Callable[[int], Schema]) -> None:
        """`schema_of`: schema id → schema, as `Registry.by_id`: a chain may hold leaves of older schemas."""
        self.leaf_frame = frame(leaf_schema.id)
        self._bodies = LeafBodies(leaf_schema)
        self._schema_of = schema_of

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
