"""From records to columns: what can be decoded, what can't, and what was odd about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message

from schemas.attachments import Attachment
from schemas.columns import Earlier, Events
from schemas.decode import Decoder
from schemas.errors import Poison
from schemas.flags import Flag
from schemas.leaf_header import Kind
from schemas.roles import Roles
from schemas.topics import SECOND_LOOK
from stream.lanes import Lane, offset_of
from stream.murmur2 import partitions_of
from stream.replay import NO_REPLAY, Replay, headers_in, replay_of
from stream.second_look import Place, Returned, returned

_DAY_MS: Final = 86_400_000
_PAST_MS: Final = 3652 * _DAY_MS  # ten years
_MOST_ATTEMPTS: Final = 255  # what fits into the column
LONG_TEXT: Final = 10_000  # characters; the detectors read such a text in chunks


@dataclass(frozen=True, slots=True, eq=False)
class Undecodable:
    """A record for the dead letters."""

    message: Message
    poison: Poison
    attempt: int
    origin: str | None
    timestamp_ms: int


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """A control or a review: it gets a leaf."""

    value: bytes
    timestamp_ms: int


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Records of a batch after decoding; `outcomes[i]` is what became of the i-th: a kind, and a row in its column."""

    events: Events
    keys: list[bytes]  # UTF-8 account ids, a row each
    dead: list[Undecodable]
    recorded: list[Recorded]
    outcomes: list[tuple[Kind, int]]


class Columns:
    """Collects rows; `events()` closes the columns."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.topics: list[str] = []
        self.topic_ids: list[bytes] = []
        self.partitions: list[int] = []
        self.offsets: list[int] = []
        self.timestamps: list[int] = []
        self.records: list[dict[str, Any]] = []
        self.texts: list[str] = []
        self.languages: list[str] = []
        self.attachments: list[tuple[Attachment, ...]] = []
        self.signals: list[Mapping[str, Any]] = []
        self.values: list[bytes] = []
        self.flags: list[int] = []
        self.attempts: list[int] = []
        self.origins: dict[int, str] = {}
        self.earlier: dict[int, Earlier] = {}

    def add(
        self,
        lane: Lane,
        message: Message,
        value: bytes,
        record: dict[str, Any],
        roles: Roles,
        timestamp_ms: int,
        flags: int,
        replay: Replay | None,
        came: Returned | None,
    ) -> None:
        """Add a row; `came` is what the record brought from a first look, where it comes from one."""
        text = roles.join_text(record)
        key, offset = record["account_id"].encode(), offset_of(message)
        if message.key() != key:
            flags |= Flag.key_not_account
        if len(text) > LONG_TEXT:
            flags |= Flag.text_long
        if replay:
            self.origins[len(self.keys)] = replay.origin
        caution = lane.position.caution
        condemned = caution.condemned and offset == lane.position.offset
        self.keys.append(key)
        if came:
            self.earlier[len(self.keys) - 1] = came.earlier
        place = came.place if came else Place(lane.topic, lane.position.topic_id, lane.partition, offset)
        self.topics.append(place.topic)
        self.topic_ids.append(place.topic_id)
        self.partitions.append(place.partition)
        self.offsets.append(place.offset)
        self.timestamps.append(timestamp_ms)
        self.records.append(record)
        self.texts.append(text)
        self.languages.append(roles.language_of(record))
        self.attachments.append(roles.attachments_of(record))
        self.signals.append(roles.signals_of(record))
        self.values.append(value)
        self.flags.append(flags)
        self.attempts.append(min(caution.attempts, _MOST_ATTEMPTS) if condemned else 0)

    def events(self) -> Events:
        """The columns, closed."""
        return Events(
            self.topics,
            self.topic_ids,
            self.partitions,
            self.offsets,
            self.timestamps,
            self.records,
            self.texts,
            self.languages,
            self.attachments,
            self.values,
            np.array(self.flags, np.uint16),
            np.array(self.attempts, np.uint8),
            self.origins,
            self.earlier,
            self.signals if any(self.signals) else (),
        )


class Decoding:
    """Decodes batches of one pipeline."""

    def __init__(self, decoder: Decoder, partitions: int, signing_key: bytes | None) -> None:
        """`signing_key` tells replays that we made from headers that somebody else wrote."""
        self._decoder = decoder
        self._partitions = partitions
        self._signing_key = signing_key

    def decode(self, taken: Sequence[tuple[Lane, Message]], now_ms: int) -> Decoded:
        """Decode records, each beside the lane it came from.

        Raises:
            Retriable: the schema registry doesn't answer; nothing is known about the records.
        """
        columns, dead, recorded = Columns(), list[Undecodable](), list[Recorded]()
        outcomes: list[tuple[Kind, int]] = []
        decode = self._decoder.decode
        for lane, message in taken:
            value = message.value()
            timestamp, flags = _broker_time(message, now_ms)
            replay, unsigned = (
                replay_of(found, value, self._signing_key) if (found := headers_in(message)) else NO_REPLAY
            )
            try:
                schema, record = decode(lane.topic, value)
                came = returned(record) if lane.topic == SECOND_LOOK else None
                if came:
                    schema, record = decode(came.place.topic, came.value)
            except Poison as poison:
                attempt, origin = (replay.attempt + 1, replay.origin) if replay else (1, None)
                outcomes.append((Kind.dead_letter, len(dead)))
                dead.append(Undecodable(message, poison, attempt, origin, timestamp))
                continue
            assert value is not None, "a record without a value is poison"
            if lane.kind is not Kind.decision:
                outcomes.append((lane.kind, len(recorded)))
                recorded.append(Recorded(value, timestamp))
                continue
            if came:
                value, timestamp = came.value, came.timestamp_ms
            flags |= Flag.replayed if replay else Flag.replay_unsigned if unsigned else 0
            flags |= came.flags if came else _odd(record, timestamp)
            outcomes.append((Kind.decision, len(columns.keys)))
            columns.add(lane, message, value, record, schema.roles, timestamp, flags, replay, came)
        return Decoded(self._place(columns), columns.keys, dead, recorded, outcomes)

    def _place(self, columns: "Columns") -> Events:
        """The columns, closed; records that lie in another partition than their account's are flagged."""
        events = columns.events()
        if columns.keys:
            misplaced = partitions_of(columns.keys, self._partitions) != np.array(columns.partitions)
            np.bitwise_or(events.flags, np.uint16(Flag.misplaced), out=events.flags, where=misplaced)
        return events


def _broker_time(message: Message, now_ms: int) -> tuple[int, int]:
    """The record's time, and flags: a producer's own absurd timestamp is replaced by the worker's clock."""
    kind, timestamp = message.timestamp()
    if kind == TIMESTAMP_LOG_APPEND_TIME:
        return timestamp, 0
    flags = _absurd(timestamp, now_ms)
    return (now_ms, flags) if flags else (timestamp, 0)


def _odd(record: Mapping[str, Any], timestamp_ms: int) -> int:
    """Flags for the producer's own time of creation."""
    created = record.get("created_at")
    return _absurd(created, timestamp_ms) if isinstance(created, int) else 0


def _absurd(timestamp_ms: int, now_ms: int) -> int:
    if timestamp_ms < now_ms - _PAST_MS:
        return Flag.timestamp_past
    return Flag.timestamp_future if timestamp_ms > now_ms + _DAY_MS else 0
