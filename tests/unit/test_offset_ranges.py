"""Offset ranges behave as sets of offsets do."""

from hypothesis import given
from hypothesis import strategies as st

from enforcement.audit.offset_ranges import OffsetRanges

RANGES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 8)).map(lambda pair: (pair[0], pair[0] + pair[1])))


def offsets(ranges: OffsetRanges) -> set[int]:
    return {offset for first, end in ranges for offset in range(first, end)}


@given(RANGES)
def test_ranges_hold_what_was_added_as_few_as_can_be(added: list[tuple[int, int]]) -> None:
    """In any order, overlapping or not."""
    ranges = OffsetRanges(added)
    wanted = {offset for first, end in added for offset in range(first, end)}
    assert offsets(ranges) == wanted
    assert ranges.count() == len(wanted)
    assert len(ranges) == sum(offset - 1 not in wanted for offset in wanted)
    assert list(ranges) == sorted(ranges)


@given(RANGES, RANGES)
def test_difference_and_intersection_are_those_of_sets(
    left: list[tuple[int, int]], right: list[tuple[int, int]]
) -> None:
    a, b = OffsetRanges(left), OffsetRanges(right)
    assert offsets(a.minus(b)) == offsets(a) - offsets(b)
    assert offsets(a.within(b)) == offsets(a) & offsets(b)
