"""What can be wrong with a chain, and how a finding names the leaf."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from schemas.leaf_header import Kind


class FaultKind(StrEnum):
    """What somebody did to the audit topic, as far as its bytes tell."""

    altered = "altered"  # bytes of the leaf are not those that were sealed
    removed = "removed"  # a leaf within the chain is gone
    inserted = "inserted"  # a leaf that was never on the chain
    reordered = "reordered"  # leaves of the chain, not in its order
    doubled = "doubled"  # a leaf that stands twice
    cut = "cut"  # the chain's end is gone


class ChainId(NamedTuple):
    """One source partition. The leaves of a chain lie in the audit partition of the same number."""

    topic_id: bytes
    partition: int


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, at the first leaf that shows it.

    audit_offset   where that leaf lies; for a leaf that is gone where the leaf after it lies, None when there is none
    chain          None for bytes that belong to no chain that can be told
    sequence       on the chain; for a leaf that is gone, the one it had
    source_offset  of the record that the leaf stands for; None where the leaf is gone or can't be read
    """

    kind: FaultKind
    audit_partition: int
    audit_offset: int | None
    chain: ChainId | None
    sequence: int | None
    source_offset: int | None
    detail: str

    @property
    def place(self) -> tuple[int, float]:
        """Sorts faults by where they are in the topic; a missing end comes last."""
        return self.audit_partition, float("inf") if self.audit_offset is None else self.audit_offset


class Seen(NamedTuple):
    """A leaf, without its body."""

    audit_offset: int
    kind: Kind
    offset: int
    next_offset: int  # the first source offset after what this leaf stands for
    sequence: int
    previous: bytes
    hash: bytes
    time_ms: int  # of the audit record
