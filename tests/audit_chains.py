"""Chains for tests, sealed as the worker seals them; and the six deeds that a verifier must tell apart."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from schemas.leaf_header import BODY_START, NO_HEAD, Head, Kind, cluster_tag, seal

CLUSTER_ID = "a-cluster"
CLUSTER = cluster_tag(CLUSTER_ID)
FRAME = b"\x00" + (1_000_000).to_bytes(4, "big")
LOST_BODY = b"lost until "


class Attack(NamedTuple):
    """A topic after an attack: the leaves, what the verifier must call it, and at which of them (None: after)."""

    leaves: list[bytes]
    kind: str
    first: int | None


def topic_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def next_offset(leaf: bytes) -> int:
    """Reads the bodies that `lost` made: these tests need no Avro."""
    return int(leaf[BODY_START + len(LOST_BODY) :])


def lost(first: int, end: int) -> tuple[Kind, int, bytes]:
    return Kind.lost_to_retention, first, LOST_BODY + str(end).encode()


def chain(
    offsets: Sequence[int],
    start: int = 0,
    topic: int = 1,
    partition: int = 0,
    bodies: Callable[[int], bytes] = lambda offset: b"body of %d" % offset,
) -> tuple[list[bytes], Head]:
    """A genesis leaf and a decision for each offset; and the chain's head."""
    rows = [(Kind.genesis, start, b"genesis")] + [(Kind.decision, offset, bodies(offset)) for offset in offsets]
    return seal(NO_HEAD, FRAME, CLUSTER, topic_id(topic), partition, rows)


def records(leaves: Sequence[bytes]) -> Iterator[tuple[int, int, bytes]]:
    """As an audit partition: offset, timestamp, value."""
    return ((offset, 0, leaf) for offset, leaf in enumerate(leaves))


def altered(leaves: Sequence[bytes], at: int, byte: int = -1) -> Attack:
    """One byte is another."""
    leaf = bytearray(leaves[at])
    leaf[byte] ^= 1
    return Attack([*leaves[:at], bytes(leaf), *leaves[at + 1 :]], "altered", at)


def removed(leaves: Sequence[bytes], at: int, many: int = 1) -> Attack:
    """Leaves within the chain are gone; the verifier names the place before the leaf that now stands there."""
    return Attack([*leaves[:at], *leaves[at + many :]], "removed", at)


def inserted(leaves: Sequence[bytes], at: int, forged: bytes) -> Attack:
    """A leaf that never was on the chain."""
    return Attack([*leaves[:at], forged, *leaves[at:]], "inserted", at)


def moved(leaves: Sequence[bytes], at: int, to: int) -> Attack:
    """A leaf stands earlier (`to` < `at`) or later than it was written; the first one out of its place is named."""
    left = [*leaves[:at], *leaves[at + 1 :]]
    return Attack([*left[:to], leaves[at], *left[to:]], "reordered", min(at, to))


def doubled(leaves: Sequence[bytes], at: int, to: int) -> Attack:
    """A copy of a leaf stands somewhere else; the verifier names the copy."""
    return Attack([*leaves[:to], leaves[at], *leaves[to:]], "doubled", to)


def cut(leaves: Sequence[bytes], at: int) -> Attack:
    """The chain's end is gone."""
    return Attack(list(leaves[:at]), "cut", None)
