"""The audit leaf's fixed header, its hash and its chain, to the byte. The body after it is Avro.

A leaf is the whole value of a record in `moderation.audit`, in Confluent wire format. Its Avro schema begins with a
`fixed` of 96 bytes, which Avro writes as it is, so every header field lies at a fixed offset. Integers are big-endian.

    offset  bytes  field
         0      1  0, the Confluent magic byte
         1      4  schema id of the leaf's body
         5      4  "SFSL"
         9      2  version of this layout: 1
        11      2  kind, a `Kind`
        13     16  cluster: the first 16 bytes of SHA-256 of the UTF-8 cluster id
        29     16  topic id of the source topic
        45      4  partition of the source, which is also the partition of the leaf
        49      8  offset of the source record (genesis: where the chain starts; lost: the first offset lost)
        57      8  sequence: the leaf's place on its chain, from 0
        65     32  hash of the leaf before it on the chain; zeros for the first
        97      4  zeros, reserved; anything else is no leaf of this version
       101   rest  body

One chain belongs to one source partition: (cluster, topic id, partition). A leaf's hash is SHA-256 over a zero byte and
the whole value: RFC 6962's leaf hash, so that the same hash serves the chain and a Merkle log.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

MAGIC: Final = b"SFSL"
VERSION: Final = 1
HEADER_START: Final = 5
BODY_START: Final = 101
NO_HASH: Final = bytes(32)

_LAYOUT: Final = struct.Struct(">4sHH16s16siqQ32s4x")  # 96 bytes from HEADER_START
_READ: Final = struct.Struct(">B4x4sHH16s16siqQ32sI")  # the same from byte 0, with the reserved bytes as a number
assert HEADER_START + _LAYOUT.size == BODY_START


class Kind(IntEnum):
    """What a leaf stands for."""

    genesis = 1  # the chain begins here; stands for no offset
    decision = 2  # a content event was decided
    dead_letter = 3  # the record can't be decoded
    lost_to_retention = 4  # offsets that the log no longer had when they were due; the body names the range
    control = 5  # a record of moderation.controls
    review = 6  # a record of moderation.reviews
    account_action = 7  # a record of moderation.account-actions


_KINDS: Final = {int(kind): kind for kind in Kind}


class Header(NamedTuple):  # a tuple: a verifier makes 100,000 of them a second
    """A leaf's header, parsed."""

    kind: Kind
    cluster: bytes
    topic_id: bytes
    partition: int
    offset: int
    sequence: int
    previous: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: the next leaf's sequence, and the hash of the last one (zeros when there is none)."""

    sequence: int = 0
    hash: bytes = NO_HASH


NO_HEAD: Final = Head()


class BadLeaf(ValueError):
    """These bytes are no leaf; the message says at which offset and why."""


def cluster_tag(cluster_id: str) -> bytes:
    """The 16 bytes that stand for a cluster in a header."""
    return hashlib.sha256(cluster_id.encode()).digest()[:16]


def leaf_hash(leaf: bytes) -> bytes:
    """RFC 6962, section 2.1: SHA-256 over 0x00 and the leaf."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def parse(leaf: bytes) -> Header:
    """The header of a leaf.

    Raises:
        BadLeaf: too short, no leaf at all, another version, an unknown kind.
    """
    if len(leaf) < BODY_START:
        raise BadLeaf(f"{len(leaf)} bytes, a leaf has at least {BODY_START}")
    zero, magic, version, kind, cluster, topic_id, partition, offset, sequence, previous, reserved = _READ.unpack_from(
        leaf
    )
    if zero != 0 or magic != MAGIC:
        raise BadLeaf(f"bytes 0 and 5-8 are {zero} and {magic!r}, not 0 and {MAGIC!r}")
    if version != VERSION:
        raise BadLeaf(f"layout version {version} at byte 9, this verifier knows {VERSION}")
    if reserved:
        raise BadLeaf(f"the reserved bytes 97-100 are {reserved:#010x}, not zeros")
    known = _KINDS.get(kind)
    if known is None:
        raise BadLeaf(f"unknown kind {kind} at byte 11")
    return Header(known, cluster, topic_id, partition, offset, sequence, previous)


def seal(
    head: Head,
    frame: bytes,
    cluster: bytes,
    topic_id: bytes,
    partition: int,
    rows: Sequence[tuple[Kind, int, bytes]],
) -> tuple[list[bytes], Head]:
    """Chain leaves onto `head`: the last step before produce.

    Args:
        frame: the 5 bytes of the Confluent frame.
        rows: (kind, source offset, Avro body after the header), in offset order.

    Returns:
        The leaves, and the chain's new head.
    """
    leaves: list[bytes] = []
    sequence, previous = head.sequence, head.hash
    pack, sha256 = _LAYOUT.pack, hashlib.sha256
    for kind, offset, body in rows:
        leaf = frame + pack(MAGIC, VERSION, kind, cluster, topic_id, partition, offset, sequence, previous) + body
        previous = sha256(b"\x00" + leaf).digest()
        sequence += 1
        leaves.append(leaf)
    return leaves, Head(sequence, previous)
