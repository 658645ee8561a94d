"""Where a source partition stands: the committed offset, and what its metadata says of the chain.

Both are written in the transaction of the batch, so offset, chain head and attempt count can't disagree after a crash.
The metadata is one line of text, visible to any Kafka tool:

    safestream/1 TOPIC-ID SEQUENCE HASH AUDIT-OFFSET ATTEMPTS SOLO LIMIT HORIZON
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from confluent_kafka import TopicPartition

from schemas.leaf_header import NO_HEAD, Head
from stream.caution import CAREFREE, Caution

_FORMAT: Final = "safestream/1"


@dataclass(frozen=True, slots=True)
class Position:
    """One source partition, as committed.

    offset        the next record to decide
    head          the end of its chain
    audit_offset  where the chain's last leaf lies in the audit partition; -1 when it has none
    """

    topic_id: bytes
    offset: int
    head: Head = NO_HEAD
    audit_offset: int = -1
    caution: Caution = CAREFREE

    def committed_as(self, topic: str, partition: int) -> TopicPartition:
        """What to send to the group coordinator."""
        caution = self.caution
        metadata = (
            f"{_FORMAT} {self.topic_id.hex()} {self.head.sequence} {self.head.hash.hex()} {self.audit_offset}"
            f" {caution.attempts} {caution.solo} {caution.limit} {caution.horizon}"
        )
        return TopicPartition(topic, partition, self.offset, metadata)


def read(offset: int, metadata: str | None) -> Position | None:
    """The position that was committed; None where the metadata isn't ours (an operator's `--reset-offsets`)."""
    words = (metadata or "").split()
    if offset < 0 or len(words) != 9 or words[0] != _FORMAT:
        return None
    try:
        return _parse(offset, words[1:])
    except ValueError:
        return None


def _parse(offset: int, words: Sequence[str]) -> Position:
    topic_id, digest = bytes.fromhex(words[0]), bytes.fromhex(words[2])
    sequence, audit_offset, attempts, solo, limit, horizon = (int(words[n]) for n in (1, 3, 4, 5, 6, 7))
    return Position(topic_id, offset, Head(sequence, digest), audit_offset, Caution(attempts, solo, limit, horizon))
