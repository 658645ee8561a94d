"""Sample events spoilt in every way that makes a dead letter, as careless producers do it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from schemas import topics
from schemas.errors import PoisonReason
from schemas.folder import FIRST_USER_ID, Folder
from schemas.wire import FRAME_BYTES, LARGEST_ID, MAGIC_BYTE, frame

_Spoil = Callable[[bytes, int, Mapping[str, Any]], bytes | None]  # value, the worker's size limit, the record


def _after_ids(value: bytes, record: Mapping[str, Any]) -> int:
    """Where the revision stands: after the three ids, each with a length of one or two bytes before it."""
    at = FRAME_BYTES
    for name in ("event_id", "account_id", "content_id"):
        text = str(record[name]).encode()
        at = value.index(text, at) + len(text)
    return at


def _wrong_operation(value: bytes, _: int, record: Mapping[str, Any]) -> bytes:
    """An enum symbol that there is not, in the byte after the revision (0 in one byte, as in all that is created)."""
    at = _after_ids(value, record) + 1
    return value[:at] + b"\x7e" + value[at + 1 :]


def _not_utf8(value: bytes, _: int, record: Mapping[str, Any]) -> bytes:
    """Latin-1 where UTF-8 should be, within the event's id."""
    at = value.index(str(record["event_id"]).encode())
    return value[:at] + "éé".encode("latin-1") + value[at + 2 :]


def _headless(_: bytes, __: int, record: Mapping[str, Any]) -> bytes:
    """Written with the schema of `write_careless_schema`."""
    name = str(record["event_id"]).encode()
    return frame(FIRST_USER_ID) + bytes([2 * len(name)]) + name


_SPOIL: Final[Mapping[PoisonReason, _Spoil]] = {
    PoisonReason.TOMBSTONE: lambda *_: None,
    PoisonReason.TOO_LARGE: lambda value, limit, _: value + bytes(limit),
    PoisonReason.TOO_SHORT: lambda value, *_: value[: FRAME_BYTES - 2],
    PoisonReason.WRONG_MAGIC_BYTE: lambda value, *_: bytes([MAGIC_BYTE + 1]) + value[1:],
    PoisonReason.UNKNOWN_SCHEMA_ID: lambda value, *_: frame(LARGEST_ID) + value[FRAME_BYTES:],
    PoisonReason.TRUNCATED: lambda value, *_: value[: FRAME_BYTES + 20],
    PoisonReason.TRAILING_BYTES: lambda value, *_: value + b"\n",
    PoisonReason.INVALID_UTF8: _not_utf8,
    PoisonReason.WRONG_TYPE: _wrong_operation,
    PoisonReason.MISSING_FIELD: _headless,
}
REASONS: Final = (*_SPOIL, PoisonReason.WRONG_SUBJECT)


def spoil(
    reason: PoisonReason, value: bytes, record: Mapping[str, Any], max_event_bytes: int, other_id: int
) -> bytes | None:
    """The value of a created event, spoilt so that it can't be decoded for this reason.

    Args:
        max_event_bytes: the worker's limit.
        other_id: a schema id of another topic.
    """
    if reason is PoisonReason.WRONG_SUBJECT:
        return frame(other_id) + value[FRAME_BYTES:]
    return _SPOIL[reason](value, max_event_bytes, record)


def write_careless_schema(folder: Path) -> None:
    """A schema folder in which somebody released comments without an account, past the gate."""
    field = {"name": "event_id", "type": "string", "role": "id", "doc": "Unique id of this event."}
    schema = {"type": "record", "name": "Comment", "namespace": "careless", "fields": [field]}
    release = Folder(folder).release(topics.COMMENTS, json.dumps(schema))
    assert release.id == FIRST_USER_ID
