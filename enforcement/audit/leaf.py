"""What a leaf's body holds: written for the chain, and read back for whoever verifies or replays.

The header's layout and the chain are in `schemas.leaf_header`. The body is Avro, `schemas/avro/moderation.audit.avsc`:
one nullable record for each kind of body, exactly one of them not null. Nothing personal stands in a leaf. The content
is bound by a commitment, SHA-256 over a random salt and the record's bytes; the salt stands only where the content's
decision or dead letter stands, and goes when that goes.
"""

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import fastavro

from enforcement.records import Field, Record, varint
from schemas.leaf_header import BODY_START, HEADER_START, BadLeaf, Header, Kind, parse
from schemas.registry import Schema
from schemas.wire import frame

SALT_BYTES: Final = 16
BODIES: Final[Mapping[Kind, str]] = {
    Kind.decision: "decision",
    Kind.dead_letter: "dead_letter",
    Kind.genesis: "genesis",
    Kind.lost_to_retention: "lost",
    Kind.control: "recorded",
    Kind.review: "recorded",
    Kind.account_action: "recorded",
}

_NO_HEADER: Final = bytes(BODY_START - HEADER_START)


def commitment(salt: bytes, value: bytes) -> bytes:
    """What binds a leaf to a record: SHA-256 over the salt (16 bytes) and the record's value."""
    return hashlib.sha256(salt + value).digest()


class LeafBodies:
    """Writes bodies: the bytes of a leaf after its header."""

    def __init__(self, schema: Schema) -> None:
        self.frame = frame(schema.id)
        self._parsed = schema.parsed
        self._outer = [field for field in schema.raw["fields"] if field["name"] != "header"]

    def decision_record(self) -> Record:
        """A writer of decision bodies, many at once."""
        before, inner, after = b"", None, b""
        for field in self._outer:
            if field["name"] == BODIES[Kind.decision]:
                branch = next(i for i, kind in enumerate(field["type"]) if kind != "null")
                inner, before = field["type"][branch], before + varint(branch)
            elif inner is None:
                before += Field(field, 0, {}).constant(None)
            else:
                after += Field(field, 0, {}).constant(None)
        if inner is None:
            raise ValueError("the leaf's schema has no body for decisions")
        return Record(inner, before=before, after=after)

    def body(self, kind: Kind, values: Mapping[str, Any]) -> bytes:
        """Any single body, by fastavro."""
        out = io.BytesIO()
        fastavro.schemaless_writer(
            out, self._parsed, {"header": _NO_HEADER, BODIES[kind]: values}, strict_allow_default=True
        )
        return out.getvalue()[len(_NO_HEADER) :]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A whole leaf, read."""

    header: Header
    body: dict[str, Any]  # the fields of the body that the kind names; floats and times as Avro gives them


def read_leaf(leaf: bytes, schema_of: Callable[[int], Schema]) -> Leaf:
    """A leaf as it lies in the topic.

    Args:
        schema_of: schema id → schema, as `Registry.by_id`.

    Raises:
        BadLeaf: no leaf; or a body that is not what the header's kind names.
    """
    header = parse(leaf)
    schema = schema_of(int.from_bytes(leaf[1:HEADER_START], "big"))
    source = io.BytesIO(leaf[HEADER_START:])
    try:
        record: Any = fastavro.schemaless_reader(source, schema.parsed, None)
    except Exception as error:  # fastavro raises whatever the bytes lead it to
        raise BadLeaf(f"the body is not of schema {schema.id}: {type(error).__name__}") from error
    if source.read(1):
        raise BadLeaf("bytes are left over after the body")
    present = [name for name, body in record.items() if name != "header" and body is not None]
    if present != [BODIES[header.kind]]:
        raise BadLeaf(f"the header says {header.kind.name}, the body is {', '.join(present) or 'none'}")
    return Leaf(header, record[present[0]])


def next_offset(leaf: bytes, schema_of: Callable[[int], Schema]) -> int:
    """The source offset that follows what a leaf stands for; a genesis stands for none.

    Raises:
        BadLeaf: as `read_leaf`.
    """
    header = parse(leaf)
    if header.kind is Kind.genesis:
        return header.offset
    if header.kind is Kind.lost_to_retention:
        return int(read_leaf(leaf, schema_of).body["next"])
    return header.offset + 1
