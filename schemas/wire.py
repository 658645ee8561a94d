"""Confluent wire format: a zero byte, the schema id as four big-endian bytes, then the Avro body."""

import struct
from typing import Final

from schemas.errors import Poison, PoisonReason

FRAME_BYTES: Final = 5
MAGIC_BYTE: Final = 0
LARGEST_ID: Final = 2**31 - 1  # schema ids are Java ints

_FRAME: Final = struct.Struct(">BI")


def frame(schema_id: int) -> bytes:
    """The five bytes that go before an Avro body."""
    return _FRAME.pack(MAGIC_BYTE, schema_id)


def schema_id(value: bytes | None, max_bytes: int) -> int:
    """The schema id of a record's value.

    Raises:
        Poison: no value, over `max_bytes`, too short for a frame, or another magic byte.
    """
    if value is None:
        raise Poison(PoisonReason.TOMBSTONE, "the record has no value")
    if len(value) > max_bytes:
        raise Poison(PoisonReason.TOO_LARGE, f"{len(value)} bytes, the limit is {max_bytes}")
    if len(value) < FRAME_BYTES:
        raise Poison(PoisonReason.TOO_SHORT, f"{len(value)} bytes, the frame alone has {FRAME_BYTES}")
    magic, number = _FRAME.unpack_from(value)
    if magic != MAGIC_BYTE:
        raise Poison(PoisonReason.WRONG_MAGIC_BYTE, f"the first byte is {magic}, not {MAGIC_BYTE}")
    return int(number)


def subject_of(topic: str) -> str:
    """The subject under which a topic's values are registered (Confluent's TopicNameStrategy)."""
    return f"{topic}-value"


def topic_of(subject: str) -> str:
    """The topic of a subject: `subject_of` backwards."""
    return subject.removesuffix("-value")
