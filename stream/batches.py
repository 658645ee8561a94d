"""A batch on its way: which lanes it was taken from, what was decoded, and in which order its leaves will stand."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from confluent_kafka import Message

from schemas.leaf_header import Kind
from stream.decoding import Decoded
from stream.lanes import Lane, offset_of


@dataclass(slots=True, eq=False)
class Slice:
    """What a batch holds of one lane: `rows[i]` is (outcome, row in that outcome's column, source offset)."""

    lane: Lane
    rows: list[tuple[Kind, int, int]] = field(default_factory=list)

    @property
    def next_offset(self) -> int:
        """The offset to commit once this is published."""
        return self.rows[-1][2] + 1


@dataclass(slots=True, eq=False)
class Batch:
    """Records taken together, scored together, committed together."""

    number: int
    decoded: Decoded
    slices: list[Slice]
    taken_at: float  # time.monotonic

    def alive(self) -> Iterator[Slice]:
        """The slices whose partitions are still ours."""
        return (each for each in self.slices if each.lane.alive)

    def forget(self) -> None:
        """The batch is through, or dropped."""
        for each in self.slices:
            each.lane.in_flight -= len(each.rows)


def batch_of(number: int, taken: Sequence[tuple[Lane, Message]], decoded: Decoded, taken_at: float) -> Batch:
    """Sort decoded records by lane, and count them as in flight."""
    slices: dict[int, Slice] = {}
    for (lane, message), (kind, row) in zip(taken, decoded.outcomes, strict=True):
        slices.setdefault(id(lane), Slice(lane)).rows.append((kind, row, offset_of(message)))
    for each in slices.values():
        each.lane.in_flight += len(each.rows)
    return Batch(number, decoded, list(slices.values()), taken_at)
