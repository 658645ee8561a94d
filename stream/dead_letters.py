"""What a dead letter keeps: the record's own key, value, headers and timestamp, and why it could not be decoded.

A compressed record can be far larger than what its topic took. What the dead letters' topic would refuse is left out,
and a header says how much it was; the leaf's commitment still binds the whole value.
"""

from typing import Final

from confluent_kafka import Message

from schemas import headers
from stream.decoding import Undecodable
from stream.lanes import Lane, size_of
from stream.replay import headers_in
from stream.transaction import Row

MOST_BYTES: Final = 2_000_000  # of key, value and headers: what the topic takes (stream.topics), less what we add


def row_of(message: Message) -> Row:
    """Key and value, as far as they are kept."""
    return {"key": None, "value": None} if _left_out(message) else {"key": message.key(), "value": message.value()}


def headers_of(dead: Undecodable, lane: Lane, salt: bytes, now_ms: int) -> list[tuple[str, bytes | None]]:
    """The record's own headers, then ours; nothing of the content is in ours."""
    left_out = _left_out(dead.message)
    kept = () if left_out else headers_in(dead.message)
    own = [(name, data) for name, data in kept if not name.startswith(headers.PREFIX)]
    ours: dict[str, object] = {
        headers.SOURCE_TOPIC: lane.topic,
        headers.SOURCE_TOPIC_ID: lane.position.topic_id.hex(),
        headers.SOURCE_PARTITION: lane.partition,
        headers.SOURCE_OFFSET: dead.message.offset(),
        headers.SOURCE_TIMESTAMP: dead.message.timestamp()[1],
        headers.ERROR_REASON: dead.poison.reason.value,
        headers.ERROR_MESSAGE: dead.poison,
        headers.ATTEMPT: dead.attempt,
        headers.COMMITMENT_SALT: salt.hex(),
        headers.FAILED_AT: now_ms,
    }
    if dead.origin is not None:
        ours[headers.ORIGIN] = dead.origin
    if left_out:
        ours[headers.LEFT_OUT_BYTES] = left_out
    return own + [(name, str(text).encode()) for name, text in ours.items()]


def _left_out(message: Message) -> int:
    """How many bytes of the record are not kept: all or none."""
    size = size_of(message)
    return size if size > MOST_BYTES else 0
