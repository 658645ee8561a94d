"""What a dead letter keeps: the record's own key, value, headers and timestamp, and why it could not be decoded."""

from schemas import headers
from stream.decoding import Undecodable
from stream.lanes import Lane
from stream.replay import headers_in


def headers_of(dead: Undecodable, lane: Lane, salt: bytes, now_ms: int) -> list[tuple[str, bytes | None]]:
    """The record's own headers, then ours; nothing of the content is in ours."""
    own = [(name, data) for name, data in headers_in(dead.message) if not name.startswith(headers.PREFIX)]
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
    return own + [(name, str(text).encode()) for name, text in ours.items()]
