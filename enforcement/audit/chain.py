"""One chain, leaf by leaf: does it hold, and if not, which leaf is the first bad one and what happened to it.

A leaf *fits* if its sequence is the next, its previous hash is the hash of the leaf before it, and its offset is not
below where that leaf ended (a genesis leaf: sequence 0, and only there). While leaves fit, the state is one leaf. One
that doesn't fit is judged with up to `WINDOW` - 1 later leaves of its chain in view; `x` is that leaf, `last` the one
before it, and the first row that matches decides:

    x has a hash that a successor asked for in vain               it is the leaf missing there       reordered
    x has the hash of one of the last leaves                                                         doubled
    a later leaf in view fits                                     x doesn't belong here              inserted *
    sequence and previous hash fit, offset or kind don't          x's successor disowns it           altered
                                                                  it doesn't: the worker wrote that  reordered, doubled
    x and last are rivals: same sequence, same previous hash      the one without a successor is     inserted
    previous hash fits, sequence doesn't                                                             altered
    sequence fits, previous hash doesn't                          x's successor vouches for x        last is altered
                                                                  it disowns x                       altered
    one leaf is missing, bytes that can't be read lie in the gap                                     those are altered
    the leaf after x doesn't follow it, and x stands in a gap                                        altered
    x's sequence lies ahead                                       those between are                  removed
    x's sequence lies behind                                      nobody asked for x                 inserted *

    * provisionally: it becomes `reordered` when x fits later, `doubled` when its twin turns up; for a copy of a leaf
      long gone by, `Verifier.answer` looks that leaf up in a second reading.

After a fault the chain goes on from where it makes sense again, so that one deed is one fault. At the end, the
committed head (from elsewhere: the chain can't know) shows whether leaves are missing there: `cut`.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol, TypeVar

from enforcement.audit.faults import ChainId, FaultKind, Seen
from enforcement.audit.offset_ranges import OffsetRanges
from schemas.leaf_header import NO_HASH, Head, Kind

WINDOW: Final = 32  # leaves in view when one doesn't fit
_END: Final = 2**63  # after every audit offset
REMEMBERED: Final = 64  # hashes of the last leaves; leaves put aside; leaves asked for


_V = TypeVar("_V")


class Notes(Protocol):
    """Where a chain writes its findings; the audit partition that it lies in."""

    def found(self, kind: FaultKind, chain: "Chain", leaf: Seen | None, sequence: int, detail: str) -> int:
        """A fault at `leaf` (the leaf after it where it is gone); returns its number."""

    def amend(self, number: int, kind: FaultKind, detail: str) -> None:
        """A fault found before is better understood now."""

    def ask(self, number: int, chain: "Chain", leaf: Seen) -> None:
        """Did the log hold this leaf before? Answered in a second reading."""

    def claim(self, chain: "Chain", until: int | None) -> bool:
        """Find the chain's next leaf among what belongs to no chain, and name it: altered.

        A leaf that says it is of another chain counts if it follows by its hash; bytes that can't be read count if they
        lie between the chain's last leaf and `until`; with None they don't.
        """


class Chain:
    """The state of one chain: bounded, however long it is."""

    def __init__(self, chain_id: ChainId, head: Head | None, notes: Notes) -> None:
        self.id = chain_id
        self.head = head
        self.sequence = 0  # of the leaf that fits next
        self.hash: bytes | None = NO_HASH  # of the last leaf; None after one that was altered: unknown
        self.next_offset = 0
        self.last: Seen | None = None
        self.first: Seen | None = None  # as it came, fitting or not; None if a head told of the chain before
        self.leaves = 0
        self.start: int | None = None  # the offset in the genesis leaf
        self.offsets = OffsetRanges()  # that have a leaf of their own
        self.lost: list[tuple[int, int, int]] = []  # first, end, and when it was said
        self.window: list[Seen] = []
        self._notes = notes
        self._recent: deque[bytes] = deque(maxlen=REMEMBERED)
        self._aside: dict[
            bytes, tuple[Seen, int]
        ] = {}  # by hash: didn't belong where they stood, and the fault's number
        self._wanted: dict[bytes, int] = {}  # hashes that a successor asked for in vain
        self._gap: int = -1  # the fault that left `hash` unknown
        self._episode: int = -1  # the fault under which leaves are being put aside

    def take(self, leaf: Seen) -> None:
        """The next leaf of this chain, in committed order."""
        if not self.window and self._fits(leaf):
            self._accept(leaf)
        else:
            self.window.append(leaf)
            self._settle(WINDOW)

    def finish(self) -> None:
        """No leaf will follow."""
        self._settle(1)
        head = self.head
        if head is None or self.sequence >= head.sequence:
            self._notes.claim(self, until=None)
        elif head.sequence - self.sequence > 1 or not self._notes.claim(self, until=_END):
            many = head.sequence - self.sequence
            detail = f"{many} leaves up to the head that the group committed are missing (sequence {head.sequence - 1})"
            self._notes.found(FaultKind.cut, self, None, self.sequence, detail)

    # --- the chain as it should be

    def _fits(self, leaf: Seen) -> bool:
        return (
            leaf.sequence == self.sequence
            and (leaf.previous == self.hash or self.hash is None)
            and leaf.offset >= self.next_offset
            and (leaf.kind is Kind.genesis) == (leaf.sequence == 0)
        )

    def _accept(self, leaf: Seen) -> None:
        if self.hash is None:
            self._joined(leaf.previous)
        self.last, self.hash, self.next_offset = leaf, leaf.hash, leaf.next_offset
        self.sequence = leaf.sequence + 1
        self._recent.append(leaf.hash)
        self._count(leaf)
        if self.head is not None and self.head.sequence == self.sequence and self.head.hash != leaf.hash:
            detail = (
                "its hash is not the head that the group committed: it was altered, or the chain up to it rewritten"
            )
            self._unknown_from(self._notes.found(FaultKind.altered, self, leaf, leaf.sequence, detail))
        if self._aside:
            self._accept_from_aside(leaf)

    def _count(self, leaf: Seen) -> None:
        self.leaves += 1
        if leaf.kind is Kind.lost_to_retention:
            self.lost.append((leaf.offset, leaf.next_offset, leaf.time_ms))
        elif leaf.kind is Kind.genesis:
            self.start = leaf.offset
        else:
            self.offsets.add(leaf.offset, leaf.offset + 1)

    def _accept_from_aside(self, before: Seen) -> None:
        """A leaf that stood too early has found its place."""
        for leaf, number in list(self._aside.values()):
            if leaf.previous == before.hash and self._fits(leaf):
                self._notes.amend(number, FaultKind.reordered, f"it belongs after sequence {before.sequence}")
                self._accept(leaf)
                return

    def _joined(self, hash_before: bytes) -> None:
        """The leaf after one that was altered or removed says what that one's hash was."""
        if self._gap < 0:
            return
        if hash_before in self._aside:
            self._notes.amend(self._gap, FaultKind.reordered, "the leaf that belongs here stands earlier")
        else:
            _remember(self._wanted, hash_before, self._gap)
        self._gap = -1

    def _unknown_from(self, number: int) -> None:
        self.hash, self._gap = None, number

    def _fill(self, leaf: Seen, number: int) -> None:
        """An altered leaf holds its place on the chain; nothing it says is relied upon."""
        self._unknown_from(number)
        self.last, self.sequence = leaf, self.sequence + 1
        self._recent.append(leaf.hash)
        self._count(leaf)

    # --- the chain as it is

    def _settle(self, enough: int) -> None:
        while len(self.window) >= enough:
            self._judge(self.window[0], self.window[1:])
            while self.window and self._fits(self.window[0]):
                self._accept(self.window.pop(0))
        if not self.window:
            self._episode = -1

    def _judge(self, x: Seen, rest: Sequence[Seen]) -> None:
        """The table above, row by row. Each row takes `x` off the window, or makes it fit."""
        _ = (
            self._seen_before(x)
            or self._out_of_place(x, rest)
            or self._breaks_a_rule(x, rest)
            or self._rival(x, rest)
            or self._renumbered(x)
            or self._broken_link(x, rest)
            or self._unreadable_before(x)
            or self._overwritten(x, rest)
            or self._gap_before(x, rest)
            or self._put_aside(x, f"the chain was at sequence {self.sequence} already")
        )

    def _seen_before(self, x: Seen) -> bool:
        if x.hash in self._wanted:
            self._notes.amend(
                self._wanted[x.hash], FaultKind.reordered, f"the leaf stands at audit offset {x.audit_offset}"
            )
        elif x.hash in self._aside:
            self._notes.amend(
                self._aside[x.hash][1], FaultKind.doubled, f"it stands at audit offset {x.audit_offset} too"
            )
        elif x.hash in self._recent:
            self._notes.found(FaultKind.doubled, self, x, x.sequence, "the chain has this very leaf already")
        else:
            return False
        del self.window[0]
        return True

    def _out_of_place(self, x: Seen, rest: Sequence[Seen]) -> bool:
        fitting = next((leaf for leaf in rest if self._fits(leaf)), None)
        return fitting is not None and self._put_aside(
            x, f"the leaf that fits here stands at audit offset {fitting.audit_offset}"
        )

    def _put_aside(self, x: Seen, detail: str) -> bool:
        """`x` doesn't belong here. Whether it does elsewhere, later leaves may tell."""
        number = self._aside[x.previous][1] if x.previous in self._aside else self._episode
        if number < 0:
            number = self._notes.found(FaultKind.inserted, self, x, x.sequence, detail)
            if x.sequence < self.sequence:
                self._notes.ask(number, self, x)
        self._episode = number
        _remember(self._aside, x.hash, (x, number))
        del self.window[0]
        return True

    def _breaks_a_rule(self, x: Seen, rest: Sequence[Seen]) -> bool:
        if x.sequence != self.sequence or self.hash not in {None, x.previous}:
            return False
        del self.window[0]
        wrong = (
            f"offset {x.offset} after {self.next_offset - 1}"
            if x.offset < self.next_offset
            else f"a {x.kind.name} leaf"
        )
        after = _successor(rest, x.sequence + 1)
        if after is not None and after.previous != x.hash:
            self._fill(
                x, self._notes.found(FaultKind.altered, self, x, x.sequence, f"{wrong}; its successor disowns it")
            )
            return True
        kind = FaultKind.altered
        if x.offset < self.next_offset:
            kind = FaultKind.doubled if x.offset == self.next_offset - 1 else FaultKind.reordered
        self._notes.found(kind, self, x, x.sequence, f"{wrong}, and chained so: whoever sealed the chain wrote it")
        self._accept(x._replace(next_offset=max(x.next_offset, self.next_offset)))
        return True

    def _rival(self, x: Seen, rest: Sequence[Seen]) -> bool:
        last = self.last
        if last is None or self.hash is None or (x.sequence, x.previous) != (last.sequence, last.previous):
            return False
        after = _successor(rest, self.sequence)
        if (after is not None and after.previous == x.hash) or self._is_head(x):
            detail = f"the chain goes on from its rival at audit offset {x.audit_offset}"
            number = self._notes.found(FaultKind.inserted, self, last, last.sequence, detail)
            self._notes.amend(number, FaultKind.inserted, detail)  # it may have been put aside before, and fitted
            self.last, self.hash, self.next_offset = x, x.hash, x.next_offset
            self._recent.append(x.hash)
            self._count(x)
            del self.window[0]
            return True
        return self._put_aside(x, f"sequence {x.sequence} stands at audit offset {last.audit_offset} already")

    def _renumbered(self, x: Seen) -> bool:
        if self.hash is None or x.previous != self.hash:
            return False
        del self.window[0]
        detail = f"it follows sequence {self.sequence - 1} by its hash, and says {x.sequence}"
        self._fill(x, self._notes.found(FaultKind.altered, self, x, self.sequence, detail))
        return True

    def _broken_link(self, x: Seen, rest: Sequence[Seen]) -> bool:
        if x.sequence != self.sequence:
            return False
        del self.window[0]
        after, last = _successor(rest, x.sequence + 1), self.last
        head_follows = self.head is not None and self.head.sequence == x.sequence + 1 and not self._is_head(x)
        disowned = head_follows if after is None else after.previous != x.hash
        if last is None or disowned:
            detail = "its previous hash is not that of the leaf before it, and its successor disowns it"
            self._fill(x, self._notes.found(FaultKind.altered, self, x, x.sequence, detail))
            return True
        vouched = after is not None or self._is_head(x)
        detail = f"its successor at audit offset {x.audit_offset} names another hash" + (
            "" if vouched else "; nothing follows that one, so it may as well be the altered one"
        )
        number = self._notes.found(FaultKind.altered, self, last, last.sequence, detail)
        self._unknown_from(number)
        self._accept(x)
        return True

    def _unreadable_before(self, x: Seen) -> bool:
        if x.sequence != self.sequence + 1 or not self._notes.claim(self, until=x.audit_offset):
            return False
        self.sequence, self.hash = x.sequence, None
        return True

    def _overwritten(self, x: Seen, rest: Sequence[Seen]) -> bool:
        if not rest or rest[0].previous == x.hash or rest[0].sequence <= self.sequence:
            return False
        if x.sequence > self.sequence and rest[0].sequence > x.sequence:
            return False
        del self.window[0]
        detail = f"it stands where sequence {self.sequence} belongs, and says {x.sequence}"
        number = self._notes.found(FaultKind.altered, self, x, self.sequence, detail)
        _remember(self._aside, x.hash, (x, number))
        self._fill(x, number)
        return True

    def _gap_before(self, x: Seen, rest: Sequence[Seen]) -> bool:
        if x.sequence <= self.sequence:
            return False
        if not rest and self.head == Head(self.sequence, self.hash or b""):
            return self._put_aside(x, f"the head that the group committed is sequence {self.sequence - 1}")
        many = x.sequence - self.sequence
        span = f"sequence {self.sequence}" if many == 1 else f"sequences {self.sequence} to {x.sequence - 1}"
        detail = f"{span} of the chain {'is' if many == 1 else 'are'} missing before this leaf"
        self._unknown_from(self._notes.found(FaultKind.removed, self, x, self.sequence, detail))
        self.sequence = x.sequence
        return True

    def _is_head(self, x: Seen) -> bool:
        return self.head == Head(x.sequence + 1, x.hash)


def _successor(leaves: Sequence[Seen], sequence: int) -> Seen | None:
    return next((leaf for leaf in leaves if leaf.sequence == sequence), None)


def _remember(kept: dict[bytes, _V], key: bytes, value: _V) -> None:
    """Keep at most `REMEMBERED`; the oldest goes."""
    kept[key] = value
    if len(kept) > REMEMBERED:
        del kept[next(iter(kept))]
