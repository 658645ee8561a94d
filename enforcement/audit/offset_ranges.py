"""A set of offsets, kept as ranges: 16 bytes for each range, however many offsets it holds."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class OffsetRanges:
    """Offsets as ascending ranges [first, end) that neither touch nor overlap. Adding in ascending order is cheap."""

    __slots__ = ("_ends", "_firsts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts = array("q")
        self._ends = array("q")
        for first, end in ranges:
            self.add(first, end)

    def add(self, first: int, end: int) -> None:
        """Add [first, end); what is there already stays there once."""
        if end <= first:
            return
        if not self._ends or first > self._ends[-1]:
            self._firsts.append(first)
            self._ends.append(end)
        elif first == self._ends[-1]:
            self._ends[-1] = end
        else:
            self._merge(first, end)

    def _merge(self, first: int, end: int) -> None:
        low, high = (
            bisect_left(self._ends, first),
            bisect_right(self._firsts, end),
        )  # the ranges that touch [first, end)
        if low < high:
            first, end = min(first, self._firsts[low]), max(end, self._ends[high - 1])
        self._firsts[low:high] = array("q", [first])
        self._ends[low:high] = array("q", [end])

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._firsts, self._ends, strict=True)

    def __len__(self) -> int:
        """How many ranges, not how many offsets."""
        return len(self._firsts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OffsetRanges) and self._firsts == other._firsts and self._ends == other._ends

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"OffsetRanges({list(self)})"

    def count(self) -> int:
        """How many offsets."""
        return sum(self._ends) - sum(self._firsts)

    def minus(self, other: "OffsetRanges") -> "OffsetRanges":
        """Offsets that are here and not there."""
        left, holes = OffsetRanges(), list(other)
        at = 0
        for first, end in self:
            while at < len(holes) and holes[at][1] <= first:
                at += 1
            look = at
            while look < len(holes) and holes[look][0] < end:
                left.add(first, holes[look][0])
                first = holes[look][1]  # noqa: PLW2901  # what is left of this range begins after the hole
                look += 1
            left.add(first, end)
        return left

    def within(self, other: "OffsetRanges") -> "OffsetRanges":
        """Offsets that are in both."""
        return self.minus(self.minus(other))
