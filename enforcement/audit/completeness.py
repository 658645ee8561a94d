"""Has every record its leaf? The census says what was delivered, the chains say what has a leaf.

For each source partition, as sets of offsets:

    missing   delivered, the worker is past it, and there is no leaf: skipped, or the leaf was taken away
    tail      delivered after the chain's last leaf, and no committed offset says how far the worker is: cut, or not yet
              decided
    pending   delivered after the group's committed offset: not yet decided
    extra     a leaf for an offset that was looked at and delivered to nobody
    lost      gone by the chain's word, and a census since then found that the log begins after it
    disputed  lost by the chain's word, yet a census since then found that the log still had it
    unproven  lost by the chain's word, delivered to a census, and no census since then found it gone
    unseen    has a leaf or is lost by the chain's word, and no census looked there

A loss is the worker's own word, and so is its time, the leaf's CreateTime. A statement gives what the worker can't: a
log's start only ever grows, so where the log began at the time of a later census decides. A loss whose time lies after
the newest census stays unproven, however far in the future it is said to have been: a worker that lost records in truth
is whole again with the next census.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from enforcement.audit.census import Statement
from enforcement.audit.faults import ChainId
from enforcement.audit.offset_ranges import OffsetRanges
from enforcement.audit.verifier import ChainEnd

CLOCKS_APART_MS: Final = 60_000  # the worker's clock and the census's may differ by so much


@dataclass(frozen=True, slots=True)
class Completeness:
    """One source partition; the sets are explained above."""

    topic: str | None  # None where no census knows the topic id
    chain: ChainId
    delivered: int
    missing: OffsetRanges
    tail: OffsetRanges
    pending: OffsetRanges
    extra: OffsetRanges
    lost: OffsetRanges
    disputed: OffsetRanges
    unproven: OffsetRanges
    unseen: OffsetRanges

    @property
    def whole(self) -> bool:
        """No delivered record lacks its leaf, and no leaf lacks its record."""
        return not any(map(len, (self.missing, self.tail, self.extra, self.disputed, self.unproven)))


def compare(
    chains: Mapping[ChainId, ChainEnd], statements: Sequence[Statement], positions: Mapping[ChainId, int]
) -> list[Completeness]:
    """Every source partition that the census or a chain knows.

    Args:
        positions: the group's committed offsets, as far as there are any.
    """
    names = {tally.chain: tally.topic for statement in statements for tally in statement.tallies}
    known = sorted(set(names) | set(chains), key=lambda chain: (names.get(chain, ""), chain))
    return [_one(chain, names.get(chain), chains.get(chain), statements, positions) for chain in known]


def _one(
    chain: ChainId,
    topic: str | None,
    end: ChainEnd | None,
    statements: Sequence[Statement],
    positions: Mapping[ChainId, int],
) -> Completeness:
    looked_at, delivered = _union(chain, statements)
    leaves = end.offsets if end else OffsetRanges()
    claims = end.lost if end else []
    lost = OffsetRanges((first, after) for first, after, _ in claims)
    gone, disputed = _judge(chain, claims, statements)
    open_ = lost.minus(gone).minus(disputed)
    lacking = delivered.minus(leaves).minus(lost)
    decided = _below(max(positions.get(chain, 0), end.next_offset if end else 0))
    rest, none = lacking.minus(decided), OffsetRanges()
    return Completeness(
        topic,
        chain,
        delivered.count(),
        missing=lacking.within(decided),
        tail=none if chain in positions else rest,
        pending=rest if chain in positions else none,
        extra=leaves.within(looked_at).minus(delivered),
        lost=gone.minus(disputed).minus(looked_at.minus(delivered)).minus(leaves),
        disputed=disputed.minus(leaves),
        unproven=open_.within(delivered).minus(leaves),
        unseen=_both(leaves, open_).minus(looked_at),
    )


def _below(offset: int) -> OffsetRanges:
    return OffsetRanges([(0, offset)])


def _union(chain: ChainId, statements: Iterable[Statement]) -> tuple[OffsetRanges, OffsetRanges]:
    looked_at, delivered = OffsetRanges(), OffsetRanges()
    for statement in statements:
        for tally in statement.tallies:
            if tally.chain == chain:
                looked_at.add(tally.start, tally.end)
                for first, end in tally.delivered:
                    delivered.add(first, end)
    return looked_at, delivered


def _judge(
    chain: ChainId, claims: Iterable[tuple[int, int, int]], statements: Iterable[Statement]
) -> tuple[OffsetRanges, OffsetRanges]:
    """Of the losses claimed, what a census since then found gone, and what it found in the log."""
    starts = [(each.time_ms, tally.log_start) for each in statements for tally in each.tallies if tally.chain == chain]
    gone, disputed = OffsetRanges(), OffsetRanges()
    for first, end, said_ms in claims:
        for time_ms, log_start in starts:
            if time_ms >= said_ms - CLOCKS_APART_MS:
                gone.add(first, min(end, log_start))
            if time_ms > said_ms + CLOCKS_APART_MS:
                disputed.add(max(first, log_start), end)
    return gone, disputed


def _both(one: OffsetRanges, other: OffsetRanges) -> OffsetRanges:
    return OffsetRanges([*one, *other])
