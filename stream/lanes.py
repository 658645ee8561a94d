"""A lane is one source partition in this worker's hands, from assignment to revocation."""

from collections import deque
from dataclasses import dataclass, field

from confluent_kafka import Message

from schemas.leaf_header import Kind
from stream.positions import Position
from stream.replay import headers_in


def offset_of(message: Message) -> int:
    """The offset of a record that was consumed, which is never None."""
    offset = message.offset()
    assert offset is not None
    return offset


def size_of(message: Message) -> int:
    """Bytes of key, value and headers."""
    size = len(message.key() or b"") + len(message.value() or b"")
    return size + sum(len(name) + len(data or b"") for name, data in headers_in(message))


@dataclass(slots=True, eq=False)
class Lane:
    """One assigned source partition.

    kind        what its records become: a decision, or only a leaf for a control or a review
    position    as last committed
    opening     leaves to write before any other: genesis, lost to retention
    waiting     records fetched and not yet in a batch, in offset order
    tail        the offset after the last record fetched
    in_flight   rows dispatched and not yet committed
    written     whether the dispatch from `position` has been written down (see stream.caution)
    held        nothing of it is taken for now: the states of its accounts are not read yet
    alive       False once the partition is revoked: what is in flight then is dropped unseen
    """

    topic: str
    partition: int
    kind: Kind
    position: Position
    opening: list[tuple[Kind, int, bytes]] = field(default_factory=list)
    waiting: deque[Message] = field(default_factory=deque)
    waiting_bytes: int = 0
    tail: int = 0
    in_flight: int = 0
    written: bool = False
    held: bool = False
    alive: bool = True

    @property
    def room(self) -> int:
        """How many records may be dispatched now."""
        caution = self.position.caution
        if not caution.careful:
            return len(self.waiting)
        return 0 if self.in_flight else min(caution.limit, len(self.waiting))

    @property
    def suspect(self) -> bool:
        """Whether its next record goes alone, so that a death can be nobody else's doing."""
        return self.position.caution.limit == 1

    def put(self, message: Message) -> None:
        """Keep a fetched record until a batch takes it."""
        self.waiting.append(message)
        self.waiting_bytes += size_of(message)
        self.tail = offset_of(message) + 1

    def take(self) -> Message:
        """The oldest waiting record."""
        message = self.waiting.popleft()
        self.waiting_bytes -= size_of(message)
        return message
